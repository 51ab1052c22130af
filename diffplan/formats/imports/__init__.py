"""Problem files of other projects, read as strictly as our own: MoveIt, VAMP, robometrics."""
