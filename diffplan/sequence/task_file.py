"""Task files (YAML, `diffplan/task@1`): a scene and the steps of a sequence in it, read strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffplan import arguments
from diffplan.constraints.kinds import Constraint
from diffplan.constraints.line import Line
from diffplan.errors import Faults, InputError, did_you_mean
from diffplan.formats.constraints import parse_constraint
from diffplan.formats.obstacles import read_pose
from diffplan.formats.robot_file import load_robot, robot_word
from diffplan.formats.scene_file import CONSTRAINTS, QUERY, load_scene, read_configuration, read_goal
from diffplan.geometry.pose import Pose
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.sequence.grasps import Grasps
from diffplan.sequence.sequence import Sequence
from diffplan.sequence.steps import Attach, Detach, Gripper, Move, Pause, Step, pick, place
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.strict.strict_yaml import read_yaml
from diffplan.system.assets import asset_folder, shipped_scenes, shipped_tasks
from diffplan.system.reading import is_file

_KINDS = ("pick", "place", "move", "line", "gripper", "attach", "detach", "pause")
_GRASPS = ("top", "side", "any")
TASK = Keys(
    format=Key(kind="text", about="the format and its version", example="diffplan/task@1"),
    scene=Key(kind="text", about="path of a scene file, or a shipped scene's name", example="scene.yaml"),
    steps=Key(
        kind="list of steps", about="what to do, in this order; each is `KIND: ...` of a kind below", example="[...]"
    ),
    name=Key(kind="text", about="the name of the task", default="the file's", example="clear_table"),
    robot=Key(kind="text", about="a robot's name or file", default="the scene's, else panda", example="panda"),
    start=Key(kind="numbers, or a name", about="where the arm begins", unit="rad or m", default="home", example="home"),
)


def _length(about: str, default: float) -> Key:
    return Key(kind="number", about=about, unit="m", default=f"{default:g}", example="0.12")


PICK = Keys(
    object=Key(kind="text, or a list of texts", about="the obstacle to take, or any of these", example="cube"),
    grasps=Key(
        kind="top, side, any, or a list of grasps",
        about="how to take it: from above, from a side, either, or at these poses",
        default="any",
        example="top",
    ),
    approach=_length("straight way of the tool to the grasp", 0.1),
    lift=_length("straight way up with the object", 0.1),
)
GRASP = Keys(
    pose=Key(
        kind="pose", about="of the tool between the fingers, in the object's frame", example="{xyz: [0, 0, 0.02]}"
    ),
    opening=Key(
        kind="number",
        about="distance of the pads before",
        unit="m",
        default="a little wider than the object",
        example="0.06",
    ),
)
_PLACE = Keys(
    object=Key(kind="text", about="what is put down", default="what is in hand", example="cube"),
    free=Key(kind="x, y or z", about="axis of the pose about which it may turn", default="none", example="z"),
    approach=_length("straight way down to the place", 0.08),
    retreat=_length("straight way of the tool back from the object", 0.1),
)
PLACE = Keys(
    pose=Key(kind="pose", about="of the object's centre, in the world", example="{xyz: [0.4, 0.3, 0.03]}"), **_PLACE.all
)
PLACES = Keys(
    poses=Key(kind="list of poses", about="any of them will do", example="[{xyz: [0.4, 0.3, 0.03]}]"), **_PLACE.all
)
MOVE = Keys(goal=QUERY.all["goal"], constraints=CONSTRAINTS)
_LINE = Keys(
    frame=Key(kind="world or tool", about="whose axes the offset is along", default="world", example="tool"),
    constraints=CONSTRAINTS,
)
LINE_BY = Keys(offset=Key(kind="3 numbers", about="how far to go", unit="m", example="[0, 0, 0.1]"), **_LINE.all)
LINE_TO = Keys(pose=Key(kind="pose", about="of the tool, in the world", example="{xyz: [0.5, 0, 0.3]}"), **_LINE.all)
OBJECT = Keys(object=Key(kind="text", about="an obstacle, or what is held", example="cube"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A sequence in a scene, as a task file has it; `robot` is the one that the file or its scene names."""

    name: str
    robot: Robot
    scene: Scene
    start: tuple[float, ...] | str
    sequence: Sequence


