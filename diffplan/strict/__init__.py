"""Strict reading of YAML and JSON: every entry knows its file, line and key."""
