"""Arms to train a common prior on: real layouts with other lengths, limits, tools and bases, as robot folders.

Every arm is made of capsules, so that what its spheres leave uncovered is known exactly, and depends on its layout, its
number and the seed only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from diffplan.collision.cpu import CollisionModel, Obstacles
from diffplan.errors import DiffplanError, InputError, did_you_mean
from diffplan.formats.robot_file import load_robot
from diffplan.formats.run_settings import claim_settings
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Capsule
from diffplan.geometry.sphere_fit import SphereFit
from diffplan.learning.arm_layouts import LAYOUTS, Axis, Build
from diffplan.learning.collision_model import FitReport, write_collision_file
from diffplan.learning.link_pairs import ignored_pairs, sample_contacts
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.files import alone_in, make_folder, write_text
from diffplan.system.progress import working

_VERSION = 1
_ATTEMPTS = 60
_PAIR_SAMPLES = 1500
_SHORT = 0.02  # m: a link as short as that has no shape of its own
UNCOVERED, OUTSIDE = 0.004, 0.006
"""How far an arm's spheres leave its capsules uncovered, and stick out of them [m]: about as fits of real arms do."""
_FREE_SHARE = 0.3
_ROOM = 0.01  # m between links at home


@dataclass(frozen=True, kw_only=True)
class ArmsConfig:
    """Which arms to make: `count` of them from `seed` in folders below `out`, the `layouts` (default: all) in turn."""

    out: Path
    count: int
    seed: int = 0
    layouts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError("not a positive number", key="count", value=self.count, allowed=">= 1")
        if self.seed < 0:
            raise InputError("negative seed", key="seed", value=self.seed, allowed=">= 0")
        for name in self.layouts:
            if name not in LAYOUTS:
                problem = f"no such layout{did_you_mean(name, LAYOUTS)}"
                raise InputError(problem, key="layouts", value=name, allowed=list(LAYOUTS))

    @property
    def turns(self) -> tuple[str, ...]:
        """The layouts in turn."""
        return self.layouts or tuple(LAYOUTS)

    def name(self, number: int) -> str:
        """Return the name of arm `number`."""
        return f"{self.turns[number % len(self.turns)]}_{number:03d}"


@dataclass(frozen=True, kw_only=True, eq=False)
class VariedArm:
    """An arm as drawn: its joints, the pose of the tool's frame on the last link, and capsules by link.

    A capsule is a segment [2, 3] in its link's frame, and a radius [m]. Link 0 is the base, link i is moved by joint i.
    """

    joints: tuple[Axis, ...]
    base_yaw: float
    tool: Pose
    capsules: tuple[tuple[tuple[Float, float], ...], ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]


def make_arms(config: ArmsConfig) -> list[Path]:
    """Make the robot folders that are missing; returns all robot files.

    Raises:
        InputError: if the folder holds arms made in another way, or another command writes there.
        DiffplanError: if no arm of a layout comes out that can move.
    """
    files = []
    with alone_in(config.out):
        how = {"version": _VERSION, "seed": config.seed, "layouts": list(config.turns)}
        claim_settings(config.out / "arms.json", how, "this folder holds arms made in another way")
        with working("drawing arms", config.count) as task:
            for number in range(config.count):
                task.update(f"drawing {config.name(number)}", number, config.count)
                file = config.out / config.name(number) / "robot.yaml"
                if not file.exists():
                    _make(config, number, file)
                files.append(file)
    return files


def _make(config: ArmsConfig, number: int, file: Path) -> None:
    """Draw arms until one can move; its robot file comes last, so that a folder that has it is whole."""
    name = config.name(number)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([config.seed, number, attempt])
        arm = draw_arm(LAYOUTS[name.rpartition("_")[0]], rng)
        folder = file.parent
        make_folder(folder)
        write_text(folder / "arm.urdf", urdf_text(name, arm))
        draft = folder / "draft.yaml"
        write_text(draft, robot_text(name, arm, {}))
        robot = load_robot(draft, collision=False)
        links = dict(zip(robot.model.collisions, (spheres_of(c) for c in arm.capsules), strict=False))
        links = {link: fit for link, fit in links.items() if len(fit.radius)}
        contacts = sample_contacts(robot, links, _PAIR_SAMPLES)
        report = FitReport(file=folder / "collision.yaml", links=links, ignored=ignored_pairs(robot, contacts))
        write_collision_file(report)
        home = _home(load_robot(draft), rng)
        draft.unlink()
        if home is not None:
            write_text(file, robot_text(name, arm, {"home": home}))
            return
    raise DiffplanError(f"{name}: none of {_ATTEMPTS} drawn arms can move freely")


