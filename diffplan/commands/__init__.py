"""One module for each command of the command line; what is slow to import is imported when the command runs."""
