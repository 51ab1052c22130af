"""Training data: procedural scenes, problems in them, and the paths that solve them."""
