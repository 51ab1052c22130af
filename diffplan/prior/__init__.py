"""The prior: network, schedule, samplers, and the wrappers that show it the scene and hold its ends."""
