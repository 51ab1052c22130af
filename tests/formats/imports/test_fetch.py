"""Fetching, with a small package of the same make, found by pip in a folder instead of the index."""

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

import diffplan.benchmark.suite_fetch as suite_fetch
from diffplan.benchmark.suite_fetch import PublishedRobot, PublishedSuite, cache_file, fetch_suite
from diffplan.benchmark.suite_import import import_suite
from diffplan.cli import main
from diffplan.errors import InputError
from diffplan.formats.problems_file import load_problems
from diffplan.robot.model import Robot
from diffplan.system.assets import asset_folder, cache_folder

NAME, VERSION = "diffplan-test-problems", "1.0"
ROOT = "diffplan_test_problems-1.0"
PYPROJECT = '[build-system]\nrequires = ["nothing-that-exists"]\nbuild-backend = "nowhere.to.build"\n'


def archive(files: dict[str, bytes], mode: Literal["w:gz", "w:bz2"]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def suite(pairs: Callable[..., Path], tmp_path: Path, panda: Robot, monkeypatch: pytest.MonkeyPatch) -> PublishedSuite:
    """Publish two problems in a folder that pip looks into, with an empty cache and temporary folder."""
    folder = pairs(count=2)
    inner = {f"problems/shelf_panda/{path.name}": path.read_bytes() for path in folder.iterdir()}
    inner["problems/../../escaped_panda/notes.txt"] = b"not a scene"
    member = f"{ROOT}/resources/problems.tar.bz2"
    data = archive(
        {
            f"{ROOT}/PKG-INFO": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n".encode(),
            f"{ROOT}/pyproject.toml": PYPROJECT.encode(),
            member: archive(inner, "w:bz2"),
        },
        "w:gz",
    )
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / f"{ROOT}.tar.gz").write_bytes(data)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    made = PublishedSuite(
        name="mbm",
        title="two problems",
        source="a test",
        robot="panda",
        package=NAME,
        version=VERSION,
        backend="nowhere.to.build",
        archive_sha256=hashlib.sha256(data).hexdigest(),
        member=member,
        digest=import_suite([folder], name="", robot=panda, source="", show=False).digest(),
    )
    monkeypatch.setattr(suite_fetch, "PUBLISHED", {"mbm": made})
    return made


def left_behind(tmp_path: Path) -> list[Path]:
    return [path for name in ("cache", "tmp") for path in (tmp_path / name).rglob("*") if path.is_file()]


