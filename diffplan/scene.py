"""Obstacles, queries and the scene that holds them (world frame, metres)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar

from diffplan import arguments
from diffplan.constraints.kinds import Constraint, read_constraints
from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Plane, Shape, check_place
from diffplan.robot.urdf import UrdfModel, load_urdf
from diffplan.system.higher import higher
from diffplan.words import count, html, one_line, some

if TYPE_CHECKING:
    from diffplan.robot.model import Robot


@dataclass(frozen=True, kw_only=True)
class Urdf:
    """A fixed body from a URDF file; its collision geometry counts, each mesh as its convex hull (as in PyBullet)."""

    name: str
    file: Path
    pose: Pose = field(default_factory=Pose)
    scale: float = 1.0
    joints: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = arguments.text(self.name, "Urdf.name")
        joints = arguments.mapping(self.joints, f"{name}.joints", allowed="joint values by joint name")
        values = {
            "name": name,
            "pose": Pose.of(self.pose, f"{name}.pose"),
            "file": arguments.path(self.file, f"{name}.file"),
            "scale": arguments.positive(self.scale, f"{name}.scale", what="number", allowed="> 0"),
            "joints": {joint: arguments.real(value, f"{name}.joints.{joint}") for joint, value in joints.items()},
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        check_place(name, self.pose)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide its shape: its own, and the meshes of its links.

        Raises:
            InputError: if the file cannot be read.
        """
        links = load_urdf(self.file, self.scale).collisions.values()
        return (self.file, *(file for shapes in links for shape in shapes for file in shape.files))

    def standing(self) -> tuple[UrdfModel, dict[str, float]]:
        """Return what its file holds now, to its scale, and where all of its joints stand (rad or m).

        Raises:
            InputError: if the file cannot be read, or the joints cannot stand so.
        """
        model = load_urdf(self.file, self.scale)
        return model, model.joint_values(self.joints, key=f"{self.name}.joints", limited=True)


Obstacle: TypeAlias = Shape | Urdf
_T = TypeVar("_T")
_HERE = Pose()


@dataclass(frozen=True, kw_only=True)
class Body:
    """Shapes on one frame: `pose` is T_frame_body, the shapes stand in the body's own frame.

    `frame` is the world, or the name of a link. A link's geometry, an obstacle and each link of a URDF obstacle are
    all bodies.
    """

    name: str
    shapes: tuple[Shape, ...]
    frame: str = "world"
    pose: Pose = _HERE


def bodies(obstacle: Obstacle) -> tuple[Body, ...]:
    """Return the bodies of an obstacle, in the world: one, or one for each link of a URDF with collision geometry.

    Raises:
        InputError: if a URDF file cannot be read, or its joints cannot stand as the obstacle says.
    """
    if isinstance(obstacle, Shape):
        return (Body(name=obstacle.name, shapes=(obstacle,)),)
    model, values = obstacle.standing()
    poses = model.link_poses(values)
    return tuple(
        Body(name=obstacle.name, shapes=shapes, pose=obstacle.pose @ Pose.from_matrix(poses[link]))
        for link, shapes in model.collisions.items()
        if shapes
    )


@dataclass(frozen=True, kw_only=True)
class Attached:
    """An object that a link holds: the obstacle's pose is T_link_obstacle, its name the obstacle's.

    `may_touch` are the links whose contact with it does not count. None stands for those that the robot file's gripper
    names and `link` itself; of a robot without a gripper, for `link` and the links behind it.
    """

    obstacle: Obstacle
    link: str
    may_touch: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        obstacle = self.obstacle
        if not isinstance(obstacle, Obstacle):
            raise InputError("not an obstacle", key="attached", value=arguments.plain(obstacle), allowed=_HOLDABLE)
        if isinstance(obstacle, Plane):
            raise InputError("what has no end cannot be held", key=obstacle.name, value="Plane", allowed=_HOLDABLE)
        object.__setattr__(self, "link", arguments.text(self.link, f"{self.name}.link", allowed="the name of a link"))
        if self.may_touch is not None:
            links = arguments.items(self.may_touch, f"{self.name}.may_touch", allowed="names of links, or None")
            names = (arguments.text(link, f"{self.name}.may_touch[{i}]") for i, link in enumerate(links))
            object.__setattr__(self, "may_touch", tuple(names))

    @property
    def name(self) -> str:
        """The obstacle's name."""
        return self.obstacle.name


