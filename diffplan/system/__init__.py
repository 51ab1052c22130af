"""What the program needs of the machine: files, locks, processes, threads, progress."""
