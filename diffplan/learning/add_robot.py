"""`diffplan robots add`: from a URDF to a folder with robot file, collision model and report."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.formats.robot_file import load_robot
from diffplan.formats.robot_writer import folder_word, robot_text, urdf_words
from diffplan.geometry.pose import Float
from diffplan.learning.collision_model import FitReport, fit_robot
from diffplan.learning.home import folded_home
from diffplan.learning.robot_report import report_text
from diffplan.pybullet.robot_picture import robot_picture
from diffplan.robot.discovery import Anatomy, Choice, Wishes, anatomy
from diffplan.robot.model import Robot
from diffplan.robot.package_folders import PackageFolders, package_folders
from diffplan.robot.packages import HERE
from diffplan.robot.rates import FIRM_UP, SLIDING, SPEED_UP, VELOCITY, urdf_velocity
from diffplan.robot.srdf import Srdf, find_srdf, load_srdf
from diffplan.robot.urdf import UrdfModel, load_urdf
from diffplan.scene import Scene
from diffplan.system.assets import shipped_robots, user_robots
from diffplan.system.files import folder_in_place, make_folder, write_bytes, write_text
from diffplan.system.progress import working
from diffplan.system.reading import parse_xml
from diffplan.words import some

_LONGEST, _SHORTEST = 5.0, 0.05  # m that an arm reaches
_FARTHEST_TURN = 20.0  # rad: three turns; the arms that we know turn two at most
_BULKY, _BULKY_BASE = 2.0, 20.0  # size of a link over the reach of its arm
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NO_SRDF = "none"


@dataclass(frozen=True, kw_only=True)
class AddRequest:
    """What `robots add` is asked for; what is None or empty is found out.

    `out` is the folder that the robot's folder is made in (None: the user's), `srdf` a file or `none`; `any_size` takes
    arms and meshes whose size speaks for other units than metres; `parts` is that of `fit_robot`.
    """

    urdf: Path
    name: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    package_path: Sequence[Path] = ()
    srdf: Path | None = None
    out: Path | None = None
    replace: bool = False
    any_size: bool = False
    parts: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Added:
    """The robot, the folder that was written, and what was found out."""

    robot: Robot
    folder: Path
    choices: tuple[Choice, ...]


def add_robot(request: AddRequest, tell: Callable[[Choice], None]) -> Added:
    """Make a robot folder of a URDF; whole or not at all. `tell` hears of each decision as it is made.

    Raises:
        InputError: if the URDF cannot be used, or a wish names what is not there.
    """
    choices: list[Choice] = []

    def decide(choice: Choice) -> None:
        choices.append(choice)
        tell(choice)

    packages = package_folders(request.urdf, request.package_path)
    model = load_urdf(request.urdf, packages=packages.folders)
    name = _name(request, model, decide)
    folder = (user_robots() if request.out is None else request.out) / name
    if folder.exists() and not request.replace:
        raise InputError("there is such a robot already", file=folder, allowed="--replace, or another --name")
    for package, why in packages.reasons.items():
        what, flag = f"package {package}", "--package-path DIR"
        if package == HERE:
            what, flag = "mesh folder", "`packages` in robot.yaml"
        decide(Choice(what=what, value=str(packages.folders[package]), why=why, flag=flag))
    for choice in _readings(model):
        decide(choice)
    srdf = _srdf(request, model, decide)
    parts = anatomy(model, request.wishes, srdf)
    for choice in parts.choices:
        decide(choice)
    _check_limits(model, parts)
    for choice in _rate_choices(model, parts):
        decide(choice)
    if not request.any_size:
        check_units(model, parts)
    make_folder(folder.parent)
    with folder_in_place(folder, replace=request.replace) as part:
        robot, fit = _filled(part, folder, name, request, packages, model, parts, srdf, decide)
        with working("writing the report"):
            write_bytes(part / "report.png", robot_picture(robot, robot.configuration("home")))
            write_text(part / "report.md", report_text(robot, str(request.urdf), choices, fit))
    return Added(robot=load_robot(folder), folder=folder, choices=tuple(choices))


def _filled(
    part: Path,
    folder: Path,
    name: str,
    request: AddRequest,
    packages: PackageFolders,
    model: UrdfModel,
    parts: Anatomy,
    srdf: Srdf | None,
    decide: Callable[[Choice], None],
) -> tuple[Robot, FitReport]:
    """Write robot file and collision model into `part`, which will stand at `folder`; returns the robot and its fit."""

    def write(configurations: dict[str, Float], exempt: Sequence[tuple[str, str]] = ()) -> Robot:
        words = {key: folder_word(place, folder, out=request.out) for key, place in packages.folders.items()}
        urdf = urdf_words(request.urdf, folder, out=request.out)
        text = robot_text(name, urdf, model, parts, packages=words, exempt=exempt, configurations=configurations)
        write_text(part / "robot.yaml", text)
        return load_robot(part, collision=(part / "collision.yaml").exists())

    write({})
    fit = fit_robot(str(part), parts=request.parts)
    exempt = _exempt(write({}), request, srdf, decide)
    robot = write({}, exempt)
    configurations = _configurations(robot, srdf, decide)
    return write(configurations, exempt), fit


def _name(request: AddRequest, model: UrdfModel, decide: Callable[[Choice], None]) -> str:
    """Return the robot's name: the user's, or the URDF's in the letters that a folder may have."""
    if request.name is None:
        name = re.sub(r"[^a-z0-9._-]+", "_", model.name.lower()).strip("._-") or "robot"
        decide(Choice(what="name", value=name, why="the URDF's", flag="--name NAME"))
    else:
        name = request.name
        if not _NAME.fullmatch(name):
            raise InputError("not a name for a folder", key="--name", value=name, allowed="letters, digits, . _ -")
    if name in shipped_robots() and request.out is None:
        raise InputError("a shipped robot has this name", key="--name", value=name, allowed="--name with another name")
    return name