@dataclass(frozen=True, kw_only=True)
class AllowedContact:
    """A pair of bodies (obstacles, held objects, links) that may touch, up to a depth in m; None: however deep."""

    pair: tuple[str, str]
    depth_m: float | None = None

    def __post_init__(self) -> None:
        pair = arguments.items(self.pair, "allowed_contacts.pair", allowed=_PAIR)
        if len(pair) != 2 or pair[0] == pair[1]:
            raise InputError("not a pair", key="allowed_contacts.pair", value=pair, allowed=_PAIR)
        first, second = (arguments.text(name, "allowed_contacts.pair") for name in pair)
        object.__setattr__(self, "pair", (first, second))
        if self.depth_m is not None:
            key = f"allowed_contacts.{first},{second}.depth_m"
            allowed = f"0 < m <= {MOST_DEPTH_M:g}, or None for any depth"
            depth = arguments.positive(self.depth_m, key, what="depth", highest=MOST_DEPTH_M, allowed=allowed)
            object.__setattr__(self, "depth_m", depth)


MOST_DEPTH_M = 0.05
"""How deep a contact that is allowed up to a depth may be at most [m]."""
_PAIR = "two different names of obstacles, held objects or links"
_HOLDABLE = "Box, Sphere, Cylinder, Capsule, Mesh, Urdf"


@dataclass(frozen=True, kw_only=True)
class PoseGoal:
    """Bring `link` (None: the robot's tool) to `pose` (world frame).

    `free` is an axis of the pose's frame (`x`, `y`, `z`): any turn about it will do. `box` are the full edge lengths
    [m] of a box around the pose, in its frame: the position may lie anywhere in it.
    """

    link: str | None = None
    pose: Pose
    free: str | None = None
    box: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.link is not None:
            object.__setattr__(self, "link", arguments.text(self.link, "goal.link", allowed="the name of a link"))
        if self.free is not None:
            object.__setattr__(self, "free", arguments.one_of(self.free, "goal.free", AXES, "axis"))
        if self.box is not None:
            box = arguments.vector(self.box, 3, "goal.box", unit="m")
            if min(box) < 0 or max(box) == 0:
                raise InputError("no box", key="goal.box", value=list(box), allowed="edge lengths >= 0 [m], one > 0")
            object.__setattr__(self, "box", box)
        object.__setattr__(self, "pose", Pose.of(self.pose, "goal.pose"))

    @property
    def loose(self) -> bool:
        """Whether it leaves something of the pose free."""
        return self.free is not None or self.box is not None


