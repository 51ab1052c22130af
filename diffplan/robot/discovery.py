"""What a URDF does not say outright: which joints are the arm, where it ends, what its gripper and its tool are.

Each decision is a `Choice` that names the flag of `diffplan robots add` that changes it. Links without geometry at the
root and fixed frames at the tip are told apart by their names, fingers by where the tree of joints parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from diffplan.errors import InputError, did_you_mean
from diffplan.geometry.pose import Float, Pose
from diffplan.robot.model import Gripper, Tool
from diffplan.robot.srdf import Srdf
from diffplan.robot.urdf import Joint, UrdfModel

_WORLD = re.compile(r"^(world|map|odom|origin|base_?foot_?print|.*dummy.*|root)(_(link|frame))?$", re.I)
_FINGER = re.compile(r"^(?!.*(yaw|roll|pitch)).*(grip|finger|jaw|claw|knuckle|thumb|pincer)", re.I)
_ARM_NAME = re.compile(r"arm|manip", re.I)
_TOOLS = tuple(  # usual names of tool frames, the most telling first
    re.compile(pattern, re.I)
    for pattern in (
        r"(^|_)tcp|tool_?cent(er|re)",
        r"grasp_?target|grasp(ing)?_(frame|link|point)|grip_?site|pinch",
        r"(^|_)tool0?(_?(frame|link|tip))?$",
        r"(^|_)(ee|eef|end_?effector|hand_?tip)(_?(frame|link|gripper.*))?$|ee_gripper_link",
        r"(^|_)flange",
    )
)
_ARM = 3  # moving joints of the shortest arm
_FINGERTIP = 0.01  # m from the end of the fingers to the tool between them


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user says; what is not given is found out. `hold` is in rad or m, `tool_offset` in m."""

    base: str | None = None
    tip: str | None = None
    tool: str | None = None
    tool_offset: tuple[float, float, float] | None = None
    joints: tuple[str, ...] | None = None
    hold: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One decision: what about, what was decided, why, and the flag that changes it."""

    what: str
    value: str
    why: str
    flag: str


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The parts of a robot, as `diffplan.robot.model.Robot` has them, and how they were found."""

    base_link: str
    end_link: str
    tool: Tool
    joint_names: tuple[str, ...]
    held_joints: dict[str, float]
    gripper: Gripper | None
    choices: tuple[Choice, ...]


def anatomy(model: UrdfModel, wishes: Wishes, srdf: Srdf | None = None) -> Anatomy:
    """Find the parts of a robot.

    Raises:
        InputError: if a wish names what is not there, or there is no chain of moving joints.
    """
    tree = _Tree(model)
    _check_names(model, wishes)
    choices: list[Choice] = []
    group = _arm_group(tree, srdf) if srdf and not (wishes.base or wishes.tip) else None
    base = _base(tree, wishes, group, choices)
    end, hand = _end(tree, base, wishes, srdf, group, choices)
    joints = _joints(tree, base, end, wishes, choices)
    gripper = _gripper(tree, end, joints, hand, srdf)
    held = _held(tree, joints, gripper, wishes, choices)
    tool = _tool(tree, end, gripper, held, wishes, choices)
    return Anatomy(
        base_link=base,
        end_link=end,
        tool=tool,
        joint_names=joints,
        held_joints=held,
        gripper=gripper,
        choices=tuple(choices),
    )


class _Tree:
    """The URDF's tree of joints, seen from its root."""

    def __init__(self, model: UrdfModel) -> None:
        self.model = model
        self.below: dict[str, list[Joint]] = {link: [] for link in model.collisions}
        self.above: dict[str, Joint] = {}
        for joint in model.joints.values():
            self.below[joint.parent].append(joint)
            self.above[joint.child] = joint

    def under(self, link: str) -> Iterator[Joint]:
        """Give all joints below a link, those nearer to it first."""
        found = list(self.below[link])
        for joint in found:
            yield joint
            found += self.below[joint.child]  # grows meanwhile

    def path(self, base: str, tip: str) -> list[Joint]:
        """Return the joints from a link to one below it.

        Raises:
            InputError: if it is not below.
        """
        joints: list[Joint] = []
        link = tip
        while link != base:
            if link not in self.above:
                raise InputError(f"{tip} is not below the base link {base}", key="--tip", value=tip)
            joints.insert(0, self.above[link])
            link = joints[0].parent
        return joints

    def moves(self, joint: Joint) -> bool:
        """Whether a joint, or one below it, is not fixed."""
        return joint.kind != "fixed" or any(other.kind != "fixed" for other in self.under(joint.child))

    def fixed_to(self, link: str) -> list[str]:
        """Return the links below that stand still to a link, and itself; the nearer first."""
        found = [link]
        for other in found:
            found += [joint.child for joint in self.below[other] if joint.kind == "fixed"]
        return found

    def has_geometry(self, link: str) -> bool:
        return bool(self.model.collisions[link])

    def body_of(self, link: str, base: str) -> str:
        """Return the topmost link that a link is fixed to."""
        while link != base and self.above[link].kind == "fixed":
            link = self.above[link].parent
        return link