def load_task(name_or_path: str | Path) -> Task:
    """Read a task file, or a shipped task by its name; its scene and robot are read too.

    Raises:
        InputError: naming file, line, key, value and what is allowed; all that is wrong in the file is told together.
    """
    path = _task_path(name_or_path)
    with Faults() as faults:
        fields = read_yaml(path, faults).fields(*TASK.names, faults)
        fields["format"].expect_format("diffplan/task@1")
        name = faults.of(lambda: fields["name"].text()) if "name" in fields else path.stem
        scene = faults.of(lambda: _scene(fields["scene"]))
        named = faults.of(lambda: robot_word(fields["robot"])) if "robot" in fields else None
        if scene is None:
            raise InputError.together(faults.found)
        robot = faults.of(lambda: load_robot(named or scene.robot or "panda"))
        if robot is None:
            raise InputError.together(faults.found)
        start = "home"
        if "start" in fields:
            start = faults.of(lambda: read_configuration(fields["start"], robot))
        items = faults.of(lambda: fields["steps"].sequence()) or []
        if not items:
            faults.add(fields["steps"].error("no steps", allowed=f"a list of {', '.join(_KINDS)}"))
        reader = _Reader(robot=robot, scene=scene, taken=set())
        steps = [faults.of(partial(reader.step, item)) for item in items]
    try:
        sequence = Sequence([step for step in steps if step is not None])
    except InputError as error:
        entry = next((item for item in items if item.key == error.key), fields["steps"])
        raise InputError(
            error.problem, file=path, line=entry.line, key=entry.key, value=error.value, allowed=error.allowed
        ) from error
    return Task(name=name, robot=robot, scene=scene, start=start, sequence=sequence)


def _task_path(name_or_path: str | Path) -> Path:
    text = str(arguments.path(name_or_path, "task"))
    known = shipped_tasks()
    if is_file(Path(text)):
        return Path(text)
    if text in known:
        return asset_folder("scenes") / "tasks" / f"{text}.yaml"
    allowed = f"a task file, or a shipped task: {', '.join(known)}"
    raise InputError(f"no such task file{did_you_mean(text, known)}", value=text, allowed=allowed)


def _scene(entry: Entry) -> Scene:
    """Return the scene of a path beside the task file, or of a shipped scene's name."""
    text = entry.text()
    beside = entry.file.parent / text
    if not is_file(beside) and text not in shipped_scenes():
        raise entry.error("no such scene file", allowed=f"a path relative to {entry.file.parent}, or a shipped scene")
    return load_scene(beside if is_file(beside) else text)


