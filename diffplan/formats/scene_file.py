"""Scene files (YAML, `diffplan/scene@1`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from diffplan import arguments
from diffplan.constraints.kinds import TOOL, Constraint, read_constraints
from diffplan.errors import Faults, InputError, did_you_mean
from diffplan.formats.constraints import parse_constraint
from diffplan.formats.obstacles import read_obstacle, read_obstacles, read_pose
from diffplan.formats.robot_file import load_robot, robot_word
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import FARTHEST, Plane
from diffplan.robot.model import Robot
from diffplan.scene import AXES, MOST_DEPTH_M, AllowedContact, Attached, Goal, Obstacle, PoseGoal, Query, Scene
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.assets import asset_folder, named_robots, shipped_scenes
from diffplan.system.reading import is_file

FORMAT = Key(kind="text", about="the format and its version", example="diffplan/scene@1")
SCENE = Keys(
    name=Key(kind="text", about="the name of the scene", example="workbench"),
    robot=Key(
        kind="text",
        about="a robot's name (`diffplan robots`), or the path of a robot file; joint values below are its own",
        default="none: told by the command (panda without)",
        example="panda",
    ),
    robot_base=Key(
        kind="pose",
        about="where the robot's base stands in the world",
        default="the world's origin",
        example="{xyz: [0, 0, 0.7]}",
    ),
    obstacles=Key(kind="list of obstacles", about="what the arm must not touch", default="none", example="[...]"),
    queries=Key(
        kind="names to queries",
        about="motions to plan, by name; `plan` takes `default` or the only one if none is named",
        default="none",
        example="{default: {start: home, goal: right}}",
    ),
    hold=Key(
        kind="names to numbers",
        about="where the robot's joints stand that are not planned for (fingers)",
        unit="rad or m",
        default="as the robot file says",
        example="{panda_finger_joint1: 0.02}",
    ),
    attached=Key(
        kind="list of held objects",
        about="what the robot holds from the start; the pose is in the frame of the link",
        default="none",
        example="[...]",
    ),
    allowed_contacts=Key(
        kind="list of contacts",
        about="pairs that may touch; two obstacles need none, nor does what a task picks up or puts down",
        default="none",
        example="[{pair: [cup, table]}]",
    ),
)
ATTACHED = Keys(
    link=Key(kind="text", about="the link that holds it", example="panda_hand"),
    may_touch=Key(
        kind="list of texts",
        about="links that may touch it",
        default="those of the gripper",
        example="[panda_leftfinger, panda_rightfinger]",
    ),
)
"""What a held object has beside the keys of an obstacle."""
CONTACT = Keys(
    pair=Key(kind="2 texts", about="names of obstacles, held objects or links", example="[cup, table]"),
    depth_mm=Key(kind="number", about="how deep they may overlap", unit="mm", default="any depth", example="3"),
)
CONSTRAINTS = Key(
    kind="list of words",
    about="what the motion must keep, as words of `--constraint`",
    default="none",
    example='["upright:degrees=10"]',
)
_ENDS = "joint values in the order of the robot's joints, or a configuration of its file (`diffplan robots show NAME`)"
QUERY = Keys(
    start=Key(kind="numbers, or a name", about=_ENDS, unit="rad or m", example="home"),
    goal=Key(
        kind="numbers, a name, a pose goal, or a list of pose goals",
        about="as start, or where the tool shall be; of several any will do",
        unit="rad or m",
        example="{pose: {xyz: [0.5, 0, 0.4], rpy_deg: [180, 0, 0]}}",
    ),
    constraints=CONSTRAINTS,
)
_POSE_GOAL = Keys(
    link=Key(
        kind="text",
        about="the link whose frame shall be there; the tools of the shipped arms point along their z axis: "
        "with `rpy_deg: [180, 0, 0]` straight down",
        default="the robot's tool",
        example="panda_hand",
    ),
    tool=Key(kind="true", about="says that the tool is meant", default="the tool, without link", example="true"),
    free=Key(kind="x, y or z", about="axis of the goal about which it may turn", default="none", example="z"),
    box=Key(
        kind="3 numbers",
        about="edge lengths of a box about the position, in the goal's axes, in which any position will do",
        unit="m",
        default="none",
        example="[0.1, 0.1, 0]",
    ),
)
POSE_GOAL = Keys(
    pose=Key(kind="pose", about="where it shall be, in the world", example="{xyz: [0.5, 0, 0.4]}"), **_POSE_GOAL.all
)
POSE_GOALS = Keys(
    poses=Key(kind="list of poses", about="any of them will do", example="[{xyz: [0.5, 0, 0.4]}]"), **_POSE_GOAL.all
)


def scene_path(name_or_path: str | Path) -> Path:
    """Return the scene file of a path, or of a shipped scene's name.

    Raises:
        InputError: if there is none; the message lists the shipped scenes.
    """
    text = str(arguments.path(name_or_path, "scene"))
    path = Path(text)
    if is_file(path):
        return path
    known = shipped_scenes()
    if text in known:
        return asset_folder("scenes") / f"{text}.yaml"
    raise InputError(
        f"no such scene file{did_you_mean(text, known)}",
        value=text,
        allowed=f"a scene file, or a shipped scene: {', '.join(known)}",
    )


def load_scene(name_or_path: str | Path) -> Scene:
    """Read a scene file, or a shipped scene by its name; meshes and the robot that it names are checked too.

    Raises:
        InputError: naming file, line, key, value and what is allowed; all that is wrong in the file is told together.
    """
    path = scene_path(name_or_path)
    with Faults() as faults:
        fields = read_yaml(path, faults).fields(("format", *SCENE.required), SCENE.optional, faults)
        fields["format"].expect_format("diffplan/scene@1")
        robot = faults.of(lambda: robot_word(fields["robot"])) if "robot" in fields else None
        model = faults.of(lambda: load_robot(robot, collision=False)) if robot else None
        return _scene(fields, robot, model, faults)


def read_scene(entry: Entry) -> Scene:
    """Return a scene from the keys of a scene file inside another file; its robot need not be at hand.

    Raises:
        InputError: naming file, key, value and what is allowed.
    """
    fields = entry.fields(*SCENE.names)
    robot = fields["robot"].text() if "robot" in fields else None
    beside = entry.file.parent / robot if robot else None
    in_file = beside and robot not in named_robots() and (is_file(beside) or is_file(beside / "robot.yaml"))
    with Faults() as faults:
        return _scene(fields, str(beside) if in_file else robot, None, faults)


def _scene(fields: dict[str, Entry], robot: str | None, model: Robot | None, faults: Faults) -> Scene:
    """Return the scene of these fields.

    Raises:
        InputError: if anything is wrong, as `faults` or on its own.
    """
    name = faults.of(lambda: fields["name"].text())
    base = faults.of(lambda: _base(fields["robot_base"])) if "robot_base" in fields else Pose()
    hold = faults.of(lambda: _hold(fields["hold"], model)) if "hold" in fields else {}
    obstacles = faults.of(lambda: read_obstacles(fields["obstacles"])) if "obstacles" in fields else ()
    attached = _attached(fields["attached"], obstacles, model, faults) if "attached" in fields else ()
    names = {body.name for body in (*(obstacles or ()), *attached)}
    contacts = _contacts(fields["allowed_contacts"], names, model, faults) if "allowed_contacts" in fields else ()
    entries = faults.of(lambda: fields["queries"].mapping()) if "queries" in fields else {}
    queries = {key: faults.of(partial(_query, entry, model)) for key, entry in (entries or {}).items()}
    if faults.found:
        raise InputError.together(faults.found)
    return Scene(
        name=name,
        robot=robot,
        robot_base=base,
        hold=hold,
        obstacles=obstacles,
        queries=queries,
        attached=attached,
        allowed_contacts=contacts,
    )


def _base(entry: Entry) -> Pose:
    base = read_pose(entry)
    if max(map(abs, base.xyz)) > FARTHEST:
        allowed = f"within {FARTHEST:.0f} m of the world's origin"
        raise entry.error("too far away for distances to hold", allowed=allowed)
    return base


def _hold(entry: Entry, robot: Robot | None) -> dict[str, float]:
    """Return where the robot's held joints (fingers) stand in this scene."""
    joints = entry.fields((), robot.held_joints) if robot else entry.mapping()
    return {name: value.number() for name, value in joints.items()}