def draw_arm(build: Build, rng: np.random.Generator) -> VariedArm:
    """Return an arm of a layout with lengths, size, limits, tool and base of its own."""
    size = rng.uniform(0.8, 1.3)

    def varied(xyz: Sequence[float]) -> Float:
        return np.round(size * rng.uniform(0.8, 1.2) * np.asarray(xyz), 4)

    joints = tuple(_varied_joint(joint, varied(joint.xyz), size, rng) for joint in build.joints)
    flange, points = varied(build.flange), np.asarray(build.points)
    radius = build.radius * size * rng.uniform(0.8, 1.15) * np.linspace(1.0, 0.6, len(joints) + 1)
    steps = [np.asarray(joint.xyz) for joint in joints[1:]] + [flange]
    capsules: list[tuple[tuple[Float, float], ...]] = [((np.array([np.zeros(3), joints[0].xyz]), float(radius[0])),)]
    for i, step in enumerate(steps):
        long = np.linalg.norm(step) > _SHORT
        capsules.append(((np.array([np.zeros(3), step]), float(radius[i + 1])),) if long else ())
    tool, held = _tool(flange, points, size, rng)
    capsules[-1] = (*capsules[-1], *held)
    turning = np.array([joint.kind != "prismatic" for joint in joints])
    velocity = np.where(turning, rng.uniform(1.8, 3.2), rng.uniform(0.3, 1.0))
    return VariedArm(
        joints=joints,
        base_yaw=float(np.round(rng.uniform(-np.pi, np.pi), 4)),
        tool=tool,
        capsules=tuple(capsules),
        velocity=tuple(np.round(velocity, 3).tolist()),
        acceleration=tuple(np.round(velocity * rng.uniform(3.0, 6.0), 3).tolist()),
    )


def _varied_joint(joint: Axis, xyz: Float, size: float, rng: np.random.Generator) -> Axis:
    """Return a joint at `xyz` with each of its limits up to a fifth nearer to the middle or a tenth farther."""
    x, y, z = xyz.tolist()
    scale = size if joint.kind == "prismatic" else 1.0
    middle, half = scale * (joint.lower + joint.upper) / 2, scale * (joint.upper - joint.lower) / 2
    nearer = rng.uniform(0.8, 1.1, 2)
    lower, upper = np.clip(np.round((middle - half * nearer[0], middle + half * nearer[1]), 4), -6.28, 6.28).tolist()
    return replace(joint, xyz=(x, y, z), lower=lower, upper=upper)


def _tool(
    flange: Float, points: Float, size: float, rng: np.random.Generator
) -> tuple[Pose, tuple[tuple[Float, float], ...]]:
    """Return the pose of the tool's frame on the last link, and the tool's capsules there.

    The tool is nothing but a flange, a gripper with two fingers, or a stick; a stick may be mounted askew.
    """
    across = np.roll(points, 1)
    frame = np.eye(4)
    frame[:3, :3] = np.column_stack([across, np.cross(points, across), points])
    kind, scale = rng.choice(3, p=(0.25, 0.5, 0.25)), size * rng.uniform(0.8, 1.2)
    turn = Pose.from_rpy((0, 0, 0), (rng.uniform(-0.8, 0.8) if kind == 2 else 0.0, 0.0, rng.uniform(-np.pi, np.pi)))
    frame = frame @ turn.matrix
    frame[:3, 3] = flange

    def capsule(a: tuple[float, ...], b: tuple[float, ...], radius: float) -> tuple[Float, float]:
        ends = scale * np.array([a, b]) @ frame[:3, :3].T + frame[:3, 3]
        return np.round(ends, 4), float(np.round(scale * radius, 4))

    if kind == 0:
        held = ()
    elif kind == 1:
        wide, deep, apart = rng.uniform(0.05, 0.09), rng.uniform(0.09, 0.14), rng.uniform(0.025, 0.045)
        fingers = tuple(capsule((0, s * apart, 0.04), (0, s * apart, deep), 0.013) for s in (-1, 1))
        held = (capsule((0, -wide, 0.035), (0, wide, 0.035), 0.03), *fingers)
    else:
        held = (capsule((0, 0, 0.03), (0, 0, rng.uniform(0.08, 0.22)), rng.uniform(0.015, 0.03)),)
    return Pose.from_matrix(frame), held


def spheres_of(capsules: Sequence[tuple[Float, float]]) -> SphereFit:
    """Return spheres on the axes of capsules that stick out `OUTSIDE` and leave at most `UNCOVERED` [m], exactly.

    Between spheres a step d apart the surface of a capsule of radius r lies sqrt(r^2 + d^2/4) from the nearest centre.
    """
    centres, radii = [np.zeros((0, 3))], [np.zeros(0)]
    for (a, b), radius in capsules:
        step = 2 * np.sqrt((radius + OUTSIDE + UNCOVERED) ** 2 - radius**2)
        number = 1 + int(np.ceil(np.linalg.norm(b - a) / step - 1e-9))
        centres.append(np.linspace(a, b, number))
        radii.append(np.full(number, radius + OUTSIDE))
    return SphereFit(centre=np.concatenate(centres), radius=np.concatenate(radii), uncovered=UNCOVERED, outside=OUTSIDE)


