"""Everything compiled that any planner, check or command uses, step by step; Numba keeps it on the disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Sphere
from diffplan.geometry.triangle_distance import SolidDistance, Surface
from diffplan.geometry.winding import winding_number
from diffplan.planners import PLANNERS, make_planner
from diffplan.planners.task import Task
from diffplan.problem import Problem
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.sequence.warm import make_ready

_TETRAHEDRON = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])[
    [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
]


def steps(robot: Robot) -> list[tuple[str, Callable[[], object]]]:
    """Return what to do for a robot, each with its name."""
    middle = (robot.lower + robot.upper) / 2
    far = Scene(obstacles=(Sphere(name="far", radius=0.1, pose=Pose(xyz=(0.0, 0.0, 5.0))),))
    problem = Problem(robot=robot, scene=far, start=middle, goals=middle[None] + 0.1)
    return [
        ("compiling collision checks", partial(_collisions, problem)),
        ("compiling distances to meshes", _meshes),
        ("loading the robot into PyBullet", lambda: Certifier(robot, far).close()),
        *((f"getting {name} ready", partial(_planner, name, problem)) for name in PLANNERS),
        ("getting lines and held objects ready", lambda: make_ready(robot, middle)),
    ]


def _collisions(problem: Problem) -> None:
    """Run the kernel in both precisions, with and without gradient, the joints' places, and the edge check."""
    model, world = CollisionModel(problem.robot), Obstacles.around(problem.robot, problem.scene)
    for kind in (np.float32, np.float64):
        for gradient in (True, False):
            model.evaluate(world, problem.goals[None].astype(kind), gradient=gradient)
        model.joints(problem.goals.astype(kind))
    model.clearance(world, problem.goals)
    model.free(world, problem.start)


def _meshes() -> None:
    SolidDistance([Surface(triangles=_TETRAHEDRON, normals=np.ones((4, 7, 3)))]).at(np.full((1, 3), 0.1))
    winding_number(_TETRAHEDRON, np.full((1, 3), 0.1))


def _planner(name: str, problem: Problem) -> None:
    make_planner(name).prepare(Task.of(problem))
