"""One thread for torch in all tests: two of them beside any busy process are far slower than one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import numpy as np

    from diffplan.learning.collision_model import FitReport
    from diffplan.problem import Trajectory
    from diffplan.robot.model import Robot

os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell does so for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the commands under test would inherit


@pytest.fixture(autouse=True, scope="session")
def own_fields(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither read nor write the user's distance fields."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffplan.geometry.field_files.cache_folder", lambda: folder)
        yield


@pytest.fixture(autouse=True, scope="session")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither read nor write the user's robots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFPLAN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(params=["float32", "bfloat16"], scope="module")
def products(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests in both types of matrix products, whichever this processor would choose by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFPLAN_PRODUCTS", request.param)
        yield request.param


_UR5 = """format: diffplan/robot@1
name: ur5
urdf: {file: package://example-robot-data/robots/ur_description/urdf/ur5_robot.urdf}
base_link: base_link
end_link: tool0
joints:
  shoulder_pan_joint: {velocity: 3.15, acceleration: 8.0, jerk: 500.0}
  shoulder_lift_joint: {velocity: 3.15, acceleration: 8.0, jerk: 500.0}
  elbow_joint: {velocity: 3.15, acceleration: 8.0, jerk: 500.0}
  wrist_1_joint: {velocity: 3.2, acceleration: 8.0, jerk: 500.0}
  wrist_2_joint: {velocity: 3.2, acceleration: 8.0, jerk: 500.0}
  wrist_3_joint: {velocity: 3.2, acceleration: 8.0, jerk: 500.0}
configurations:
  home: [0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0]
collision: collision.yaml
"""
_RAIL = """format: diffplan/robot@1
name: rail
urdf: {file: rail.urdf}
base_link: plate
end_link: palm
joints:
  slide: {velocity: 0.5, acceleration: 2.0, jerk: 50.0}
  pan: {velocity: 2.0, acceleration: 8.0, jerk: 300.0}
  lift: {velocity: 2.0, acceleration: 8.0, jerk: 300.0}
  elbow: {velocity: 2.0, acceleration: 8.0, jerk: 300.0}
  wrist: {velocity: 2.0, acceleration: 8.0, jerk: 300.0}
held_joints: {grip: 0.02, nod: 0.3}
configurations:
  home: [0.0, 0.0, 0.6, 1.2, 0.0]
collision: collision.yaml
"""


def _rail_urdf() -> str:
    """An arm of primitives on a rail: a counterweight follows its elbow, two fingers, and a head beside the rail."""
    links = {
        "floor": "",
        "plate": '<box size="0.5 0.16 0.04"/>',
        "cart": '<box size="0.16 0.16 0.1"/>',
        "turret": '<cylinder radius="0.06" length="0.12"/>',
        "upper": '<capsule radius="0.045" length="0.3"/>',
        "weight": '<sphere radius="0.05"/>',
        "fore": '<cylinder radius="0.04" length="0.28"/>',
        "palm": '<box size="0.05 0.12 0.04"/>',
        "left": '<box size="0.02 0.02 0.08"/>',
        "right": '<box size="0.02 0.02 0.08"/>',
        "neck": "",
        "head": '<box size="0.1 0.1 0.1"/>',
    }
    joints = [  # name, kind, parent, child, xyz, axis, limits, further
        ("mount", "fixed", "floor", "plate", "0 0 0.2", "0 0 1", "", ""),
        ("slide", "prismatic", "plate", "cart", "0 0 0.08", "1 0 0", "-0.3 0.3", ""),
        ("pan", "continuous", "cart", "turret", "0 0 0.12", "0 0 1", "", ""),
        ("lift", "revolute", "turret", "upper", "0 0 0.24", "0 1 0", "-2.2 2.2", ""),
        ("elbow", "revolute", "upper", "fore", "0 0 0.36", "0 1 0", "-2.5 2.5", ""),
        (
            "counter",
            "revolute",
            "turret",
            "weight",
            "0 0.16 0.1",
            "0 1 0",
            "",
            '<mimic joint="elbow" multiplier="-0.5"/>',
        ),
        ("wrist", "continuous", "fore", "palm", "0 0 0.2", "0 0 1", "", ""),
        ("grip", "prismatic", "palm", "left", "0 0.02 0.07", "0 1 0", "0 0.03", ""),
        ("follow", "prismatic", "palm", "right", "0 -0.02 0.07", "0 -1 0", "0 0.03", '<mimic joint="grip"/>'),
        ("post", "fixed", "floor", "neck", "0 0.55 0.6", "0 0 1", "", ""),
        ("nod", "revolute", "neck", "head", "0 0 0.1", "0 1 0", "-1 1", ""),
    ]
    shapes = {"upper": "0 0 0.18", "fore": "0 0 0.04", "weight": "0 0 0.08"}
    text = '<robot name="rail">'
    for name, shape in links.items():
        origin = f'<origin xyz="{shapes.get(name, "0 0 0")}"/>'
        text += f'<link name="{name}">' + (shape and f"<collision>{origin}<geometry>{shape}</geometry></collision>")
        text += "</link>"
    for name, kind, parent, child, xyz, axis, limits, more in joints:
        low, _, high = limits.partition(" ")
        limit = f'<limit lower="{low}" upper="{high}" effort="200" velocity="2"/>' if limits else ""
        text += f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        text += f'<origin xyz="{xyz}"/><axis xyz="{axis}"/>{limit}{more}</joint>'
    return text + "</robot>"


def _fitted(folder: Path) -> FitReport:
    """Fit spheres and sort link pairs in seconds: the first step of `diffplan robots fit`, coarser, on the hulls."""
    import numpy as np
    from scipy.spatial.distance import cdist

    from diffplan.formats.robot_file import load_robot
    from diffplan.geometry.sphere_fit import SphereFit
    from diffplan.learning.collision_model import FitReport, link_report, write_collision_file
    from diffplan.learning.link_pairs import ignored_pairs, sample_contacts
    from diffplan.robot.link_solid import LinkSolid

    robot, links = load_robot(folder, collision=False), {}
    uncovered, outside = 0.008, 0.005
    for link in robot.links:
        solid = LinkSolid.from_shapes(robot.model.collisions[link]).solid
        axes = [np.linspace(a, b, 3 + int((b - a) / 0.012))[1:-1] for a, b in solid.bounds.T]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        depth = solid.depth(grid)
        grid, radius = grid[depth > 0], depth[depth > 0] + outside
        covers = cdist(solid.surface(0.008), grid) <= radius + uncovered - 0.003
        assert covers.any(axis=1).all(), link
        chosen: list[int] = []
        while len(covers):
            chosen.append(int(covers.sum(axis=0).argmax()))
            covers = covers[~covers[:, chosen[-1]]]
        links[link] = SphereFit(centre=grid[chosen], radius=radius[chosen], uncovered=uncovered, outside=outside)
    contacts = sample_contacts(robot, links, 200)
    published = {link: LinkSolid.from_shapes(robot.model.collisions[link]) for link in robot.links}
    report = FitReport(
        file=folder / "collision.yaml",
        links=links,
        ignored=ignored_pairs(robot, contacts),
        pairs=contacts.pairs,
        shapes={link: link_report(own, own.solid) for link, own in published.items()},
    )
    write_collision_file(report)
    return report


@pytest.fixture
def coarse_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `robots add` fit coarsely: the fit has tests of its own."""
    monkeypatch.setattr("diffplan.learning.add_robot.fit_robot", lambda folder, parts: _fitted(Path(folder)))


@pytest.fixture(scope="session")
def rail_urdf() -> str:
    """The URDF of `rail_file`."""
    return _rail_urdf()


@pytest.fixture(scope="session")
def rail_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The robot file of an arm on a prismatic axis, with continuous joints, followers and a head off its chain."""
    folder = tmp_path_factory.mktemp("rail")
    (folder / "rail.urdf").write_text(_rail_urdf())
    (folder / "robot.yaml").write_text(_RAIL)
    _fitted(folder)
    return folder / "robot.yaml"


@pytest.fixture(scope="session")
def ur5_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The robot file of the UR5 of example-robot-data, found as a ROS package."""
    folder = tmp_path_factory.mktemp("ur5")
    (folder / "robot.yaml").write_text(_UR5)
    _fitted(folder)
    return folder / "robot.yaml"


@pytest.fixture(scope="session", params=["panda", "ur5", "rail"])
def any_robot(request: pytest.FixtureRequest) -> Robot:
    """The shipped arm, one of 6 joints from a published URDF, and one on a prismatic axis, of primitives."""
    from diffplan.robot.model import Robot

    name = request.param
    return Robot.load(name if name == "panda" else str(request.getfixturevalue(f"{name}_file")))


_ALWAYS_TOUCHING = ("panda_link7 panda_hand", "panda_hand panda_leftfinger", "panda_hand panda_rightfinger")


@pytest.fixture(scope="session")
def bare_panda() -> Robot:
    """The Panda without its fitted model: only adjacent links (and what hangs on the hand) ignored."""
    from diffplan.formats.robot_file import load_robot

    bare = load_robot("panda", collision=False)
    adjacent = [frozenset((j.parent, j.child)) for j in bare.model.joints.values()]
    always = [frozenset(pair.split()) for pair in _ALWAYS_TOUCHING]
    return replace(bare, touching=frozenset([*adjacent, *always]))


@pytest.fixture(scope="session")
def timed() -> Callable[..., Trajectory]:
    """Smooth timed paths."""
    return _timed


def _timed(path: np.ndarray, duration: float, step: float = 0.01) -> Trajectory:
    """Run along the straight pieces of a path [n, dof] with one smooth (quintic) time law; slow enough if long."""
    import numpy as np

    from diffplan.problem import Trajectory

    time = np.linspace(0.0, duration, int(np.ceil(duration / step)) + 1)
    x = time / duration
    along = 10 * x**3 - 15 * x**4 + 6 * x**5
    speed = (30 * x**2 - 60 * x**3 + 30 * x**4) / duration
    knots = np.linspace(0.0, 1.0, len(path))
    position = np.stack([np.interp(along, knots, joint) for joint in path.T], axis=1)
    if len(path) > 2:
        velocity = np.gradient(position, time, axis=0)
        velocity[[0, -1]] = 0.0
        acceleration = np.gradient(velocity, time, axis=0)
    else:
        velocity = speed[:, None] * (path[1] - path[0])
        acceleration = ((60 * x - 180 * x**2 + 120 * x**3) / duration**2)[:, None] * (path[1] - path[0])
    return Trajectory(time=time, position=position, velocity=velocity, acceleration=acceleration)


@pytest.fixture
def small_shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one shard of sixty scenes without obstacles, with a straight path each."""
    import numpy as np

    from diffplan.learning.shards import Shard, write_shard
    from diffplan.robot.model import Robot

    folder = tmp_path_factory.mktemp("data")
    panda = Robot.load("panda")
    start, goal = (panda.lower + panda.upper) / 2 + np.random.default_rng(0).uniform(-0.5, 0.5, (2, 60, 1, 7))
    s = np.linspace(0.0, 1.0, 64)[:, None]
    write_shard(
        Shard(
            seed=0,
            index=0,
            robot="panda",
            joint_names=panda.joint_names,
            versions={},
            waypoints=(start + (goal - start) * s).astype(np.float32),
            scene=np.arange(60, dtype=np.int32),
            kind=np.zeros(60, np.int8),
            clearance=np.full(60, 0.1, np.float32),
            family=("a",) * 60,
            obstacles=("[]",) * 60,
        ),
        folder,
    )
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program; without one the test is skipped, or fails where DIFFPLAN_TEST_BROWSER is `required`."""
    programs = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in programs if (found := shutil.which(name))), None)
    if program is None:
        reason = f"no browser: none of {', '.join(programs)} is installed (Debian: apt-get install chromium)"
        if os.environ.get("DIFFPLAN_TEST_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return program