def _attached(
    entry: Entry, obstacles: tuple[Obstacle, ...] | None, robot: Robot | None, faults: Faults
) -> tuple[Attached, ...]:
    """Return the objects that the robot holds: the keys of an obstacle, `link` and `may_touch`."""
    taken = {obstacle.name: "an obstacle" for obstacle in obstacles or ()}
    taken |= dict.fromkeys(robot.chain.placement, f"a link of {robot.name}") if robot else {}
    found = []
    for item in faults.of(entry.sequence) or ():
        attached = faults.of(partial(_held, item, robot))
        if attached is None:
            continue
        if attached.name in taken:
            problem = f"{taken[attached.name]} has this name"
            faults.add(
                item.mapping()["name"].error(problem, allowed="a name that no obstacle, link or held object has")
            )
        taken[attached.name] = "another held object"
        found.append(attached)
    return tuple(found)


def _held(item: Entry, robot: Robot | None) -> Attached:
    keys = item.mapping()
    if "link" not in keys:
        raise item.error("key 'link' is missing", allowed="the link that holds it")
    with Faults() as faults:
        obstacle = faults.of(partial(read_obstacle, item, tuple(ATTACHED.all)))
        link = faults.of(partial(_link, keys["link"], robot))
        touched = faults.of(keys["may_touch"].sequence) if "may_touch" in keys else None
        may_touch = None if touched is None else tuple(faults.of(partial(_link, one, robot)) for one in touched)
    if isinstance(obstacle, Plane):
        raise keys["type"].error("what has no end cannot be held", allowed="box, sphere, cylinder, capsule, mesh, urdf")
    return Attached(obstacle=obstacle, link=link, may_touch=may_touch)


