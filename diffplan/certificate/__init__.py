"""The one independent verdict: PyBullet's distances, bisection, motion bounds, limits."""
