"""How a path is run through in time: r(t), piecewise of constant path acceleration, and its mean over a window.

The mean over a window of width w,

    R(t) = (I(t) - I(t - w)) / w,   I' = r,   r = 0 before the motion and 1 after it,

turns each jump of the path acceleration into a ramp of length w: its jerk is (r''(t) - r''(t - w)) / w. The motion
lasts w longer and begins and ends with zero acceleration. Nothing is approximated: I is a cubic in each segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.curves.spline import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeLaw:
    """Path speed at grid points, reached at `time` [n]; the path acceleration between two of them is constant."""

    grid: Float
    time: Float
    speed: Float

    @property
    def duration(self) -> float:
        """When the end of the path is reached [s]."""
        return float(self.time[-1])

    def slowed(self, factor: float) -> TimeLaw:
        """Return the same motion in so many times the time."""
        return TimeLaw(grid=self.grid, time=self.time * factor, speed=self.speed / factor)

    @property
    def rates(self) -> Float:
        """The path acceleration in each segment [n - 1]."""
        return np.diff(self.speed) / np.diff(self.time)

    @property
    def jumps(self) -> tuple[Float, Float, Float]:
        """When, at which parameter and by how much the path acceleration jumps during the motion [n - 2]."""
        return self.time[1:-1], self.grid[1:-1], np.diff(self.rates)

    def segment(self, times: Float) -> np.ndarray:
        """Return the grid segments [m] in which times [m] lie."""
        return np.clip(np.searchsorted(self.time, times, side="right") - 1, 0, len(self.grid) - 2)

    def at(self, times: Float) -> tuple[Float, Float, Float]:
        """Return path parameter, speed and acceleration at times [m]."""
        segment = self.segment(times)
        dt, u, v = times - self.time[segment], self.rates[segment], self.speed[segment]
        r = self.grid[segment] + dt * (v + dt * u / 2)
        return np.clip(r, 0.0, 1.0), np.maximum(v + dt * u, 0.0), u


@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothLaw:
    """A time law's mean over a window of `width` [s]; `integral` [n] is that of its path parameter up to each time."""

    law: TimeLaw
    width: float
    integral: Float

    @staticmethod
    def of(law: TimeLaw, width: float) -> SmoothLaw:
        """Return the mean of a time law over windows of this width [s]."""
        dt, v, r = np.diff(law.time), law.speed[:-1], law.grid[:-1]
        pieces = dt * (r + dt * (v / 2 + dt * law.rates / 6))
        return SmoothLaw(law=law, width=width, integral=np.concatenate([[0.0], np.cumsum(pieces)]))

    @property
    def duration(self) -> float:
        """When the end of the path is reached [s]."""
        return self.law.duration + self.width

    def slowed(self, factor: float) -> SmoothLaw:
        """Return the same motion in so many times the time."""
        return SmoothLaw(law=self.law.slowed(factor), width=self.width * factor, integral=self.integral * factor)

    @property
    def jumps(self) -> tuple[Float, Float, Float]:
        """When and at which parameter ramps of the path acceleration begin or end, and by how much it changes [2 n]."""
        law, change = self.law, np.diff(self.law.rates, prepend=0.0, append=0.0)
        return np.concatenate([law.time, law.time + self.width]), np.tile(law.grid, 2), np.tile(change, 2)

    def at(self, times: Float) -> tuple[Float, Float, Float]:
        """Return path parameter, speed and acceleration at times [m]."""
        return self.with_jerk(times)[:3]

    def with_jerk(self, times: Float) -> tuple[Float, Float, Float, Float]:
        """Return path parameter, speed, acceleration and jerk at times [m]."""
        after, before = self._primitives(times), self._primitives(times - self.width)
        r, speed, acceleration, jerk = ((b - a) / self.width for a, b in zip(before, after, strict=True))
        return np.clip(r, 0.0, 1.0), np.maximum(speed, 0.0), acceleration, jerk

    def _primitives(self, times: Float) -> tuple[Float, Float, Float, Float]:
        """Return I, r, r', r'' at times [m], also before and after the motion."""
        law, late = self.law, times - self.law.duration
        k = law.segment(times)
        dt, v, u = np.clip(times, 0.0, law.duration) - law.time[k], law.speed[k], law.rates[k]
        whole = self.integral[k] + dt * (law.grid[k] + dt * (v / 2 + dt * u / 6))
        r = law.grid[k] + dt * (v + dt * u / 2)
        during = (times >= 0) & (late < 0)
        whole = np.where(times < 0, 0.0, whole + np.maximum(late, 0.0))
        return (
            whole,
            np.where(during, r, np.where(late < 0, 0.0, 1.0)),
            np.where(during, v + dt * u, 0.0),
            np.where(during, u, 0.0),
        )
