"""Three wishes, one query: what named costs do to the same motion, drawn as docs/costs.png.

Each column plans a query of the shipped facing shelves without and with one cost: the hand upright, room for a person
who stands in front, a bent elbow. Nothing is trained for any of them.

    python examples/costs.py [--picture costs.png]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import diffplan as dp
from diffplan.certificate.bullet import connection
from diffplan.certificate.world import load_robot_body
from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.costs.terms import tilt
from diffplan.geometry.pose import Float
from diffplan.problem import Trajectory
from diffplan.pybullet.camera import find_camera
from diffplan.pybullet.render import shoot
from diffplan.pybullet.stage_set import add_tool_path, load_coloured, tool_path

SCENE, QUERY = "facing_shelves", "hard"
PERSON = dp.Capsule(name="person", radius=0.18, height=1.2, pose=dp.Pose(xyz=(0.8, 0.0, 0.78)))
COMFORT, TOLERANCE_DEG, ELBOW = 0.3, 5.0, (-2.9, -2.6)
WITHOUT, WITH = (0.35, 0.37, 0.42, 1.0), (0.86, 0.20, 0.42, 1.0)
SIZE = (440, 360)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A cost, what it is about as a curve over the path (`measure`), and the `wanted` part of that curve's axis."""

    title: str
    cost: dp.Cost
    measure: Callable[[Float], Float]
    unit: str
    wanted: tuple[float, float]
    region: tuple[dp.Capsule, ...] = ()


def columns(robot: dp.Robot) -> tuple[Column, ...]:
    """Return the three wishes."""
    model, person = CollisionModel(robot), Obstacles.pack([dp.Scene(obstacles=(PERSON,))])
    return (
        Column(
            title="upright",
            cost=dp.upright(robot, tolerance_deg=TOLERANCE_DEG),
            measure=lambda q: np.degrees(tilt(robot, q)),
            unit="tilt of the hand [°]",
            wanted=(0.0, TOLERANCE_DEG),
        ),
        Column(
            title="avoid a person",
            cost=dp.avoid(robot, PERSON, comfort=COMFORT),
            measure=lambda q: 100 * model.clearance(person, q, cap=1.0)[0],
            unit="distance of the arm [cm]",
            wanted=(100 * COMFORT, 60.0),
            region=(PERSON,),
        ),
        Column(
            title="prefer a bent elbow",
            cost=dp.prefer(robot, {"panda_joint4": ELBOW}, weight=20.0),
            measure=lambda q: q[:, 3],
            unit="panda_joint4 [rad]",
            wanted=ELBOW,
        ),
    )


def motion(plan: dp.Plan) -> Trajectory:
    """Return the certified trajectory of a plan.

    Raises:
        SystemExit: if there is none.
    """
    if not plan.solved or plan.trajectory is None:
        raise SystemExit(f"not certified: {plan.status.value}: {plan.message}")
    return plan.trajectory


def picture(
    robot: dp.Robot,
    scene: dp.Scene,
    region: tuple[dp.Capsule, ...],
    paths: tuple[Float, Float],
    shown: int,
    at: Float,
) -> Image.Image:
    """Draw the arm at one configuration [dof], and the tool's way along the path that is `shown` (1: with the cost)."""
    tips = [tool_path(robot, scene.robot_base, path) for path in paths]
    corners = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.95], *([*shape.pose.xyz[:2], 0.2] for shape in region)]
    with connection() as client:
        load_coloured(client, scene.add(*region))
        motion_points, aspect = np.concatenate(tips)[::20], SIZE[0] / SIZE[1]
        frame = np.concatenate([*tips, corners])
        camera = find_camera(
            client,
            motion=motion_points,
            ends=np.empty((0, 3)),
            must=tips[shown][[0, -1]],
            things=np.empty((0, 3)),
            frame=frame,
            base_yaw=0.0,
            aspect=aspect,
        )
        add_tool_path(client, tips[shown], WITH if shown else WITHOUT)
        load_robot_body(client, robot, scene.robot_base, visuals=True).place(at)
        return shoot(client, camera, SIZE, finer=2.0)


def main() -> int:
    """Plan, compare, draw."""
    parser = argparse.ArgumentParser(description="Draw what named costs do to a motion.")
    parser.add_argument("--picture", type=Path, default=Path("costs.png"))
    file = parser.parse_args().picture
    robot, scene = dp.Robot.load("panda"), dp.Scene.load(SCENE)
    query = scene.query(QUERY)
    plain = motion(dp.plan(robot, scene, query.start, query.goal, timeout=60.0)).position
    wishes = columns(robot)
    figure = Figure(figsize=(11.0, 8.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(3, len(wishes), height_ratios=(1.0, 1.0, 0.75))
    for wish, (above, middle, below) in zip(wishes, grid.T, strict=True):
        plan = dp.plan(robot, scene, query.start, query.goal, timeout=60.0, costs=[wish.cost])
        paths = plain, motion(plan).position
        for i, (axes, path) in enumerate(zip((above, middle), paths, strict=True)):
            state, curve = ("off", "on")[i], wish.measure(path)
            length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
            half = int(np.searchsorted(length, length[-1] / 2))
            axes.imshow(picture(robot, scene, wish.region, paths, i, path[half]))
            axes.set_axis_off()
            axes.set_title(f"{wish.title}: {state}", fontsize=12)
            below.plot(length, curve, color=(WITHOUT, WITH)[i], linewidth=2.0, label=state)
            low, high = curve.min(), curve.max()
            print(f"{wish.title}, {state}: {wish.unit} {low:.2f} to {high:.2f}, length {length[-1]:.2f} rad")
        below.axhspan(*wish.wanted, color="#2e8b57", alpha=0.15, linewidth=0.0, label="wanted")
        below.set(xlabel="along the path [rad]", ylabel=wish.unit)
        below.grid(alpha=0.25, linewidth=0.6)
        below.legend(fontsize=9)
    figure.savefig(file, dpi=100)
    with Image.open(file) as image:
        image.convert("RGB").quantize(96, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
