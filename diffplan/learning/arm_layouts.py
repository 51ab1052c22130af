"""How serial arms are built: joints with their places and axes, after real ones, for arms that training varies.

At zero all frames of an arm are parallel to its base's, so that a place is a step along the base's axes. Lengths in m,
angles in rad; numbers are rounded: these arms are like the real ones, not copies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

Vector: TypeAlias = tuple[float, float, float]

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_DOWN = (0.0, 0.0, -1.0)
_TURN = np.pi


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A joint: its place `xyz` from the joint before (or the base), its axis, kind and limits (rad or m)."""

    xyz: Vector
    axis: Vector
    kind: str = "revolute"
    lower: float = -_TURN
    upper: float = _TURN


@dataclass(frozen=True, kw_only=True)
class Build:
    """An arm: its joints, the flange's place from the last one, where the tool points there, radius at the base [m]."""

    joints: tuple[Axis, ...]
    flange: Vector
    points: Vector
    radius: float


def _joint(xyz: Vector, axis: Vector, lower: float, upper: float | None = None) -> Axis:
    return Axis(xyz=xyz, axis=axis, lower=-lower if upper is None else lower, upper=lower if upper is None else upper)


def _continuous(xyz: Vector, axis: Vector) -> Axis:
    return Axis(xyz=xyz, axis=axis, kind="continuous")


_OFFSET_WRIST = Build(  # like the UR5
    joints=(
        _joint((0, 0, 0.09), _Z, 6.28),
        _joint((0, 0.136, 0), _Y, 6.28),
        _joint((0, -0.12, 0.425), _Y, 3.14),
        _joint((0, 0, 0.392), _Y, 6.28),
        _joint((0, 0.093, 0), _Z, 6.28),
        _joint((0, 0, 0.095), _Y, 6.28),
    ),
    flange=(0, 0.082, 0),
    points=_Y,
    radius=0.06,
)
_SPHERICAL_WRIST = Build(  # like the arms of factories
    joints=(
        _joint((0, 0, 0.25), _Z, 2.96),
        _joint((0.03, 0, 0.15), _Y, -1.8, 2.3),
        _joint((0, 0, 0.45), _Y, -3.4, 1.2),
        _joint((0.12, 0, 0.04), _X, 3.2),
        _joint((0.3, 0, 0), _Y, 2.1),
        _joint((0.04, 0, 0), _X, 6.1),
    ),
    flange=(0.06, 0, 0),
    points=_X,
    radius=0.055,
)
_ELBOW_DOWN = Build(  # like the xArm6
    joints=(
        _joint((0, 0, 0.12), _Z, 6.28),
        _joint((0, 0, 0.147), _Y, -2.06, 2.09),
        _joint((0.053, 0, 0.285), _Y, -3.9, 0.2),
        _joint((0.0775, 0, -0.16), _DOWN, 6.28),
        _joint((0, 0, -0.183), _Y, -3.1, 1.69),
        _joint((0.076, 0, -0.05), _DOWN, 6.28),
    ),
    flange=(0, 0, -0.047),
    points=_DOWN,
    radius=0.055,
)
_STRAIGHT = Build(  # like the iiwa
    joints=(
        _joint((0, 0, 0.15), _Z, 2.96),
        _joint((0, 0, 0.19), _Y, 2.09),
        _joint((0, 0, 0.2), _Z, 2.96),
        _joint((0, 0, 0.2), _Y, 2.09),
        _joint((0, 0, 0.2), _Z, 2.96),
        _joint((0, 0, 0.2), _Y, 2.09),
        _joint((0, 0, 0.08), _Z, 3.05),
    ),
    flange=(0, 0, 0.045),
    points=_Z,
    radius=0.065,
)
_OFFSET_ELBOW = Build(  # like the Panda
    joints=(
        _joint((0, 0, 0.2), _Z, 2.9),
        _joint((0, 0, 0.133), _Y, 1.76),
        _joint((0, 0, 0.19), _Z, 2.9),
        _joint((0.0825, 0, 0.126), _Y, 0.07, 3.07),
        _joint((-0.0825, 0, 0.2), _Z, 2.9),
        _joint((0, 0, 0.184), _Y, -3.75, 0.02),
        _joint((0.088, 0, 0), _DOWN, 2.9),
    ),
    flange=(0, 0, -0.107),
    points=_DOWN,
    radius=0.06,
)
_TURNING = Build(  # like the Gen3: every other joint turns without end
    joints=(
        _continuous((0, 0, 0.156), _Z),
        _joint((0, 0.005, 0.128), _Y, 2.24),
        _continuous((0, -0.006, 0.21), _Z),
        _joint((0, 0.006, 0.21), _Y, 2.57),
        _continuous((0, -0.006, 0.208), _Z),
        _joint((0, 0, 0.106), _Y, 2.09),
        _continuous((0, 0, 0.106), _Z),
    ),
    flange=(0, 0, 0.062),
    points=_Z,
    radius=0.06,
)

_BUILDS = {
    "offset_wrist": _OFFSET_WRIST,
    "spherical_wrist": _SPHERICAL_WRIST,
    "elbow_down": _ELBOW_DOWN,
    "straight": _STRAIGHT,
    "offset_elbow": _OFFSET_ELBOW,
    "turning": _TURNING,
}


def _sliding(build: Build, axis: Vector, lower: float, upper: float) -> Build:
    """Return an arm whose base slides."""
    return replace(
        build, joints=(Axis(xyz=(0, 0, 0.05), axis=axis, kind="prismatic", lower=lower, upper=upper), *build.joints)
    )


LAYOUTS: dict[str, Build] = {
    **_BUILDS,
    "rail_offset_wrist": _sliding(_OFFSET_WRIST, _Y, -0.4, 0.4),
    "lift_straight": _sliding(_STRAIGHT, _Z, 0.0, 0.4),
}
"""The layouts by name."""
