"""Curves of joint positions: B-splines before timing, cubic Hermite pieces after it."""