def free(joint: Joint) -> bool:
    """Whether a joint moves and follows no other."""
    return joint.kind != "fixed" and joint.mimic is None


def _check_names(model: UrdfModel, wishes: Wishes) -> None:
    movable = [name for name, joint in model.joints.items() if free(joint)]
    links = {"--base": wishes.base, "--tip": wishes.tip, "--tool": wishes.tool}
    for flag, link in links.items():
        if link is not None and link not in model.collisions:
            problem = f"{model.file.name} has no such link{did_you_mean(link, model.collisions)}"
            raise InputError(problem, key=flag, value=link, allowed=model.collisions)
    for flag, names in (("--joints", wishes.joints or ()), ("--hold", wishes.hold)):
        for name in names:
            if name not in movable:
                raise InputError(_not_movable(model, name, movable), key=flag, value=name, allowed=movable)
    if wishes.tool is not None and wishes.tool_offset is not None:
        raise InputError("--tool and --tool-offset exclude each other", key="--tool", value=wishes.tool)


def _not_movable(model: UrdfModel, name: str, movable: list[str]) -> str:
    """Return in words why a joint can neither be planned for nor held."""
    joint = model.joints.get(name)
    if joint is None:
        return f"{model.file.name} has no such joint{did_you_mean(name, movable)}"
    return "it is fixed" if joint.mimic is None else f"it follows {joint.mimic.leader} (mimic)"


