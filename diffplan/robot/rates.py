"""Velocity, acceleration and jerk limits that a robot file leaves out: the URDF's velocity, or documented defaults.

No URDF tells accelerations or jerks, and some tell a velocity that only stands there for want of another. A default is
slow rather than fast: 1.5 rad/s or 0.25 m/s, full speed after a quarter of a second, full acceleration after a
twentieth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from diffplan.robot.model import Robot
from diffplan.robot.urdf import UrdfModel
from diffplan.words import some

RATES = ("velocity", "acceleration", "jerk")
VELOCITY, SLIDING = 1.5, 0.25
"""Velocity limit of a turning [rad/s] and a sliding joint [m/s] whose URDF tells none."""
SPEED_UP, FIRM_UP = 4.0, 20.0
"""Acceleration limit over velocity limit, and jerk limit over acceleration limit [1/s]."""
_TOO_FAST, _TOO_FAST_SLIDING = 20.0, 5.0  # rad/s, m/s
_ROUND = 10.0  # rad/s or m/s: one number of at least so much for all joints is none that was measured


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Limits of one joint: rad/s, rad/s^2, rad/s^3 (m for a sliding one); `assumed` names those that are defaults."""

    velocity: float
    acceleration: float
    jerk: float
    assumed: tuple[str, ...] = ()


def rates(model: UrdfModel, joints: Sequence[str], given: Mapping[str, Mapping[str, float]]) -> dict[str, Rates]:
    """Return the limits of planning joints: those given by joint and name, else the URDF's, else defaults."""
    found = {}
    for name in joints:
        told, assumed = given.get(name, {}), []
        velocity = told.get("velocity", urdf_velocity(model, joints, name))
        if velocity is None:
            velocity = SLIDING if model.joints[name].kind == "prismatic" else VELOCITY
            assumed.append("velocity")
        acceleration = told.get("acceleration", SPEED_UP * velocity)
        jerk = told.get("jerk", FIRM_UP * acceleration)
        assumed += [rate for rate in RATES[1:] if rate not in told]
        found[name] = Rates(velocity=velocity, acceleration=acceleration, jerk=jerk, assumed=tuple(assumed))
    return found


def urdf_velocity(model: UrdfModel, joints: Sequence[str], name: str) -> float | None:
    """Return the velocity limit of the URDF [rad/s or m/s]; None if it has none, or one that no arm has."""
    velocity = model.velocity.get(name, 0.0)
    largest = _TOO_FAST_SLIDING if model.joints[name].kind == "prismatic" else _TOO_FAST
    alike = len(joints) > 1 and {model.velocity.get(joint) for joint in joints} == {velocity}
    return velocity if 0 < velocity < largest and not (alike and velocity >= _ROUND) else None


def assumed_words(robots: Iterable[Robot]) -> list[str]:
    """Return in words which limits of robots are defaults, a text for each robot with such limits."""
    found = {}
    for robot in robots:
        parts = [f"{rate} of {some(joints)}" for rate, joints in robot.assumed.items()]
        if parts:
            words = f"{robot.name}: default limits, since neither robot file nor URDF tells any: {'; '.join(parts)}"
            found[words] = None
    return list(found)