def _contacts(entry: Entry, names: set[str], robot: Robot | None, faults: Faults) -> tuple[AllowedContact, ...]:
    """Return the pairs that may touch: obstacles, held objects and, where the robot is known, its links by name."""
    known = sorted(names) + [link for link in (robot.links if robot else ()) if link not in names]
    found: dict[frozenset[str], AllowedContact] = {}
    for item in faults.of(entry.sequence) or ():
        contact = faults.of(partial(_contact, item, known if robot else None))
        if contact is None:
            continue
        if frozenset(contact.pair) in found:
            faults.add(item.mapping()["pair"].error("a pair that is allowed twice", allowed="each pair once"))
        found[frozenset(contact.pair)] = contact
    return tuple(found.values())


def _contact(item: Entry, known: list[str] | None) -> AllowedContact:
    with Faults() as faults:
        fields = item.fields(*CONTACT.names, faults)
        pair = [
            faults.of(partial(name.choice, known, "obstacle, held object or link") if known else name.text)
            for name in fields["pair"].sequence()
        ]
        depth = faults.of(partial(_depth, fields["depth_mm"])) if "depth_mm" in fields else None
    if len(pair) != 2 or pair[0] == pair[1]:
        raise fields["pair"].error("not a pair", allowed="two different names of obstacles, held objects or links")
    return AllowedContact(pair=(pair[0], pair[1]), depth_m=depth)