def _arm_group(tree: _Tree, srdf: Srdf) -> tuple[str, str, str] | None:
    """Return name, base and tip of the SRDF's chain with the most moving joints, those named arm first; or None."""
    found: list[tuple[bool, int, tuple[str, str, str]]] = []
    for name, (base, tip) in srdf.chains.items():
        try:
            moving = sum(map(free, tree.path(base, tip)))
        except InputError:
            continue  # a chain that begins elsewhere than above its tip
        if moving >= _ARM:
            found.append((bool(_ARM_NAME.search(name)), moving, (name, base, tip)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _base(tree: _Tree, wishes: Wishes, group: tuple[str, str, str] | None, choices: list[Choice]) -> str:
    """Return the base link: below a root like `world`, what the SRDF's chain stands on."""
    if wishes.base is not None:
        return wishes.base
    base, why = tree.model.root, "the root"
    while (
        not tree.has_geometry(base)
        and len(tree.below[base]) == 1
        and tree.below[base][0].kind == "fixed"
        and _WORLD.match(base)
    ):
        base, why = tree.below[base][0].child, f"the first link below the empty root {tree.model.root}"
    if group is not None and all(not free(joint) for joint in tree.path(tree.model.root, group[1])):
        still = set(tree.fixed_to(base))
        if group[1] in still:
            base, why = group[1], f"where the chain {group[0]!r} of the SRDF begins"
    choices.append(Choice(what="base", value=base, why=why, flag="--base LINK"))
    return base


def _end(
    tree: _Tree,
    base: str,
    wishes: Wishes,
    srdf: Srdf | None,
    group: tuple[str, str, str] | None,
    choices: list[Choice],
) -> tuple[str, bool]:
    """Return the link where the arm ends, and whether it carries fingers.

    An empty frame at the tip is a tool, not the end: the end is the last link with geometry on the way to it.
    """
    others: list[str] = []
    if wishes.tip is not None:
        tip, why, hand = wishes.tip, "", _carries_fingers(tree, wishes.tip)
    else:
        tip, hand, others = _longest(tree, base, set(srdf.hands) if srdf else set())
        why = "the link that carries the fingers" if hand else "the end of the longest chain of moving joints"
        own = hand and tip in (joint.parent for joint in tree.path(base, group[2])) if group else True
        if group is not None and not own and tip not in tree.fixed_to(tree.body_of(group[2], base)):
            tip, why, others = group[2], f"where the chain {group[0]!r} of the SRDF ends", []
            hand = _carries_fingers(tree, tip)
    end = tip
    if not hand:
        end = _with_geometry(tree, base, tip)
        if wishes.tip is None:
            end = _last_solid(tree, end)
    if not any(map(free, tree.path(base, end))):
        allowed = [joint.name for joint in tree.model.joints.values() if free(joint)] or "a URDF with moving joints"
        raise InputError(f"no joint moves {tip} against {base}", file=tree.model.file, allowed=allowed)
    if wishes.tip is None:
        also = f"; as long: {', '.join(others)}" if others else ""
        choices.append(Choice(what="tip", value=end, why=why + also, flag="--tip LINK"))
    elif end != tip:
        why = f"{tip} has no geometry and stands still to it"
        choices.append(Choice(what="tip", value=end, why=why, flag="--tip LINK"))
    return end, hand


def _with_geometry(tree: _Tree, base: str, tip: str) -> str:
    """Return the nearest link with geometry that the tip is fixed to; the link that moves it where none has any."""
    link = tip
    while not tree.has_geometry(link) and link != base and tree.above[link].kind == "fixed":
        link = tree.above[link].parent
    return link if tree.has_geometry(link) else tree.body_of(tip, base)


def _last_solid(tree: _Tree, link: str) -> str:
    """Return what is mounted last on a link: the farthest link with geometry, where each carries one at most."""
    while True:
        solid = [
            joint.child
            for joint in tree.below[link]
            if joint.kind == "fixed" and any(map(tree.has_geometry, tree.fixed_to(joint.child)))
        ]
        if len(solid) != 1:
            return link
        link = solid[0]


def _carries_fingers(tree: _Tree, link: str) -> bool:
    return any(joint.kind != "fixed" for joint in tree.under(link))


def _longest(tree: _Tree, base: str, hands: set[str]) -> tuple[str, bool, list[str]]:
    """Return the link where the longest chain of moving joints ends, whether it carries fingers, and its equals."""
    ends = _ends(tree, base, hands)
    most = max(count for count, _, _ in ends)
    best = [(link, hand) for count, link, hand in ends if count == most]
    return (*best[0], [link for link, _ in best[1:]])


def _ends(tree: _Tree, base: str, hands: set[str]) -> list[tuple[int, str, bool]]:
    """Return where chains end below a link: their moving joints, the link, and whether it carries fingers."""
    found: list[tuple[int, str, bool]] = []
    stack = [(base, 0)]
    while stack:
        link, count = stack.pop()
        branches = [joint for joint in tree.below[link] if tree.moves(joint)]
        if not branches or (link in hands and count >= _ARM) or _is_hand(tree, branches, count):
            found.append((count, link, bool(branches)))
        else:
            stack += [(joint.child, count + free(joint)) for joint in reversed(branches)]
    return found


def _is_hand(tree: _Tree, branches: list[Joint], count: int) -> bool:
    """Whether fingers begin here: several short branches, or one joint named like a finger, behind an arm."""
    depths = [_depth(tree, joint) for joint in branches]
    if len(branches) == 1:
        return branches[0].kind != "fixed" and bool(_FINGER.search(branches[0].name)) and count >= 2 and depths[0] <= 2
    many = len(branches) > 2 or max(depths) <= 5
    return (count > _ARM and many) or (count >= 2 and max(depths) <= 1)


def _depth(tree: _Tree, joint: Joint) -> int:
    """Return the most joints in a row, from this one on, that move and follow no other."""
    return max((_depth(tree, other) for other in tree.below[joint.child]), default=0) + free(joint)


def _joints(tree: _Tree, base: str, end: str, wishes: Wishes, choices: list[Choice]) -> tuple[str, ...]:
    """Return the planning joints: all that move the end by themselves and are not held."""
    path = [joint.name for joint in tree.path(base, end) if free(joint)]
    if wishes.joints is not None:
        for name in wishes.joints:
            if name not in path:
                raise InputError(f"not between {base} and {end}", key="--joints", value=name, allowed=path)
            if name in wishes.hold:
                raise InputError("both held and planned", key="--hold", value=name)
        return tuple(name for name in path if name in wishes.joints)
    joints = tuple(name for name in path if name not in wishes.hold)
    if not joints:
        raise InputError("all joints of the arm are held", key="--hold", value=list(wishes.hold))
    followers = [joint.name for joint in tree.path(base, end) if joint.mimic is not None]
    why = f"all that move {end} against {base}"
    why += f", but {', '.join(followers)}, which follow" if followers else ""
    choices.append(Choice(what="joints", value=", ".join(joints), why=why, flag="--joints A,B,..."))
    return joints


def _gripper(tree: _Tree, end: str, joints: tuple[str, ...], hand: bool, srdf: Srdf | None) -> Gripper | None:
    """Return the joints that move fingers, with their open and closed values, and the links that they move."""
    if not hand:
        return None
    top = tree.body_of(end, tree.model.root)
    movers = [joint for joint in tree.under(top) if joint.kind != "fixed" and joint.name not in joints]
    leaders = [joint for joint in movers if joint.mimic is None and joint.limited and _tells_ends(joint)]
    if not leaders:
        return None
    fingers = [link for joint in movers for link in tree.fixed_to(joint.child) if tree.has_geometry(link)]
    ranges = {}
    for joint in leaders:
        pair = _open_and_closed(tree, end, joint, fingers)
        told = _told(joint, "open", pair[0], srdf), _told(joint, "clos", pair[1], srdf)
        ranges[joint.name] = told if all(joint.lower <= value <= joint.upper for value in told) else pair
    return Gripper(joints=ranges, may_touch=tuple(dict.fromkeys(fingers)))


def _tells_ends(joint: Joint) -> bool:
    """Whether a finger may be open at one of its limits: not where they are more than a turn apart."""
    return joint.kind == "prismatic" or joint.upper - joint.lower <= 2 * np.pi


def _told(joint: Joint, word: str, otherwise: float, srdf: Srdf | None) -> float:
    """Return the value of a joint in the SRDF's state whose name begins so, such as `open`."""
    states = srdf.states.items() if srdf else ()
    values = [state[joint.name] for (_, name), state in states if name.lower().startswith(word) and joint.name in state]
    return values[0] if values else otherwise


def _open_and_closed(tree: _Tree, end: str, joint: Joint, fingers: list[str]) -> tuple[float, float]:
    """Return the value of a joint at which the fingers stand farthest apart, and the other end of its range."""
    lower, upper = joint.lower, joint.upper
    apart = [_apart(tree, end, fingers, {joint.name: value}) for value in (lower, upper)]
    return (lower, upper) if apart[0] > apart[1] + 1e-6 else (upper, lower)


def _apart(tree: _Tree, end: str, fingers: list[str], values: dict[str, float]) -> float:
    """Return how far apart [m] fingers, and the hand if it has a single one, are on average."""
    poses = tree.model.link_poses(tree.model.filled(values))
    links = fingers if len(fingers) > 1 else [*fingers, end]
    middles = np.array([(poses[link] @ np.append(_middle(tree, link), 1.0))[:3] for link in links])
    return float(np.linalg.norm(middles[:, None] - middles, axis=-1).mean())


def _middle(tree: _Tree, link: str) -> Float:
    """Return the middle [3] of a link's bounding box, in its frame."""
    corners = _corners(tree, link)
    return (corners.min(axis=0) + corners.max(axis=0)) / 2 if len(corners) else np.zeros(3)


def _corners(tree: _Tree, link: str) -> Float:
    """Return corners [n, 3] of a link's geometry, in its frame."""
    found = [part for shape in tree.model.collisions[link] for part in shape.corners()]
    return np.concatenate(found) if found else np.zeros((0, 3))


def _held(
    tree: _Tree, joints: tuple[str, ...], gripper: Gripper | None, wishes: Wishes, choices: list[Choice]
) -> dict[str, float]:
    """Return where the other joints are held: as the user says, fingers open, else at zero or the limit next to it."""
    opened = {name: values[0] for name, values in gripper.joints.items()} if gripper else {}
    held, why = {}, []
    for joint in tree.model.joints.values():
        if not free(joint) or joint.name in joints:
            continue
        if joint.name in wishes.hold:
            held[joint.name] = float(wishes.hold[joint.name])
            if joint.limited and not joint.lower <= held[joint.name] <= joint.upper:
                allowed = f"{joint.lower:.6g} ... {joint.upper:.6g}"
                problem = f"outside the limits of {joint.name}"
                raise InputError(problem, key="--hold", value=held[joint.name], allowed=allowed)
        elif joint.name in opened:
            held[joint.name] = opened[joint.name]
        else:
            held[joint.name] = min(max(0.0, joint.lower), joint.upper) if joint.limited else 0.0
    chosen = {name: value for name, value in held.items() if name not in wishes.hold}
    if set(chosen) & set(opened):
        why.append("the gripper open")
    if set(chosen) - set(opened):
        why.append("what is not on the way to the tip at zero, or the limit next to zero")
    if chosen:
        value = ", ".join(f"{name}={value:.6g}" for name, value in chosen.items())
        choices.append(Choice(what="held", value=value, why=", ".join(why), flag="--hold JOINT=VALUE"))
    if gripper is not None:
        words = "; ".join(f"{name} {o:.4g} open, {c:.4g} closed" for name, (o, c) in gripper.joints.items())
        followers = [name for name in tree.model.joints if set(tree.model.leaders(name)) & set(gripper.joints)]
        why = f"followed by {', '.join(followers)}" if followers else "none follows"
        choices.append(Choice(what="gripper", value=words, why=why, flag="`gripper` in robot.yaml"))
    return held


def _tool(
    tree: _Tree, end: str, gripper: Gripper | None, held: dict[str, float], wishes: Wishes, choices: list[Choice]
) -> Tool:
    """Return the tool frame: the user's, one with a usual name, between the fingers, or the end link's."""
    if wishes.tool is not None:
        moved = tree.body_of(end, tree.model.root)
        if wishes.tool not in tree.fixed_to(moved):
            allowed = tree.fixed_to(moved)
            raise InputError(f"does not stand still to {end}", key="--tool", value=wishes.tool, allowed=allowed)
        return Tool(link=wishes.tool)
    if wishes.tool_offset is not None:
        return Tool(link=end, pose=Pose(xyz=wishes.tool_offset))
    link = _tool_frame(tree, end)
    flag = "--tool LINK | --tool-offset X,Y,Z"
    if link is None and gripper is None:
        link = _tool_frame(tree, tree.body_of(end, tree.model.root))
    if link is not None:
        choices.append(Choice(what="tool", value=link, why="a fixed frame with a usual name", flag=flag))
        return Tool(link=link)
    if gripper is not None and gripper.may_touch:
        tool = Tool(link=end, pose=Pose(xyz=_between_fingers(tree, end, gripper, held)))
        x, y, z = tool.pose.xyz
        why = "between the fingertips: no frame has a usual name"
        choices.append(Choice(what="tool", value=f"({x:.4g}, {y:.4g}, {z:.4g}) m in {end}", why=why, flag=flag))
        return tool
    choices.append(Choice(what="tool", value=end, why="no frame has a usual name", flag=flag))
    return Tool(link=end)


def _tool_frame(tree: _Tree, link: str) -> str | None:
    """Return the frame fixed to a link that is named like a tool, the most telling name and then the farthest first."""
    frames = tree.fixed_to(link)[1:][::-1]
    for pattern in _TOOLS:
        for frame in frames:
            if pattern.search(frame):
                return frame
    return None


def _between_fingers(tree: _Tree, end: str, gripper: Gripper, held: dict[str, float]) -> tuple[float, float, float]:
    """Return the point [m] of the end link's frame between the fingers, 1 cm before their ends, to 1 mm."""
    poses = tree.model.link_poses(tree.model.filled(held))
    T_end_root = np.linalg.inv(poses[end])
    points = []
    for link in gripper.may_touch:
        corners = _corners(tree, link)
        points.append((np.c_[corners, np.ones(len(corners))] @ (T_end_root @ poses[link]).T)[:, :3])
    low, high = np.concatenate(points).min(axis=0), np.concatenate(points).max(axis=0)
    middle = (low + high) / 2
    axis = int(np.abs(middle).argmax())
    middle[axis] = high[axis] - _FINGERTIP if middle[axis] > 0 else low[axis] + _FINGERTIP
    x, y, z = (round(float(value), 3) + 0.0 for value in middle)
    return x, y, z