@dataclass(kw_only=True)
class _Reader:
    """Reads steps; `taken` are the names of what the steps so far take."""

    robot: Robot
    scene: Scene
    taken: set[str]

    def step(self, entry: Entry) -> list[Step] | Step:
        """Return one step: a mapping of its kind to what it says."""
        found = entry.mapping()
        if len(found) != 1:
            raise entry.error("a step is one kind", allowed=[f"{kind}: ..." for kind in _KINDS])
        fields = entry.fields((), _KINDS)
        kind, value = next(iter(fields.items()))
        readers: dict[str, Callable[[Entry], list[Step] | Step]] = {
            "pick": self._pick,
            "place": self._place,
            "move": self._move,
            "line": self._line,
            "gripper": self._gripper,
            "attach": self._attach,
            "detach": self._detach,
            "pause": self._pause,
        }
        return readers[kind](value)

    def _pick(self, entry: Entry) -> list[Step]:
        with Faults() as faults:
            fields = entry.fields(*PICK.names, faults)
            names = faults.of(lambda: self._objects(fields["object"]))
            grasps = faults.of(lambda: _grasps(fields["grasps"])) if "grasps" in fields else "any"
            lengths = _lengths(fields, ("approach", "lift"), faults)
        self.taken |= set(names)
        return _at(entry, lambda: pick(names, grasps=grasps, **lengths))

    def _objects(self, entry: Entry) -> list[str]:
        items = entry.sequence() if entry.is_list else [entry]
        if not items:
            raise entry.error("no object", allowed=[obstacle.name for obstacle in self.scene.obstacles])
        return [self._obstacle(item) for item in items]

    def _obstacle(self, entry: Entry) -> str:
        return entry.choice([obstacle.name for obstacle in self.scene.obstacles], "object")

    def _held(self, entry: Entry) -> str:
        held = [*(body.name for body in self.scene.attached), *sorted(self.taken)]
        if not held:
            raise entry.error("nothing is in hand here", allowed="a pick or attach before it")
        return entry.choice(held, "held object")

    def _place(self, entry: Entry) -> list[Step]:
        with Faults() as faults:
            several = "poses" in entry.mapping()
            fields = entry.fields(*(PLACES if several else PLACE).names, faults)
            name = faults.of(lambda: self._held(fields["object"])) if "object" in fields else None
            free = faults.of(lambda: fields["free"].choice("xyz", "axis")) if "free" in fields else None
            items = faults.of(lambda: fields["poses"].sequence() if several else [fields["pose"]]) or []
            if several and not items:
                faults.add(fields["poses"].error("no pose", allowed="at least one"))
            poses = [faults.of(partial(read_pose, item)) for item in items]
            lengths = _lengths(fields, ("approach", "retreat"), faults)
        return _at(entry, lambda: place(name, poses, free=free, **lengths))

    def _move(self, entry: Entry) -> Step:
        with Faults() as faults:
            fields = entry.fields(*MOVE.names, faults)
            goal = faults.of(lambda: read_goal(fields["goal"], self.robot))
            kept = _constraints(fields, faults)
        return Move(goal, constraints=kept)

    def _line(self, entry: Entry) -> Step:
        with Faults() as faults:
            by_offset = "offset" in entry.mapping()
            fields = entry.fields(*(LINE_BY if by_offset else LINE_TO).names, faults)
            frame = (
                faults.of(lambda: fields["frame"].choice(("world", "tool"), "frame")) if "frame" in fields else "world"
            )
            to = faults.of(lambda: fields["offset"].numbers(3) if by_offset else read_pose(fields["pose"]))
            kept = _constraints(fields, faults)
        x: Pose | tuple[float, float, float] = to  # pyright: ignore[reportAssignmentType]
        return Line(to=x, frame=frame, constraints=kept)

    def _gripper(self, entry: Entry) -> Step:
        try:
            return Gripper(entry.number())
        except InputError:
            return Gripper(_word(entry))

    def _pause(self, entry: Entry) -> list[Step]:
        seconds = entry.number()
        return _at(entry, lambda: [Pause(seconds)])

    def _attach(self, entry: Entry) -> Step:
        name = self._obstacle(entry.fields(*OBJECT.names)["object"])
        self.taken.add(name)
        return Attach(name)

    def _detach(self, entry: Entry) -> Step:
        return Detach(self._held(entry.fields(*OBJECT.names)["object"]))


def _word(entry: Entry) -> str:
    text = entry.text()
    if text not in ("open", "close"):
        raise entry.error("not what a gripper does", allowed="open, close, or the distance of its pads [m]")
    return text


def _grasps(entry: Entry) -> Grasps:
    """Return a kind of grasps, or a list of them: a pose of the tool in the object's frame, and the opening [m]."""
    if not entry.is_list:
        return entry.choice(_GRASPS, "grasps")
    items = entry.sequence()
    if not items:
        raise entry.error("no grasp", allowed=[*_GRASPS, "a list of {pose: ..., opening: ...}"])
    return [_grasp(item) for item in items]


def _grasp(entry: Entry) -> tuple[Pose, float] | Pose:
    fields = entry.fields(*GRASP.names)
    pose = read_pose(fields["pose"])
    return (pose, fields["opening"].number(positive=True)) if "opening" in fields else pose


def _lengths(fields: dict[str, Entry], keys: tuple[str, ...], faults: Faults) -> dict[str, float]:
    """Return those lengths [m] that are there."""
    found = {key: faults.of(partial(fields[key].number, positive=True)) for key in keys if key in fields}
    return {key: value for key, value in found.items() if value is not None}


def _constraints(fields: dict[str, Entry], faults: Faults) -> list[Constraint]:
    items = faults.of(lambda: fields["constraints"].sequence()) if "constraints" in fields else []
    return [faults.of(partial(_constraint, item)) for item in items or []]


def _constraint(entry: Entry) -> Constraint:
    return parse_constraint(entry.text(), entry)


def _at(entry: Entry, make: Callable[[], list[Step]]) -> list[Step]:
    """Return the steps that are made; what is wrong with them is told of the entry."""
    try:
        return make()
    except InputError as error:
        raise entry.error(
            f"{error.key}: {error.problem}" if error.key else error.problem, allowed=error.allowed
        ) from None