AXES = ("x", "y", "z")
Goal: TypeAlias = tuple[float, ...] | str | PoseGoal | tuple[PoseGoal, ...]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A named start and goal: joint values, the name of a robot configuration, or (goal only) tool poses.

    Of several `PoseGoal`s any one will do. A `Pose` as the goal stands for the `PoseGoal` of the robot's tool.
    `constraints` are what the motion must keep.
    """

    start: tuple[float, ...] | str
    goal: Goal
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _joints(self.start, "start"))
        object.__setattr__(self, "goal", _goal(self.goal))
        object.__setattr__(self, "constraints", read_constraints(self.constraints))


def _goal(value: object) -> Goal:
    """Return a goal: poses as `PoseGoal`s, one alone without a list."""
    several = list(value) if isinstance(value, list | tuple) else [value]
    poses = [PoseGoal(pose=one) if isinstance(one, Pose) else one for one in several]
    if not any(isinstance(one, PoseGoal) for one in poses):
        return _joints(value, "goal")
    allowed = "PoseGoals and Poses only"
    goals = [arguments.instance(one, PoseGoal, f"goal[{i}]", allowed=allowed) for i, one in enumerate(poses)]
    return goals[0] if len(goals) == 1 else tuple(goals)


_ROBOT = "None, or the name of a shipped robot or the path of a robot file"


def _obstacles(value: object) -> tuple[Obstacle, ...]:
    """Return obstacles as a tuple."""
    allowed = "Box, Sphere, Cylinder, Capsule, Mesh, Urdf, Plane"
    found = (
        list(value) if isinstance(value, tuple) else arguments.items(value, "obstacles", allowed=f"a list of {allowed}")
    )
    for i, obstacle in enumerate(found):
        if not isinstance(obstacle, Obstacle):
            raise InputError("not an obstacle", key=f"obstacles[{i}]", value=obstacle, allowed=allowed)
    return tuple(found)  # pyright: ignore[reportReturnType]


def _instances(value: object, kind: type[_T], key: str, allowed: str) -> tuple[_T, ...]:
    """Return items of one class as a tuple."""
    found = arguments.items(value, key, allowed=allowed)
    return tuple(arguments.instance(item, kind, f"{key}[{i}]", allowed=allowed) for i, item in enumerate(found))


def _joints(value: object, key: str) -> tuple[float, ...] | str:
    """Return joint values, or the name of a configuration."""
    allowed = "joint values, or the name of a configuration"
    if isinstance(value, str):
        return arguments.text(value, key, allowed=allowed)
    values = arguments.items(value, key, allowed=allowed)
    if not values:
        raise InputError("no joint values", key=key, allowed=allowed)
    return tuple(arguments.real(item, f"{key}[{i}]") for i, item in enumerate(values))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Obstacles around a robot; immutable, `add`, `remove`, `move`, `attach`, `detach`, `allow` return a changed copy.

    `hold` says where the robot's fingers (held joints, rad or m) stand in this scene, if it says so: a scene that was
    read from a running world does. `attached` are the objects that the robot holds: they move with it. Only the pairs
    of `allowed_contacts` may touch.
    """

    name: str = "scene"
    robot: str | None = None
    robot_base: Pose = field(default_factory=Pose)
    obstacles: tuple[Obstacle, ...] = ()
    queries: dict[str, Query] = field(default_factory=dict)
    hold: dict[str, float] = field(default_factory=dict)
    attached: tuple[Attached, ...] = ()
    allowed_contacts: tuple[AllowedContact, ...] = ()

    def __post_init__(self) -> None:
        robot = self.robot if self.robot is None else str(arguments.path(self.robot, "robot", allowed=_ROBOT))
        hold = arguments.mapping(self.hold, "hold", allowed="joint values by joint name")
        queries = arguments.mapping(self.queries, "queries", allowed="a dict of Query by name")
        for name, query in queries.items():
            arguments.instance(query, Query, f"queries.{arguments.text(name, 'queries')}", allowed="a Query")
        obstacles = _obstacles(self.obstacles)
        attached = _instances(self.attached, Attached, "attached", "a tuple of Attached")
        contacts = _instances(self.allowed_contacts, AllowedContact, "allowed_contacts", "a tuple of AllowedContact")
        counts = Counter(body.name for body in (*obstacles, *attached))
        if len(counts) < len(obstacles) + len(attached):
            doubled = min(name for name, number in counts.items() if number > 1)
            raise InputError("obstacle and held object names must be unique", key="obstacles", value=doubled)
        pairs = Counter(frozenset(contact.pair) for contact in contacts)
        for pair in (pair for pair, number in pairs.items() if number > 1):
            raise InputError("a pair is allowed twice", key="allowed_contacts", value=sorted(pair))
        object.__setattr__(self, "name", arguments.text(self.name, "name"))
        object.__setattr__(self, "robot", robot)
        object.__setattr__(self, "robot_base", Pose.of(self.robot_base, "robot_base"))
        object.__setattr__(self, "obstacles", obstacles)
        object.__setattr__(self, "queries", queries)
        held = {arguments.text(joint, "hold"): arguments.real(value, f"hold.{joint}") for joint, value in hold.items()}
        object.__setattr__(self, "hold", held)
        object.__setattr__(self, "attached", attached)
        object.__setattr__(self, "allowed_contacts", contacts)
        check_place("robot_base", self.robot_base)

    @staticmethod
    def load(path: str | Path) -> Scene:
        """Read a scene file (format `diffplan/scene@1`); a bare name of a shipped scene is found too.

        Raises:
            InputError: naming file, line, key, value and what is allowed.
        """
        return higher("formats.scene_file:load_scene")(path)

    @staticmethod
    def from_pybullet(
        client: int,
        *,
        robot_body: int | None = None,
        robot: Robot | str | None = None,
        ignore: Collection[int] = (),
        attached: Collection[int] | Mapping[int, str] = (),
    ) -> Scene:
        """Read the obstacles of a running PyBullet world, and what the robot holds (bodies `attached`).

        See `diffplan.pybullet.live.scene_from_pybullet`.

        Raises:
            InputError: naming the body that cannot be read.
        """
        return higher("pybullet.live:scene_from_pybullet")(
            client, robot_body=robot_body, robot=robot, ignore=ignore, attached=attached
        )

    def save(self, path: str | Path) -> None:
        """Write a scene file (YAML, `diffplan/scene@1`); meshes below its folder are named relative to it.

        Raises:
            InputError: if the scene has a name that no file can hold, or the file cannot be written.
        """
        higher("formats.scene_writer:save_scene")(self, path)

    def to_pybullet(self, client: int) -> dict[str, int]:
        """Put the obstacles into a running PyBullet world; returns the body of each by name.

        Raises:
            InputError: naming the obstacle whose file PyBullet cannot read.
        """
        return higher("pybullet.live:scene_to_pybullet")(self, client)

    def __repr__(self) -> str:
        kinds = Counter(type(obstacle).__name__.lower() for obstacle in self.obstacles)
        held = count(len(self.obstacles), "obstacle") if self.obstacles else "no obstacles"
        about = f"{held}: {', '.join(count(n, kind) for kind, n in kinds.items())}" if kinds else held
        x, y, z = self.robot_base.xyz
        robot = one_line(self.robot, 60) if self.robot else "robot"
        holds = f", holds {some(body.name for body in self.attached)}" if self.attached else ""
        asked = f"; queries {some(self.queries)}" if self.queries else ""
        where = f"{robot} at ({x:.3g}, {y:.3g}, {z:.3g}){holds}"
        return f"Scene({one_line(self.name, 40)!r}, {about}\n      {where}{asked})"

    def _repr_html_(self) -> str:
        """Return the words of `repr` and a picture, for notebooks; the words alone where nothing can be drawn."""

        def draw() -> str:
            return higher("pybullet.notebook:scene_picture")(self)

        return html(repr(self), draw)

    def obstacle(self, name: str) -> Obstacle:
        """Return the obstacle with this name.

        Raises:
            InputError: if there is none; the message lists the names there are.
        """
        name = arguments.text(name, "obstacle", allowed="the name of an obstacle")
        for obstacle in self.obstacles:
            if obstacle.name == name:
                return obstacle
        names = [o.name for o in self.obstacles]
        raise InputError(f"no obstacle named {name!r}{did_you_mean(name, names)}", key=self.name, allowed=names)

    def query(self, name: str) -> Query:
        """Return the query with this name.

        Raises:
            InputError: if there is none; the message lists the names there are.
        """
        if arguments.text(name, "query") not in self.queries:
            raise InputError(
                f"no query named {name!r}{did_you_mean(name, self.queries)}",
                key=f"{self.name}.queries",
                allowed=list(self.queries) or "none: give a start and a goal",
            )
        return self.queries[name]

    def add(self, *obstacles: Obstacle) -> Scene:
        """Return a copy with these obstacles added.

        Raises:
            InputError: if one is no obstacle, or its name is not new.
        """
        return replace(self, obstacles=(*self.obstacles, *obstacles))

    def remove(self, name: str) -> Scene:
        """Return a copy without the named obstacle, and without what was allowed of its contacts.

        Raises:
            InputError: if there is no such obstacle.
        """
        gone = self.obstacle(name)
        contacts = tuple(contact for contact in self.allowed_contacts if gone.name not in contact.pair)
        return replace(self, obstacles=tuple(o for o in self.obstacles if o is not gone), allowed_contacts=contacts)

    def move(self, name: str, pose: Pose) -> Scene:
        """Return a copy with the named obstacle at another pose.

        Raises:
            InputError: if there is no such obstacle, or the pose is none.
        """
        moved, pose = self.obstacle(name), Pose.of(pose, "pose")
        return replace(self, obstacles=tuple(replace(o, pose=pose) if o is moved else o for o in self.obstacles))

    def attach(
        self,
        name: str,
        *,
        robot: Robot,
        q: Sequence[float] | Float,
        link: str | None = None,
        may_touch: Sequence[str] | None = None,
    ) -> Scene:
        """Return a copy in which the robot holds the named obstacle as it lies relative to it at q.

        Args:
            name: of an obstacle.
            robot: who takes it.
            q: its joint positions [dof] (rad or m).
            link: the link that holds it; the tool's if None.
            may_touch: the links that may touch it; None as in `Attached`.

        Raises:
            InputError: if there is no such obstacle or link, q is no joint positions, or it is a plane.
        """
        taken = self.obstacle(name)
        robot = arguments.instance(robot, _robot_class(), "robot", allowed="a Robot (Robot.load gives one)")
        link = robot.tool_frame.link if link is None else arguments.text(link, "link")
        T_link_world = (self.robot_base @ self._link_pose(robot, q, link)).inverse()
        touched = None if may_touch is None else tuple(may_touch)
        held = Attached(obstacle=replace(taken, pose=T_link_world @ taken.pose), link=link, may_touch=touched)
        rest = tuple(o for o in self.obstacles if o is not taken)
        return replace(self, obstacles=rest, attached=(*self.attached, held))

    def detach(self, name: str, *, robot: Robot, q: Sequence[float] | Float) -> Scene:
        """Return a copy in which the robot has put the named held object down where it is at q [dof].

        Raises:
            InputError: if nothing of that name is held, or q is no joint positions.
        """
        names = [body.name for body in self.attached]
        index = names.index(arguments.one_of(name, "attached", names, "held object"))
        robot = arguments.instance(robot, _robot_class(), "robot", allowed="a Robot (Robot.load gives one)")
        held, rest = self.attached[index], (*self.attached[:index], *self.attached[index + 1 :])
        T_world_link = self.robot_base @ self._link_pose(robot, q, held.link)
        put = replace(held.obstacle, pose=T_world_link @ held.obstacle.pose)
        return replace(self, obstacles=(*self.obstacles, put), attached=rest)

    def allow(self, a: str, b: str, depth_m: float | None = None) -> Scene:
        """Return a copy in which two bodies may touch, up to a depth in m; an earlier allowance of the pair is gone.

        Args:
            a: the name of an obstacle, a held object or a link.
            b: likewise.
            depth_m: None: however deep.

        Raises:
            InputError: if these are not two names, or the depth is none.
        """
        new = AllowedContact(pair=(a, b), depth_m=depth_m)
        kept = tuple(contact for contact in self.allowed_contacts if set(contact.pair) != {a, b})
        return replace(self, allowed_contacts=(*kept, new))

    def _link_pose(self, robot: Robot, q: Sequence[float] | Float, link: str) -> Pose:
        """Return T_base_link at q [dof], the robot's fingers as the scene says."""
        at = arguments.array(q, "q", robot.dof, allowed=f"{robot.dof} joint positions")
        if at.ndim != 1:
            raise InputError("not one configuration", key="q", value=at.shape, allowed=f"{robot.dof} joint positions")
        stands = robot.standing({joint: value for joint, value in self.hold.items() if joint in robot.still_joints})
        return Pose.from_matrix(stands.link_pose(at, link)[0])


def _robot_class() -> type[Robot]:
    from diffplan.robot.model import Robot  # takes a while, and most scenes need none

    return Robot


class UnknownScene(Scene):
    """The scene of a plan file that does not hold it: its name is known, and all else is refused when it is asked for.

    An empty scene in its place would let everything pass.
    """

    def __init__(self, name: str, file: Path) -> None:
        """Remember the plan file that lacks the scene."""
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_file", file)

    def __repr__(self) -> str:
        return f"UnknownScene({one_line(self.name, 40)!r}: the plan file does not hold it)"

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"this plan file does not hold its scene {self.name!r}, which is needed here",
            file=getattr(self, "_file", None),
            allowed="plan files that do (key `world`); plan again to get one",
        )

    robot = robot_base = obstacles = queries = hold = property(_refuse)  # pyright: ignore[reportAssignmentType]
    attached = allowed_contacts = property(_refuse)  # pyright: ignore[reportAssignmentType]
