"""Certified robot-arm motion planning with a guided diffusion prior."""
