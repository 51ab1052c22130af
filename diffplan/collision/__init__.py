"""Compiled collision checking: cost, gradient and clearance of many configurations at once."""
