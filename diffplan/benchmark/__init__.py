"""Suites, runner and report of `diffplan bench`."""