def _srdf(request: AddRequest, model: UrdfModel, decide: Callable[[Choice], None]) -> Srdf | None:
    """Return the SRDF: the user's, or the one that lies with the URDF."""
    file = request.srdf or find_srdf(model)
    if file is None or str(request.srdf) == NO_SRDF:
        return None
    if request.srdf is None:
        why = "it lies with the URDF; its named states and its chain are taken, its exempt pairs only if you name it"
        decide(Choice(what="SRDF", value=str(file), why=why, flag=f"--srdf FILE|{NO_SRDF}"))
    srdf = load_srdf(file, model)
    if srdf.passed_over:
        why = "not about single values of the URDF's joints"
        flag = "`configurations` in robot.yaml"
        decide(Choice(what="states left out", value=", ".join(srdf.passed_over), why=why, flag=flag))
    return srdf


def _readings(model: UrdfModel) -> list[Choice]:
    """Return what of the file is read as something else, and links that are seen and do not collide."""
    found = []
    for kind, why in (("fixed", "what it carries stands where the file has it"), ("continuous", "no limits at all")):
        read = [f"{name} ({words})" for name, words in model.spelt.items() if model.joints[name].kind == kind]
        if read:
            found.append(Choice(what=f"read as {kind}", value=some(read), why=why, flag="the URDF"))
    links = parse_xml(model.source, model.file).findall("link")
    seen = [link.get("name", "") for link in links if link.find("visual") is not None]
    bare = [name for name in seen if not model.collisions[name]]
    if bare:
        why = "they have visual shapes only, and nothing keeps clear of those"
        found.append(
            Choice(what="links that do not collide", value=some(bare), why=why, flag="<collision> in the URDF")
        )
    return found


def _check_limits(model: UrdfModel, parts: Anatomy) -> None:
    """Make sure that joints that turn so far and no farther have limits."""
    for name in parts.joint_names:
        joint = model.joints[name]
        if joint.kind != "continuous" and not joint.limited:
            problem = f"{name} is {joint.kind}, is to be planned for, and has no position limits"
            found = f"{joint.lower:g} ... {joint.upper:g}" if joint.lower or joint.upper else None
            allowed = f"<limit lower=... upper=.../> in the URDF, the lower one below the upper, or --hold {name}=VALUE"
            raise InputError(problem, file=model.file, key=name, value=found, allowed=allowed)


def _rate_choices(model: UrdfModel, parts: Anatomy) -> list[Choice]:
    """Return what was decided about limits that the URDF does not tell."""
    told = {name: urdf_velocity(model, parts.joint_names, name) for name in parts.joint_names}
    flag = "`joints` in robot.yaml"
    found = []
    missing = [name for name, velocity in told.items() if velocity is None]
    if missing:
        value = f"{VELOCITY:g} rad/s" + (f", {SLIDING:g} m/s" if _slides(model, missing) else "")
        spelt = sorted({f"{model.velocity[name]:g}" for name in missing if name in model.velocity})
        why = f"{', '.join(missing)}: the URDF tells none"
        why += f", or one that only stands there ({', '.join(spelt)})" if spelt else ""
        found.append(Choice(what="velocity limits", value=f"{value} (default)", why=why, flag=flag))
    value = f"{SPEED_UP:g}/s times the velocity (default)"
    found.append(Choice(what="acceleration limits", value=value, why="no URDF tells them", flag=flag))
    value = f"{FIRM_UP:g}/s times the acceleration (default)"
    found.append(Choice(what="jerk limits", value=value, why="no URDF tells them", flag=flag))
    return found


def _slides(model: UrdfModel, joints: Sequence[str]) -> bool:
    return any(model.joints[name].kind == "prismatic" for name in joints)