def _depth(entry: Entry) -> float:
    depth = round(entry.number() / 1000, 12)  # 20.3 is 0.0203, and no more
    if not 0 < depth <= MOST_DEPTH_M:
        allowed = f"0 < mm <= {1000 * MOST_DEPTH_M:g}; without the key any depth is allowed"
        raise entry.error("not a depth", allowed=allowed)
    return depth


def _query(entry: Entry, robot: Robot | None) -> Query:
    with Faults() as faults:
        fields = entry.fields(*QUERY.names, faults)
        start = faults.of(lambda: read_configuration(fields["start"], robot))
        goal = faults.of(lambda: read_goal(fields["goal"], robot))
        kept = faults.of(lambda: read_kept(fields["constraints"], robot)) if "constraints" in fields else ()
    return Query(start=start, goal=goal, constraints=kept)


def read_kept(entry: Entry, robot: Robot | None) -> tuple[Constraint, ...]:
    """Return constraints from a list of words, their links checked against the robot where the scene names one."""
    found = []
    for item in entry.sequence():
        one = parse_constraint(item.text(), item)
        if robot and one.link not in (TOOL, *robot.chain.placement):
            allowed = [TOOL, *robot.chain.placement]
            raise item.error(f"no link {one.link!r}{did_you_mean(one.link, allowed)}", allowed=allowed)
        found.append(one)
    try:
        return read_constraints(found)
    except InputError as error:
        raise entry.error(error.problem) from error


def read_goal(entry: Entry, robot: Robot | None) -> Goal:
    """Return joint values, a configuration's name, or pose goals: a mapping, or a list of mappings."""
    if entry.is_mapping:
        goals = _pose_goals(entry, robot)
    elif entry.is_list and any(item.is_mapping for item in entry.sequence()):
        goals = [goal for item in entry.sequence() for goal in _pose_goals(item, robot)]
    else:
        return read_configuration(entry, robot)
    return goals[0] if len(goals) == 1 else tuple(goals)


def _pose_goals(entry: Entry, robot: Robot | None) -> list[PoseGoal]:
    """Return the goals of one mapping: a pose, or several poses that share link, free axis and box."""
    with Faults() as faults:
        several = "poses" in entry.mapping()
        fields = entry.fields(*(POSE_GOALS if several else POSE_GOAL).names, faults)
        if "tool" in fields and ("link" in fields or not faults.of(lambda: fields["tool"].boolean())):
            faults.add(fields["tool"].error("the tool or a link", allowed="true alone, or the key link instead"))
        link = faults.of(lambda: _link(fields["link"], robot)) if "link" in fields else None
        free = faults.of(lambda: fields["free"].choice(AXES, "axis")) if "free" in fields else None
        box = faults.of(lambda: _box(fields["box"])) if "box" in fields else None
        items = faults.of(lambda: fields["poses"].sequence() if several else [fields["pose"]])
        if several and items == []:
            faults.add(fields["poses"].error("no pose", allowed="at least one"))
        poses = [faults.of(partial(read_pose, item)) for item in items or ()]
    return [PoseGoal(link=link, pose=pose, free=free, box=box) for pose in poses]


def _link(entry: Entry, robot: Robot | None) -> str:
    return entry.choice(robot.chain.placement, "link") if robot else entry.text()


def _box(entry: Entry) -> tuple[float, float, float]:
    x, y, z = entry.numbers(3)
    if min(x, y, z) < 0 or max(x, y, z) == 0:
        raise entry.error("no box", allowed="its edge lengths >= 0 [m], one > 0")
    return x, y, z


def read_configuration(entry: Entry, robot: Robot | None) -> tuple[float, ...] | str:
    """Return joint values or a configuration's name, checked against the robot where the scene names one."""
    if entry.is_list:
        return entry.numbers(robot.dof if robot else len(entry.sequence()))
    if entry.is_mapping:
        raise entry.error("a start is joint values or a name", allowed="[q1, q2, ...] or the name of a configuration")
    return entry.choice(robot.configurations, "configuration") if robot else entry.text()