def test_a_fetched_suite_goes_by_its_name_and_is_fetched_once(
    suite: PublishedSuite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["suites"]) == 0
    assert "`diffplan suites fetch mbm` gets two problems" in capfd.readouterr().err
    assert main(["suites", "fetch", "mbm"]) == 0
    cached = tmp_path / "cache" / "diffplan" / "suites" / "mbm.json.gz"
    assert f"wrote {cached}: 2 problems; digest {suite.digest}" in capfd.readouterr().err
    assert left_behind(tmp_path) == [cached]
    assert [entry.id for entry in load_problems(cached).entries] == ["shelf/1", "shelf/2"]
    assert main(["check", "mbm"]) == 0
    capfd.readouterr()
    before = cached.stat().st_mtime_ns
    assert main(["suites", "fetch", "mbm"]) == 0
    assert f"mbm is there already: {cached}" in capfd.readouterr().err
    assert cached.stat().st_mtime_ns == before
    assert main(["suites"]) == 0
    (row,) = [line for line in capfd.readouterr().out.splitlines() if "mbm" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["mbm", "fetched", "panda", "2", "1", "shelf"]


def test_a_damaged_file_in_the_cache_is_fetched_again(
    suite: PublishedSuite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cached = cache_file(suite)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"\x1f\x8bnothing")
    assert main(["suites", "fetch", "mbm"]) == 0
    assert f"{cached} is damaged and is fetched again" in capfd.readouterr().err
    assert len(load_problems(cached).entries) == 2


def test_a_suite_may_be_written_elsewhere_and_from_an_archive_that_is_there_without_pip(
    suite: PublishedSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite_fetch, "_download", lambda *_: pytest.fail("asked pip"))
    out = tmp_path / "here.json"
    file = tmp_path / "links" / f"{ROOT}.tar.gz"
    assert main(["suites", "fetch", "mbm", "--out", str(out), "--archive", str(file)]) == 0
    assert len(load_problems(out).entries) == 2
    assert left_behind(tmp_path) == []
    assert file.exists()


def test_an_archive_with_another_checksum_is_refused_before_it_is_opened(
    suite: PublishedSuite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = replace(suite, archive_sha256="0" * 64)
    with pytest.raises(InputError, match=r"pip could not download .*: THESE PACKAGES DO NOT MATCH THE HASHES"):
        fetch_suite(other, cache_file(other), show=False)
    assert "Preparing metadata" not in capfd.readouterr().err
    file = tmp_path / "links" / f"{ROOT}.tar.gz"
    message = rf"{file}: sha256: not the archive that is expected \(found '{suite.archive_sha256}'\); allowed: 0000"
    with pytest.raises(InputError, match=message):
        fetch_suite(other, cache_file(other), archive=file, show=False)
    assert left_behind(tmp_path) == []


def test_without_the_package_there_is_one_clear_line_and_nothing_is_left(
    suite: PublishedSuite, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "links" / f"{ROOT}.tar.gz").unlink()
    assert main(["suites", "fetch", "mbm"]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith(f"diffplan: pip could not download {NAME} 1.0: Could not find a version that satisfies")
    assert line.endswith("allowed: a package index that pip can reach, or --archive FILE with the source distribution")
    assert left_behind(tmp_path) == []
    monkeypatch.setattr(suite_fetch, "find_spec", lambda name: None)
    assert main(["suites", "fetch", "mbm"]) == 2
    assert "this Python has no pip to download with" in capfd.readouterr().err


def test_problems_that_are_not_the_expected_ones_are_not_kept(suite: PublishedSuite, tmp_path: Path) -> None:
    other = replace(suite, digest="f" * 64)
    file = tmp_path / "links" / f"{ROOT}.tar.gz"
    with pytest.raises(InputError, match=r"digest: the converted problems are not the expected ones.*allowed: fff"):
        fetch_suite(other, cache_file(other), archive=file, show=False)
    moved = replace(suite, member=f"{ROOT}/elsewhere.tar.bz2")
    with pytest.raises(InputError, match=r"not readable as the expected archive: .*allowed: .*elsewhere.tar.bz2"):
        fetch_suite(moved, cache_file(moved), archive=file, show=False)
    assert left_behind(tmp_path) == []


def test_an_unknown_suite_is_refused_with_the_known_names(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["suites", "fetch", "mdm"]) == 2
    assert "no published suite 'mdm' (did you mean 'mbm'?); allowed: mbm" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("platform", "set_to", "expected"),
    [
        ("linux", {}, "home/.cache/diffplan"),
        ("linux", {"XDG_CACHE_HOME": "cache"}, "cache/diffplan"),
        ("darwin", {}, "home/Library/Caches/diffplan"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/diffplan/cache"),
    ],
)
def test_the_cache_lies_where_the_platform_keeps_caches(
    platform: str, set_to: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for key, value in {"HOME": "home", **set_to}.items():
        monkeypatch.setenv(key, str(tmp_path / value))
    monkeypatch.setattr("diffplan.system.assets.sys.platform", platform)
    assert cache_folder() == tmp_path / expected


CRANE_DIGEST = "72809a8e56123c65d3582120641138e961a8321e7636c222b38847f8068bdbd7"
ARM_URDF = """\
<robot name="crane">
  <link name="post"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link>
  <link name="boom"><collision><origin xyz="0.15 0 0"/><geometry><box size="0.3 0.04 0.04"/></geometry></collision>
  </link>
  <link name="hook"><collision><geometry><mesh filename="package://meshes/hook.obj"/></geometry></collision></link>
  <joint name="swing" type="revolute"><parent link="post"/><child link="boom"/><origin xyz="0 0 0.15"/>
    <axis xyz="0 0 1"/><limit lower="-3.1" upper="3.1" effort="1" velocity="1"/></joint>
  <joint name="dip" type="revolute"><parent link="boom"/><child link="hook"/><origin xyz="0.4 0 0"/>
    <axis xyz="0 1 0"/><limit lower="-1.5" upper="1.5" effort="1" velocity="1"/></joint>
</robot>
"""
ARM_SRDF = """\
<robot name="crane">
  <group name="arm"><chain base_link="post" tip_link="hook"/></group>
  <group_state name="home" group="arm"><joint name="swing" value="0"/><joint name="dip" value="0.5"/></group_state>
  <disable_collisions link1="post" link2="boom" reason="Adjacent"/>
  <disable_collisions link1="post" link2="wheel" reason="Never"/>
</robot>
"""
HOOK = (
    "".join(f"v {x} {y} {z}\n" for x in (-0.02, 0.02) for y in (-0.02, 0.02) for z in (-0.02, 0.02))
    + "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
)
CRANE_REQUEST = """\
start_state:
  joint_state: {name: [swing, dip, l_wheel_joint], position: [0, 0.5, 0]}
goal_constraints:
  - joint_constraints: [{joint_name: swing, position: 4.0}, {joint_name: dip, position: 0.2}]
group_name: arm
"""


@pytest.fixture
def crane(pairs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PublishedSuite, Path]:
    """A suite whose robot comes in the same archive, and the archive."""
    monkeypatch.setenv("DIFFPLAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scene = (pairs() / "scene0001.yaml").read_text()
    inner = {
        "problems/shelf_crane/scene0001.yaml": scene.replace("panda", "crane").encode(),
        "problems/shelf_crane/request0001.yaml": CRANE_REQUEST.encode(),
    }
    member = f"{ROOT}/crane/problems.tar.bz2"
    data = archive(
        {
            member: archive(inner, "w:bz2"),
            f"{ROOT}/crane/crane.urdf": ARM_URDF.encode(),
            f"{ROOT}/crane/crane.srdf": ARM_SRDF.encode(),
            f"{ROOT}/crane/meshes/hook.obj": HOOK.encode(),
            f"{ROOT}/crane/meshes/../../escaped.obj": HOOK.encode(),
        },
        "w:gz",
    )
    file = tmp_path / f"{ROOT}.tar.gz"
    file.write_bytes(data)
    described = PublishedRobot(
        folder=f"{ROOT}/crane",
        urdf="crane.urdf",
        srdf="crane.srdf",
        continuous=("swing",),
        without=("l_wheel_joint",),
    )
    made = PublishedSuite(
        name="mbm-crane",
        title="one problem",
        source="a test",
        robot="crane",
        package=NAME,
        version=VERSION,
        backend="nowhere.to.build",
        archive_sha256=hashlib.sha256(data).hexdigest(),
        member=member,
        digest=CRANE_DIGEST,
        suffix="_crane",
        description=described,
    )
    monkeypatch.setattr(suite_fetch, "PUBLISHED", {"mbm-crane": made})
    return made, file


def test_a_fetched_suite_brings_the_robot_that_its_problems_are_for(
    crane: tuple[PublishedSuite, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, file = crane
    command = ["suites", "fetch", "mbm-crane", "--archive", str(file)]
    assert main(command) == 0
    told = capfd.readouterr().err
    assert "swing: turns on and on, as the robot's does; the published URDF stops it at one turn" in told
    assert "crane.srdf: left out, 1 pair of links that the URDF has not" in told
    assert not list(tmp_path.rglob("escaped.obj"))
    robot = Robot.load("crane")
    assert robot.joint_names == ("swing", "dip")
    assert robot.continuous.tolist() == [True, False]
    assert set(robot.links) == {"post", "boom", "hook"}
    (entry,) = load_problems(tmp_path / "cache" / "diffplan" / "suites" / "mbm-crane.json.gz").entries
    assert (entry.id, list(entry.start)) == ("shelf/1", [0.0, 0.5])
    assert main(["check", "mbm-crane"]) == 0
    capfd.readouterr()
    assert main(command) == 0
    assert "mbm-crane is there already" in capfd.readouterr().err
    assert main(["robots", "remove", "crane"]) == 0
    assert main(command) == 0, "the robot was removed, so that it is added again"
    assert Robot.load("crane").joint_names == ("swing", "dip")


def test_another_robot_of_the_name_is_neither_replaced_nor_taken(
    crane: tuple[PublishedSuite, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, file = crane
    folder = tmp_path / "home" / "robots" / "crane"
    shutil.copytree(asset_folder("robots") / "iiwa", folder)
    before = (folder / "robot.yaml").read_bytes()
    assert main(["suites", "fetch", "mbm-crane", "--archive", str(file)]) == 2
    assert "another robot has the name that this suite's needs" in capfd.readouterr().err
    assert (folder / "robot.yaml").read_bytes() == before
