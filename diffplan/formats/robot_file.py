"""Robot files (YAML, `diffplan/robot@1`) and the collision model beside them (`diffplan/collision@1`)."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from diffplan import arguments
from diffplan.errors import AlreadyTold, Faults, InputError, did_you_mean
from diffplan.formats.link_parts import PartsFile, read_parts, with_parts
from diffplan.formats.obstacles import read_pose
from diffplan.formats.urdf_place import urdf_path
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import WINDOW, CollisionSpheres, Gripper, Robot, Tool
from diffplan.robot.rates import RATES, rates
from diffplan.robot.urdf import Joint, UrdfModel, load_urdf
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.assets import named_robots, tell_hidden
from diffplan.system.reading import is_file

_TOUCHING, _APART = ("adjacent", "always"), ("never", "unclear")
ROBOT = Keys(
    format=Key(kind="text", about="the format and its version", example="diffplan/robot@1"),
    name=Key(kind="text", about="the robot's name", example="panda"),
    urdf=Key(kind="mapping", about="where its URDF is", example="{file: arm.urdf}"),
    base_link=Key(kind="text", about="link that stands still", example="panda_link0"),
    end_link=Key(kind="text", about="link where the arm ends", example="panda_hand"),
    joints=Key(
        kind="names to limits",
        about="joints that are planned for, in this order; position limits are the URDF's",
        example="{joint1: {velocity: 2.1}}",
    ),
    configurations=Key(
        kind="names to numbers",
        about="joint values with a name, in the order of joints",
        unit="rad or m",
        example="{home: [0, -0.8, 0, -2.4, 0, 1.6, 0.8]}",
    ),
    collision=Key(
        kind="path", about="its collision file, which `diffplan robots fit` writes", example="collision.yaml"
    ),
    held_joints=Key(
        kind="names to numbers",
        about="where joints stand that are not planned for",
        unit="rad or m",
        default="0",
        example="{panda_finger_joint1: 0.04}",
    ),
    packages=Key(
        kind="names to paths", about="folders of ROS packages", default="none", example="{arm_description: description}"
    ),
    prior=Key(
        kind="path",
        about="trained weights of this arm",
        default="prior.safetensors beside it, else the common prior",
        example="prior.safetensors",
    ),
    tool=Key(
        kind="mapping: `link`, and the keys of a pose in its frame",
        about="frame that pose goals without a link mean",
        default="the frame of end_link",
        example="{link: panda_hand, xyz: [0, 0, 0.1]}",
    ),
    gripper=Key(kind="mapping", about="its fingers", default="none", example="{joints: {...}}"),
    exempt_pairs=Key(
        kind="list of pairs of links",
        about="links whose contact does not count",
        default="none",
        example="[[link4, link6]]",
    ),
)
JOINT = Keys(
    velocity=Key(
        kind="number",
        about="most",
        unit="rad/s or m/s",
        default="the URDF's, else 1.5 rad/s or 0.25 m/s",
        example="2.175",
    ),
    acceleration=Key(
        kind="number", about="most", unit="rad/s² or m/s²", default="4/s times the velocity limit", example="15"
    ),
    jerk=Key(
        kind="number",
        about="most, where jerk is limited",
        unit="rad/s³ or m/s³",
        default="20/s times the acceleration limit",
        example="7500",
    ),
)
GRIPPER = Keys(
    joints=Key(kind="names to fingers", about="joints of the fingers", example="{finger: {open: 0.04, closed: 0.0}}"),
    may_touch=Key(
        kind="list of texts", about="links that may touch what is held", default="none", example="[leftfinger]"
    ),
)
FINGER = Keys(
    open=Key(kind="number", about="its value when the gripper is open", unit="rad or m", example="0.04"),
    closed=Key(kind="number", about="its value when it is closed", unit="rad or m", example="0.0"),
)
COLLISION = Keys(
    format=Key(kind="text", about="the format and its version", example="diffplan/collision@1"),
    links=Key(kind="names to mappings", about="the spheres of each link", example="{link1: {spheres: [...]}}"),
    self_collision=Key(kind="mapping", about="pairs of links that planners skip", example="{ignore: [...]}"),
)
SPHERES = Keys(
    spheres=Key(
        kind="list of 4 numbers", about="x, y, z in the link's frame, radius", unit="m", example="[[0, 0, 0.1, 0.06]]"
    ),
    uncovered_mm=Key(
        kind="number", about="surface farthest outside the spheres", unit="mm", default="not measured", example="4.1"
    ),
    outside_mm=Key(
        kind="number", about="spheres farthest outside the surface", unit="mm", default="not measured", example="4.0"
    ),
    bulge_mm=Key(kind="number", about="parts farthest outside the mesh", unit="mm", default="not told", example="4.8"),
    parts=Key(
        kind="list of mappings", about="convex parts that its meshes collide as", default="their hulls", example="[...]"
    ),
)
SELF_COLLISION = Keys(
    ignore=Key(kind="list of pairs", about="the pairs", example="[{links: [a, b], reason: adjacent}]")
)
IGNORED = Keys(
    links=Key(kind="2 texts", about="two links", example="[link1, link2]"),
    reason=Key(kind="a word", about=f"why: {', '.join((*_TOUCHING, *_APART))}", example=_TOUCHING[0]),
)


def robot_path(name_or_path: str | Path) -> Path:
    """Return the robot file of a robot's name, or of a path to a robot file or its folder.

    A robot of the user's folder comes before a shipped one of its name, which is said.

    Raises:
        InputError: if there is none; the message lists the robots that go by a name.
    """
    text = str(arguments.path(name_or_path, "robot"))
    known = named_robots()
    if text in known:
        tell_hidden(text)
        return known[text]
    path = Path(text)
    if is_file(path / "robot.yaml"):
        return path / "robot.yaml"
    if is_file(path):
        return path
    raise InputError(
        f"unknown robot{did_you_mean(text, known)}",
        value=text,
        allowed=f"a robot file, or one of: {', '.join(known) or 'none is shipped'}",
    )


def robot_word(entry: Entry) -> str:
    """Return the robot that a file names: a robot's name, or a path of a robot file relative to the file.

    Raises:
        InputError: if there is none.
    """
    text, known = entry.text(), named_robots()
    path = entry.file.parent / text
    if text in known:
        return text
    if is_file(path) or is_file(path / "robot.yaml"):
        return str(path)
    allowed = [*known, "the path of a robot file", f"`diffplan robots add URDF --name {text}` adds one"]
    raise entry.error(f"unknown robot{did_you_mean(text, known)}", allowed=allowed)


def word_for_robot(name: str, file: Path | None, folder: Path) -> str:
    """Return how a file in `folder` names a robot: by its name, or by the path of its own file from there."""
    named = named_robots().get(name)
    if file is None or (named is not None and named.resolve() == file.resolve()):
        return name
    return os.path.relpath(file.resolve(), folder.resolve())


def load_robot(name_or_path: str | Path, *, collision: bool = True) -> Robot:
    """Load a robot by name (a shipped one, or one of the user's folder), or a robot file by path.

    Args:
        name_or_path: `panda`, `robots/mine/robot.yaml` or its folder.
        collision: whether to read the collision model; without it the robot has no spheres and no ignored pairs
            (for the tool that makes them, and where only kinematics are needed).

    Raises:
        InputError: naming file, line, key, value and what is allowed.
    """
    path = robot_path(name_or_path)
    with Faults() as faults:
        top = read_yaml(path, faults).fields(*ROBOT.names, faults)
        top["format"].expect_format("diffplan/robot@1")
        packages = _packages(top["packages"]) if "packages" in top else {}
        model = load_urdf(urdf_path(top["urdf"], packages), packages=packages)
        movable = [name for name, joint in model.joints.items() if joint.kind != "fixed"]
        joints = top["joints"].fields((), movable)
        if not joints:
            raise top["joints"].error("no planning joints", allowed=movable)
        free = [name for name in movable if name not in joints]
        held = (
            faults.of(lambda: _held_joints(top["held_joints"].fields((), free), model)) if "held_joints" in top else {}
        )
        name = faults.of(lambda: top["name"].text())
        base_link, end_link = (
            faults.of(partial(lambda key: top[key].choice(model.collisions, "link"), key))
            for key in ("base_link", "end_link")
        )
        limits = [faults.of(partial(_position_limits, entry, model.joints[name])) for name, entry in joints.items()]
        given = {name: faults.of(partial(_rates, entry)) for name, entry in joints.items()}
        tool = faults.of(lambda: _tool(top["tool"], model)) if "tool" in top else None
        gripper = faults.of(lambda: _gripper(top["gripper"], model, list(joints))) if "gripper" in top else None
        spheres, touching, never_touching = _no_collision_model()
        if collision:
            read = faults.of(lambda: _collision_model(top["collision"], model))
            spheres, touching, never_touching = read[:3] if read else _no_collision_model()
            model = read[3] if read else model
        if "exempt_pairs" in top:
            touching |= faults.of(lambda: _pairs_of_links(top["exempt_pairs"], model)) or frozenset()
            never_touching -= touching
        if None in limits or None in given.values():
            raise AlreadyTold("limits")
        lower, upper = np.array(limits).T
        found = rates(model, list(joints), given)
    robot = Robot(
        name=name,
        model=model,
        base_link=base_link,
        end_link=end_link,
        joint_names=tuple(joints),
        held_joints=held,
        lower=lower,
        upper=upper,
        velocity=np.array([found[joint].velocity for joint in joints]),
        acceleration=np.array([found[joint].acceleration for joint in joints]),
        jerk=np.array([found[joint].jerk for joint in joints]),
        configurations={},
        spheres=spheres,
        touching=touching,
        never_touching=never_touching,
        file=Path(os.path.abspath(path)),
        prior=top["prior"].path() if "prior" in top else None,
        tool=tool,
        gripper=gripper,
        assumed={
            rate: names for rate in RATES if (names := tuple(joint for joint in joints if rate in found[joint].assumed))
        },
    )
    _check_chain(robot, top)
    robot = _within_followers(robot, joints)
    with Faults() as faults:
        configurations = _configurations(top["configurations"], robot, faults)
    return replace(robot, configurations=configurations)


def _position_limits(entry: Entry, joint: Joint) -> tuple[float, float]:
    """Return a planning joint's position limits."""
    lower, upper = (-WINDOW, WINDOW) if joint.kind == "continuous" else (joint.lower, joint.upper)
    if not lower < upper:
        problem = f"{joint.name} is {joint.kind} and needs position limits in the URDF"
        raise entry.error(problem, allowed="<limit lower=... upper=.../> with lower < upper in its <joint>")
    return lower, upper


def _rates(entry: Entry) -> dict[str, float]:
    """Return the limits of a planning joint that the file tells."""
    with Faults() as faults:
        fields = entry.fields(*JOINT.names, faults)
        values = {key: faults.of(partial(value.number, positive=True)) for key, value in fields.items()}
    return values


def _tool(entry: Entry, model: UrdfModel) -> Tool:
    """Return the tool frame: a link, and where the tool stands in its frame."""
    fields = entry.mapping()
    if "link" not in fields:
        raise entry.error("key 'link' is missing", allowed="link, xyz, rpy_deg, quat_xyzw")
    link = fields["link"].choice(model.collisions, "link")
    return Tool(link=link, pose=read_pose(entry, others=("link",)) if len(fields) > 1 else Pose())


def _gripper(entry: Entry, model: UrdfModel, planned: list[str]) -> Gripper:
    """Return the joints of the gripper with open and closed values, and the links that may touch what it holds."""
    with Faults() as faults:
        fields = entry.fields(*GRIPPER.names, faults)
        movable = [
            n for n, joint in model.joints.items() if joint.kind != "fixed" and not joint.mimic and n not in planned
        ]
        joints = fields["joints"].fields((), movable, faults)
        if not fields["joints"].mapping():
            faults.add(fields["joints"].error("no joint", allowed=movable))
        values = {
            name: faults.of(partial(_open_and_closed, value, model.joints[name])) for name, value in joints.items()
        }
        links = fields["may_touch"].sequence() if "may_touch" in fields else []
        may_touch = [faults.of(partial(link.choice, model.collisions, "link")) for link in links]
    return Gripper(joints=values, may_touch=tuple(may_touch))


def _open_and_closed(entry: Entry, joint: Joint) -> tuple[float, float]:
    fields = entry.fields(*FINGER.names)
    return _held(fields["open"], joint), _held(fields["closed"], joint)


def _packages(entry: Entry) -> dict[str, Path]:
    """Return folders of ROS packages by name, relative to the robot file's."""
    found = {}
    for name, value in entry.mapping().items():
        folder = entry.file.parent / value.text()
        if not folder.is_dir():
            raise value.error("no such folder", allowed=f"the folder of the package {name}")
        found[name] = folder
    return found


def _held_joints(entries: dict[str, Entry], model: UrdfModel) -> dict[str, float]:
    """Return where the joints are held, and those that follow them (URDF `mimic`)."""
    held = {name: _held(entry, model.joints[name]) for name, entry in entries.items()}
    try:
        values = model.joint_values(held, key="", limited=False)
    except InputError as error:
        raise entries[error.key or ""].error(error.problem, allowed=error.allowed) from error
    return {name: value for name, value in values.items() if {name, *model.leaders(name)} & held.keys()}


def _held(entry: Entry, joint: Joint) -> float:
    value = entry.number()
    if joint.limited and not joint.lower <= value <= joint.upper:
        raise entry.error("outside the joint's limits", allowed=f"{joint.lower} ... {joint.upper}")
    return value


def _within_followers(robot: Robot, entries: dict[str, Entry]) -> Robot:
    """Return the robot with limits that those joints keep too that follow planning joints (URDF `mimic`)."""
    lower, upper = robot.lower.copy(), robot.upper.copy()
    for name in robot.moving_joints[robot.dof :]:
        joint, (source, factor, offset) = robot.model.joints[name], robot.rules[name]
        if joint.limited and factor != 0:
            low, high = sorted(((joint.lower - offset) / factor, (joint.upper - offset) / factor))
            lower[source], upper[source] = max(lower[source], low), min(upper[source], high)
        if not lower[source] < upper[source]:
            leader = robot.joint_names[source]
            allowed = f"<limit> of {name} that {leader} can keep"
            raise entries[leader].error(f"{name} follows {leader}, and its limits leave no range", allowed=allowed)
    if np.array_equal(lower, robot.lower) and np.array_equal(upper, robot.upper):
        return robot
    return replace(robot, lower=lower, upper=upper)


def _configurations(entry: Entry, robot: Robot, faults: Faults) -> dict[str, Float]:
    """Return the configurations by name; `faults` gathers those that are wrong."""
    configurations, names, (lower, upper) = {}, robot.joint_names, robot.limits
    for name, values in entry.mapping().items():
        numbers = faults.of(partial(values.numbers, len(names)))
        if numbers is None:
            continue
        q = np.array(numbers)
        for i in np.flatnonzero((q < lower) | (q > upper)):
            allowed = f"{lower[i]:.6g} ... {upper[i]:.6g}"
            faults.add(values.sequence()[i].error(f"outside the limits of {names[i]}", allowed=allowed))
        configurations[name] = q
    return configurations


def _check_chain(robot: Robot, top: dict[str, Entry]) -> None:
    """Name the file in errors about the chain, which is built on first use."""
    try:
        placement = robot.chain.placement
    except InputError as error:
        raise top["joints"].error(error.problem) from error
    if robot.end_link not in placement:
        raise top["end_link"].error("not behind the base link", allowed=list(placement))
    if robot.tool is not None and placement[robot.tool.link][0] != placement[robot.end_link][0]:
        still = [link for link, (body, _) in placement.items() if body == placement[robot.end_link][0]]
        raise top["tool"].error("the tool does not stand still to the end link", allowed=still)


def _no_collision_model() -> tuple[CollisionSpheres, frozenset[frozenset[str]], frozenset[frozenset[str]]]:
    spheres = CollisionSpheres(links=(), link=np.zeros(0, dtype=np.int64), centre=np.zeros((0, 3)), radius=np.zeros(0))
    return spheres, frozenset(), frozenset()


def _collision_model(
    entry: Entry, model: UrdfModel
) -> tuple[CollisionSpheres, frozenset[frozenset[str]], frozenset[frozenset[str]], UrdfModel]:
    """Read the file that `entry` names: spheres, ignored link pairs (touching, never touching), model with parts."""
    path = entry.file.parent / entry.text()
    if not is_file(path):
        robot = entry.file.parent.name
        raise entry.error("collision model not found", allowed=f"the file that `diffplan robots fit {robot}` writes")
    names: list[str] = []
    link: list[int] = []
    spheres: list[tuple[float, ...]] = []
    told: dict[str, list[float]] = {"uncovered_mm": [], "outside_mm": []}
    parts: dict[str, list[PartsFile]] = {}
    with Faults() as faults:
        top = read_yaml(path, faults).fields(*COLLISION.names, faults)
        top["format"].expect_format("diffplan/collision@1")
        for name, values in top["links"].fields((), model.collisions, faults).items():
            fields = values.fields(*SPHERES.names, faults)
            if "parts" in fields:
                parts[name] = faults.of(partial(read_parts, fields["parts"], name, model)) or []
            for sphere in faults.of(partial(lambda fields: fields["spheres"].sequence(), fields)) or []:
                spheres.append(faults.of(partial(_sphere, sphere)))
                link.append(len(names))
            for key, values in told.items():
                if key in fields:
                    values.append(faults.of(partial(lambda entry: _millimetres(entry), fields[key])))
            names.append(name)
        ignored = _ignored_pairs(top["self_collision"].fields(*SELF_COLLISION.names)["ignore"], model)
    array = np.array(spheres, dtype=np.float64).reshape(-1, 4)
    fitted = CollisionSpheres(
        links=tuple(names),
        link=np.array(link, dtype=np.int64),
        centre=array[:, :3].copy(),
        radius=array[:, 3].copy(),
    )
    errors = {key.removesuffix("_mm"): round(max(values)) / 1000 for key, values in told.items() if values}
    return (
        replace(fitted, **errors),
        frozenset(pair for pair, reason in ignored.items() if reason in _TOUCHING),
        frozenset(pair for pair, reason in ignored.items() if reason in _APART),
        with_parts(model, parts),
    )


def _pairs_of_links(entry: Entry, model: UrdfModel) -> frozenset[frozenset[str]]:
    """Return the pairs of links whose contact does not count."""
    pairs = set()
    for item in entry.sequence():
        pair = frozenset(link.choice(model.collisions, "link") for link in item.sequence())
        if len(pair) != 2 or len(item.sequence()) != 2:
            raise item.error("not a pair of two links", allowed="[link, link]")
        pairs.add(pair)
    return frozenset(pairs)


def _millimetres(entry: Entry) -> float:
    value = entry.number()
    if value < 0:
        raise entry.error("a distance cannot be negative", allowed=">= 0 [mm]")
    return value


def _sphere(entry: Entry) -> tuple[float, ...]:
    values = entry.numbers(4)
    if values[3] <= 0:
        raise entry.error("a sphere needs a positive radius", allowed="[x, y, z, radius] in m")
    return values


def _ignored_pairs(entry: Entry, model: UrdfModel) -> dict[frozenset[str], str]:
    pairs: dict[frozenset[str], str] = {}
    for item in entry.sequence():
        fields = item.fields(*IGNORED.names)
        links = frozenset(link.choice(model.collisions, "link") for link in fields["links"].sequence())
        if len(links) != 2 or links in pairs:
            raise item.error("not a pair of two links, each pair once")
        pairs[links] = fields["reason"].choice((*_TOUCHING, *_APART), "reason")
    return pairs