def urdf_text(name: str, arm: VariedArm) -> str:
    """Return the arm as URDF."""
    top = ET.Element("robot", name=name)
    for i, capsules in enumerate(arm.capsules):
        link = ET.SubElement(top, "link", name=_link(i))
        for (a, b), radius in capsules:
            shape = _along(a, b, radius)
            collision = ET.SubElement(link, "collision")
            _origin(collision, shape.pose)
            words = {"radius": f"{shape.radius:.4f}", "length": f"{shape.height:.4f}"}
            ET.SubElement(ET.SubElement(collision, "geometry"), "capsule", words)
    ET.SubElement(top, "link", name="tool")
    for i, joint in enumerate(arm.joints):
        element = ET.SubElement(top, "joint", name=_joint(i), type=joint.kind)
        ET.SubElement(element, "parent", link=_link(i))
        ET.SubElement(element, "child", link=_link(i + 1))
        yaw = arm.base_yaw if i == 0 else 0.0
        _origin(element, Pose.from_rpy(joint.xyz, (0.0, 0.0, yaw)))
        ET.SubElement(element, "axis", xyz=_numbers(joint.axis))
        limit = {"effort": "100", "velocity": f"{arm.velocity[i]}"}
        if joint.kind != "continuous":
            limit |= {"lower": f"{joint.lower}", "upper": f"{joint.upper}"}
        ET.SubElement(element, "limit", limit)
    mount = ET.SubElement(top, "joint", name="mount", type="fixed")
    ET.SubElement(mount, "parent", link=_link(len(arm.joints)))
    ET.SubElement(mount, "child", link="tool")
    _origin(mount, arm.tool)
    ET.indent(top)
    return ET.tostring(top, encoding="unicode") + "\n"


def robot_text(name: str, arm: VariedArm, configurations: dict[str, Float]) -> str:
    """Return the arm's robot file."""
    rates = zip(arm.velocity, arm.acceleration, strict=True)
    return "\n".join(
        [
            "# Made by `diffplan data arms`.",
            "format: diffplan/robot@1",
            f"name: {name}",
            "urdf: {file: arm.urdf}",
            f"base_link: {_link(0)}",
            "end_link: tool",
            "joints:",
            *(
                f"  {_joint(i)}: {{velocity: {v}, acceleration: {a}, jerk: {round(50 * a, 2)}}}"
                for i, (v, a) in enumerate(rates)
            ),
            "configurations:" if configurations else "configurations: {}",
            *(f"  {key}: [{', '.join(f'{v:.4f}' for v in q)}]" for key, q in configurations.items()),
            "collision: collision.yaml",
            "",
        ]
    )


def _home(robot: Robot, rng: np.random.Generator) -> Float | None:
    """Return a configuration [dof] to start from: tool half out, ahead of nothing, pointing down, joints near zero.

    None if the arm touches itself nearly everywhere.
    """
    low, high = np.maximum(robot.lower, -np.pi), np.minimum(robot.upper, np.pi)
    q = np.round(low + (high - low) * rng.uniform(0.05, 0.95, (4000, robot.dof)), 4)
    room = CollisionModel(robot).clearance(Obstacles.pack([Scene()]), q)[1]
    if (room > 0).mean() < _FREE_SHARE or not (room > _ROOM).any():
        return None
    q = q[room > _ROOM]
    tool, first = robot.link_pose(q, robot.end_link), robot.body_poses(q)[:, 1, :3, 3]
    out = np.linalg.norm(tool[:, :3, 3] - first, axis=1)
    turning = np.abs(q[:, ~robot.prismatic]).mean(axis=1)
    cost = 3 * np.abs(out / out.max() - 0.5) + tool[:, 2, 2] + turning / np.pi
    cost += 5 * np.clip(0.05 - tool[:, 2, 3], 0, None)
    return q[np.argmin(cost)]


def _along(a: Float, b: Float, radius: float) -> Capsule:
    """Return the capsule around a segment, rounded as its URDF spells it."""
    way = b - a
    height = float(np.linalg.norm(way))
    z = way / height
    x = np.cross(np.eye(3)[np.argmin(np.abs(z))], z)
    x /= np.linalg.norm(x)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.column_stack([x, np.cross(z, x), z]), (a + b) / 2
    return Capsule(name="capsule", radius=radius, height=round(height, 4), pose=Pose.from_matrix(matrix))


def _origin(element: ET.Element, pose: Pose) -> None:
    r = pose.matrix[:3, :3]
    rpy = (np.arctan2(r[2, 1], r[2, 2]), np.arcsin(np.clip(-r[2, 0], -1, 1)), np.arctan2(r[1, 0], r[0, 0]))
    ET.SubElement(element, "origin", xyz=_numbers(pose.xyz), rpy=_numbers(rpy))


def _numbers(values: Sequence[float] | Float) -> str:
    return " ".join(f"{float(v):.6g}" for v in np.round(np.asarray(values, dtype=np.float64), 6) + 0.0)


def _link(number: int) -> str:
    return f"link{number}"


def _joint(number: int) -> str:
    return f"joint{number + 1}"
