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
    from diffplan.certificate.certifier import Certifier as Certifier
    from diffplan.constraints.kinds import speed as speed
    from diffplan.constraints.kinds import stay_in as stay_in
    from diffplan.constraints.line import Line as Line
    from diffplan.costs.cost import Cost as Cost
    from diffplan.costs.terms import avoid as avoid
    from diffplan.costs.terms import prefer as prefer
    from diffplan.costs.terms import upright as upright
    from diffplan.errors import DiffplanError as DiffplanError
    from diffplan.errors import InputError as InputError
    from diffplan.geometry.pose import Pose as Pose
    from diffplan.geometry.shapes import Box as Box
    from diffplan.geometry.shapes import Capsule as Capsule
    from diffplan.geometry.shapes import Cylinder as Cylinder
    from diffplan.geometry.shapes import Mesh as Mesh
    from diffplan.geometry.shapes import Plane as Plane
    from diffplan.geometry.shapes import Sphere as Sphere
    from diffplan.ik import inverse_kinematics as inverse_kinematics
    from diffplan.line_planning import plan_line as plan_line
    from diffplan.many import plan_many as plan_many
    from diffplan.planning import plan as plan
    from diffplan.planning import solve as solve
    from diffplan.problem import Alternative as Alternative
    from diffplan.problem import Certificate as Certificate
    from diffplan.problem import Contact as Contact
    from diffplan.problem import Metrics as Metrics
    from diffplan.problem import Plan as Plan
    from diffplan.problem import Problem as Problem
    from diffplan.problem import Status as Status
    from diffplan.problem import ToolPath as ToolPath
    from diffplan.problem import Trajectory as Trajectory
    from diffplan.pybullet.execution import execute as execute
    from diffplan.pybullet.live import robot_as_held as robot_as_held
    from diffplan.pybullet.live import robot_configuration as robot_configuration
    from diffplan.pybullet.render import render as render
    from diffplan.robot.model import Robot as Robot
    from diffplan.scene import AllowedContact as AllowedContact
    from diffplan.scene import Attached as Attached
    from diffplan.scene import PoseGoal as PoseGoal
    from diffplan.scene import Query as Query
    from diffplan.scene import Scene as Scene
    from diffplan.scene import Urdf as Urdf
    from diffplan.sequence.grasps import Grasp as Grasp
    from diffplan.sequence.play import PlayReport as PlayReport
    from diffplan.sequence.result import SequencePlan as SequencePlan
    from diffplan.sequence.sequence import Sequence as Sequence
    from diffplan.sequence.steps import Attach as Attach
    from diffplan.sequence.steps import Detach as Detach
    from diffplan.sequence.steps import Gripper as Gripper
    from diffplan.sequence.steps import Move as Move
    from diffplan.sequence.steps import Pause as Pause
    from diffplan.sequence.steps import pick as pick
    from diffplan.sequence.steps import pick_and_place as pick_and_place
    from diffplan.sequence.steps import place as place
    from diffplan.studio.server import show as show
    from diffplan.viewer.plots import plot_joints as plot_joints

__version__ = "0.1.0"

_HOME = {
    "Cost": "costs.cost",
    "DiffplanError": "errors",
    "InputError": "errors",
    "Pose": "geometry.pose",
    "Robot": "robot.model",
    "Scene": "scene",
    "Box": "geometry.shapes",
    "Sphere": "geometry.shapes",
    "Cylinder": "geometry.shapes",
    "Capsule": "geometry.shapes",
    "Mesh": "geometry.shapes",
    "Urdf": "scene",
    "Plane": "geometry.shapes",
    "PoseGoal": "scene",
    "Query": "scene",
    "Attached": "scene",
    "AllowedContact": "scene",
    "Problem": "problem",
    "Plan": "problem",
    "ToolPath": "problem",
    "Trajectory": "problem",
    "Certificate": "problem",
    "Metrics": "problem",
    "Contact": "problem",
    "Alternative": "problem",
    "Status": "problem",
    "avoid": "costs.terms",
    "prefer": "costs.terms",
    "upright": "costs.terms",
    "Line": "constraints.line",
    "stay_in": "constraints.kinds",
    "speed": "constraints.kinds",
    "plan_line": "line_planning",
    "plan": "planning",
    "plan_many": "many",
    "solve": "planning",
    "inverse_kinematics": "ik",
    "robot_as_held": "pybullet.live",
    "robot_configuration": "pybullet.live",
    "Certifier": "certificate.certifier",
    "execute": "pybullet.execution",
    "render": "pybullet.render",
    "plot_joints": "viewer.plots",
    "show": "studio.server",
    "Sequence": "sequence.sequence",
    "SequencePlan": "sequence.result",
    "PlayReport": "sequence.play",
    "Grasp": "sequence.grasps",
    "Move": "sequence.steps",
    "Gripper": "sequence.steps",
    "Attach": "sequence.steps",
    "Pause": "sequence.steps",
    "Detach": "sequence.steps",
    "pick": "sequence.steps",
    "place": "sequence.steps",
    "pick_and_place": "sequence.steps",
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
