"""PyBullet: certificate, execution, live worlds and pictures; nothing outside this package imports pybullet."""
