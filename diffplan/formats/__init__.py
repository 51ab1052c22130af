"""Readers and writers of files: robots, scenes, problem suites, plans."""
