"""Certified robot-arm motion planning with a guided diffusion prior.

    import diffplan as dp
    robot = dp.Robot.load("panda")
    scene = dp.Scene.load("bookshelf")
    plan = dp.plan(robot, scene, start="home", goal="left")

The names below are loaded on first use, so that `import diffplan` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffplan.costs import Cost as Cost
    from diffplan.errors import DiffplanError as DiffplanError
    from diffplan.errors import InputError as InputError
    from diffplan.geometry import Pose as Pose
    from diffplan.ik import inverse_kinematics as inverse_kinematics
    from diffplan.named_costs.terms import avoid as avoid
    from diffplan.named_costs.terms import prefer as prefer
    from diffplan.named_costs.terms import upright as upright
    from diffplan.planning import plan as plan
    from diffplan.planning import solve as solve
    from diffplan.problem import Alternative as Alternative
    from diffplan.problem import Certificate as Certificate
    from diffplan.problem import Contact as Contact
    from diffplan.problem import Metrics as Metrics
    from diffplan.problem import Plan as Plan
    from diffplan.problem import Problem as Problem
    from diffplan.problem import Status as Status
    from diffplan.problem import Trajectory as Trajectory
    from diffplan.robot import Robot as Robot
    from diffplan.scene import PoseGoal as PoseGoal
    from diffplan.scene import Query as Query
    from diffplan.scene import Scene as Scene
    from diffplan.scene import Urdf as Urdf
    from diffplan.shapes import Box as Box
    from diffplan.shapes import Capsule as Capsule
    from diffplan.shapes import Cylinder as Cylinder
    from diffplan.shapes import Mesh as Mesh
    from diffplan.shapes import Plane as Plane
    from diffplan.shapes import Sphere as Sphere
    from diffplan.simulation.certificate import Certifier as Certifier
    from diffplan.simulation.execution import execute as execute
    from diffplan.simulation.live import robot_as_held as robot_as_held
    from diffplan.simulation.live import robot_configuration as robot_configuration
    from diffplan.simulation.render import render as render
    from diffplan.viewer.plots import plot_joints as plot_joints

__version__ = "0.1.0"

_HOME = {
    "Cost": "costs",
    "DiffplanError": "errors",
    "InputError": "errors",
    "Pose": "geometry",
    "Robot": "robot",
    "Scene": "scene",
    "Box": "shapes",
    "Sphere": "shapes",
    "Cylinder": "shapes",
    "Capsule": "shapes",
    "Mesh": "shapes",
    "Urdf": "scene",
    "Plane": "shapes",
    "PoseGoal": "scene",
    "Query": "scene",
    "Problem": "problem",
    "Plan": "problem",
    "Trajectory": "problem",
    "Certificate": "problem",
    "Metrics": "problem",
    "Contact": "problem",
    "Alternative": "problem",
    "Status": "problem",
    "avoid": "named_costs.terms",
    "prefer": "named_costs.terms",
    "upright": "named_costs.terms",
    "plan": "planning",
    "solve": "planning",
    "inverse_kinematics": "ik",
    "robot_as_held": "simulation.live",
    "robot_configuration": "simulation.live",
    "Certifier": "simulation.certificate",
    "execute": "simulation.execution",
    "render": "simulation.render",
    "plot_joints": "viewer.plots",
}
"""The module of each public name: what `__all__`, `dir` and loading on first use go by."""

if not TYPE_CHECKING:  # a type checker takes no list that is computed; it knows the names by their imports above
    __all__ = sorted(_HOME)


if not TYPE_CHECKING:  # type checkers know the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'diffplan' has no attribute {name!r}")
        value = getattr(import_module(f"diffplan.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(["__version__", *_HOME])