def reach(model: UrdfModel, parts: Anatomy) -> float:
    """Return how far the tool can be from the first planning joint at most [m]: all links in one line."""
    names = [joint.name for joint in model.chain(parts.tool.link)]
    names = names[names.index(parts.joint_names[0]) :]
    length = float(np.linalg.norm(parts.tool.pose.xyz))
    for number, name in enumerate(names):
        joint = model.joints[name]
        length += float(np.linalg.norm(joint.origin.xyz)) if number else 0.0
        if joint.kind == "prismatic" and joint.limited:
            length += max(abs(joint.lower), abs(joint.upper))
    return length


def check_units(model: UrdfModel, parts: Anatomy) -> None:
    """Make sure that the arm and its links have sizes that arms in metres have, and joints limits that are in radians.

    Raises:
        InputError: if they speak for other units.
    """
    far = reach(model, parts)
    allowed = "lengths in metres; --any-size if they are"
    if far > _LONGEST or far < _SHORTEST:
        units = "millimetres or centimetres" if far > _LONGEST else "other units"
        problem = f"the arm would reach {far:.3g} m: is the file in {units}?"
        raise InputError(problem, file=model.file, allowed=allowed)
    for name in parts.joint_names:
        joint = model.joints[name]
        if joint.kind == "revolute" and max(-joint.lower, joint.upper) > _FARTHEST_TURN:
            problem = f"{name} would turn from {joint.lower:g} to {joint.upper:g} rad: are its limits in degrees?"
            hint = 'radians, or type="continuous" for a joint without limits; --any-size if they are'
            raise InputError(problem, file=model.file, key=name, allowed=hint)
    moving = {joint.child for joint in model.joints.values() if joint.kind != "fixed"}
    for link, shapes in model.collisions.items():
        corners = [part for shape in shapes for part in shape.corners()]
        if not corners:
            continue
        size = float(np.ptp(np.concatenate(corners), axis=0).max())
        carried = any(joint.child in moving for joint in model.chain(link))
        if size > far * (_BULKY if carried else _BULKY_BASE):
            files = ", ".join(str(file) for shape in shapes for file in shape.files)
            problem = f"{link} is {size:.3g} m across, on an arm that reaches {far:.3g} m: is its mesh in millimetres?"
            hint = 'scale="0.001 0.001 0.001" in its <mesh>; --any-size if it is in metres'
            raise InputError(problem, file=model.file, key=link, value=files or None, allowed=hint)


def _exempt(
    robot: Robot, request: AddRequest, srdf: Srdf | None, decide: Callable[[Choice], None]
) -> list[tuple[str, str]]:
    """Return the pairs that the user's SRDF exempts, and that do touch in some configurations but not in all."""
    if srdf is None:
        return []
    pairs = [
        (one, other)
        for one, other in robot.checked_pairs
        if srdf.disabled.get(frozenset((one, other)), "Never").lower() != "never"
    ]
    if not pairs:
        return []
    value = ", ".join(f"{one} - {other}" for one, other in pairs)
    if request.srdf is None:
        why = f"{srdf.file.name} exempts them; here they count, since they can touch"
        decide(Choice(what="pairs that count", value=value, why=why, flag="--srdf FILE"))
        return []
    why = f"they can touch, and {srdf.file.name} exempts them"
    decide(Choice(what="pairs that do not count", value=value, why=why, flag=f"--srdf {NO_SRDF}"))
    return pairs


def _configurations(robot: Robot, srdf: Srdf | None, decide: Callable[[Choice], None]) -> dict[str, Float]:
    """Return the named configurations: `home`, and the SRDF's states of all planning joints that are free."""
    found: dict[str, Float] = {}
    low, high = robot.limits
    with Certifier(robot, Scene()) as certifier:
        for (_, name), values in (srdf.states if srdf else {}).items():
            if not set(robot.joint_names) <= set(values):
                continue
            key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "state"
            q = np.array([values[joint] for joint in robot.joint_names])
            check = certifier.check(q)
            within = bool(((q >= low) & (q <= high)).all())
            if key in found or not within or not check.free:
                why = "outside the limits" if not within else check.contact or "there is one of that name"
                decide(Choice(what=f"state {name}", value="left out", why=why, flag="`configurations` in robot.yaml"))
                continue
            found[key] = q
    if "home" not in found:
        with working("looking for a folded configuration"):
            found = {"home": folded_home(robot), **found}
        value = ", ".join(f"{value:.4g}" for value in found["home"])
        why = "folded, free of contact, found by sampling"
    else:
        value, why = ", ".join(f"{value:.4g}" for value in found["home"]), "the SRDF's"
    decide(Choice(what="home", value=value, why=why, flag="`configurations` in robot.yaml"))
    others = [name for name in found if name != "home"]
    if others:
        why = "states of the SRDF that touch nothing"
        decide(Choice(what="configurations", value=", ".join(others), why=why, flag="`configurations` in robot.yaml"))
    return found
