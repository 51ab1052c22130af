"""Constraints: what a motion must keep, beside limits and clearance; the certificate proves that it does."""
