"""Random straight lines: how many are found of those that exist, whether they stay on the line, and how long it takes.

    python scripts/check_lines.py [--lines 500] [--robot panda] [--seed 0] [--show]

A line begins in a random free configuration of a shipped scene and goes 5 to 40 cm in the world or along the tool, a
third of them turning by up to 60 degrees. Where `plan_line` finds none, a dense search looks for one by other means: at
every 4 mm or 2 degrees all configurations that can be reached along the null space in steps of 0.05 rad, joined to
those of the place before; free is what PyBullet says is free, not the spheres. Deviations of certified motions are
measured by pytorch-kinematics at every 0.1 mm of the tool's way, on the cubics and on the straight joint lines between
the samples.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from scipy.spatial.transform import Rotation

import diffplan as dp
from diffplan.collision.obstacles import Obstacles
from diffplan.constraints.on_line import TOLERANCE_M, TOLERANCE_RAD, Segment
from diffplan.geometry.pose import Float
from diffplan.ik import error_and_jacobian
from diffplan.planners.task import packed
from diffplan.problem import Trajectory, robot_in
from diffplan.robot.model import Robot
from diffplan.system.assets import shipped_scenes

_APART_M, _APART_RAD, _NULL = 0.004, np.radians(2.0), 0.05
_JUMP = 0.3  # [rad] from one place to the next
_STEP_M = 1e-4


@dataclass(eq=False)
class Dense:
    """The dense search in one scene."""

    robot: Robot
    scene: dp.Scene
    certifier: dp.Certifier

    def __post_init__(self) -> None:
        self.model, self.world = packed(self.robot), Obstacles.around(self.robot, self.scene)
        self.tool = self.robot.tool_frame

    def exists(self, q: Float, segment: Segment) -> float:
        """Return how far along the line one comes from q [dof]: 1 where a way exists."""
        places = max(int(np.ceil(segment.length / _APART_M)), int(np.ceil(segment.angle / _APART_RAD)), 8)
        s = np.linspace(0.0, 1.0, places + 1)
        T = np.linalg.inv(self.scene.robot_base.matrix) @ segment.at(s) @ self.tool.pose.inverse().matrix
        nodes = self._spread(q[None], T[0])
        for i, goal in enumerate(T[1:]):
            moved, met = self._onto(nodes, goal)
            moved = moved[met & (np.abs((moved - nodes) * self.robot.metric).max(axis=1) < _JUMP)]
            moved = moved[self._free(moved)]
            if len(moved) == 0:
                return float(s[i])
            nodes = self._spread(moved, goal)
        return 1.0

    def _spread(self, q: Float, goal: Float) -> Float:
        """Return what is reached from q [n, dof] along the null space at one pose."""
        nodes = fresh = self._apart(q, q[:0])
        while len(fresh):
            _, J = error_and_jacobian(self.robot, self.tool.link, np.repeat(goal[None], len(fresh), axis=0), fresh)
            null = np.linalg.svd(J)[2][:, 6:]
            trial = (fresh[:, None] + _NULL * np.concatenate([null, -null], axis=1)).reshape(-1, self.robot.dof)
            trial = trial[np.all((trial > self.robot.lower) & (trial < self.robot.upper), axis=1)]
            trial, met = self._onto(self._apart(trial, nodes), goal)
            fresh = self._apart(trial[met], nodes)
            fresh = fresh[self._free(fresh)]
            nodes = np.concatenate([nodes, fresh])
        return nodes

    def _onto(self, q: Float, goal: Float) -> tuple[Float, np.ndarray]:
        """Return q [n, dof] led onto a pose by Gauss-Newton steps within the limits, and which came there."""
        if len(q) == 0:
            return q, np.zeros(0, dtype=bool)
        goals = np.repeat(goal[None], len(q), axis=0)
        for _ in range(15):
            error, J = error_and_jacobian(self.robot, self.tool.link, goals, q)
            if np.linalg.norm(error, axis=1).max() < 1e-8:
                break
            blocked = np.zeros(q.shape, dtype=bool)
            for _ in range(3):
                free = np.where(blocked[:, None], 0.0, J)
                step = (np.linalg.pinv(free, rcond=1e-4) @ error[..., None])[..., 0]
                beyond = (q + step < self.robot.lower) | (q + step > self.robot.upper)
                if not (beyond & ~blocked).any():
                    break
                blocked |= beyond
            q = np.clip(q + np.clip(step, -0.2, 0.2), self.robot.lower, self.robot.upper)
        error, _ = error_and_jacobian(self.robot, self.tool.link, goals, q)
        return q, np.linalg.norm(error, axis=1) < 1e-7

    def _free(self, q: Float) -> np.ndarray:
        """Return which of q [n, dof] are free: by the spheres where they leave no doubt, else by PyBullet."""
        if len(q) == 0:
            return np.zeros(0, dtype=bool)
        room = np.minimum(*self.model.clearance(self.world, q))
        spheres = self.robot.spheres
        free = room > spheres.uncovered
        for i in np.flatnonzero(~free & (room > -2 * spheres.outside)):
            free[i] = self.certifier.check(q[i]).free
        return free

    def _apart(self, q: Float, others: Float) -> Float:
        kept = list(others)
        first = len(kept)
        for row in q:
            if not kept or np.abs((np.array(kept) - row) * self.robot.metric).sum(axis=1).min() > 0.6 * _NULL:
                kept.append(row)
        return np.array(kept[first:]).reshape(-1, self.robot.dof)


def deviations(plan: dp.Plan, segment: Segment) -> tuple[float, float]:
    """Measure how far from its line [m, rad] the tool of a certified plan is, at every 0.1 mm of its way."""
    motion, tool = plan.trajectory, plan.robot.tool_frame
    assert motion is not None
    worst_m = worst_rad = 0.0
    for q in (_cubic(motion, segment), _straight(motion, segment)):
        poses = plan.robot.forward_kinematics(torch.from_numpy(q))[tool.link].numpy()
        poses = plan.scene.robot_base.matrix @ poses @ tool.pose.matrix
        begin, way = np.array(segment.begin.xyz), segment.shift
        s = np.clip((poses[:, :3, 3] - begin) @ way / max(way @ way, 1e-12), 0.0, 1.0)
        away = np.linalg.norm(poses[:, :3, 3] - begin - s[:, None] * way, axis=1)
        first = Rotation.from_quat(segment.begin.quat_xyzw)
        turn = (first.inv() * Rotation.from_quat(segment.end.quat_xyzw)).as_rotvec()
        on = first * Rotation.from_rotvec(s[:, None] * turn)
        turned = (on.inv() * Rotation.from_matrix(poses[:, :3, :3])).magnitude()
        worst_m, worst_rad = max(worst_m, float(away.max())), max(worst_rad, float(turned.max()))
    return worst_m, worst_rad


def _cubic(motion: Trajectory, segment: Segment) -> Float:
    count = 4 * int(np.ceil(segment.length / _STEP_M)) + 2000
    return motion.at(np.linspace(motion.time[0], motion.time[-1], count)).position


def _straight(motion: Trajectory, segment: Segment) -> Float:
    count = 4 * int(np.ceil(segment.length / _STEP_M)) + 2000
    at = np.linspace(motion.time[0], motion.time[-1], count)
    return np.stack([np.interp(at, motion.time, joint) for joint in motion.position.T], axis=1)


def random_line(rng: np.random.Generator) -> dp.Line:
    """Return a line of 5 to 40 cm: in the world, along the tool, or with a turn of up to 60 degrees."""
    way = rng.normal(size=3)
    x, y, z = (way * rng.uniform(0.05, 0.4) / np.linalg.norm(way)).tolist()
    kind = rng.integers(3)
    if kind == 0:
        return dp.Line(to=(x, y, z))
    if kind == 1:
        return dp.Line(to=(0.0, 0.0, float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.4))), frame="tool")
    axis = rng.normal(size=3)
    turn = Rotation.from_rotvec(axis * np.radians(rng.uniform(5, 60)) / np.linalg.norm(axis))
    return dp.Line(to=dp.Pose(xyz=(x, y, z), quat_xyzw=tuple(turn.as_quat().tolist())), frame="tool")


def main() -> None:
    """Plan, search densely, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print each line that exists and was not found")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(args.seed)
    scenes = [dp.Scene.load(name) for name in sorted(shipped_scenes())]
    bare = dp.Robot.load(args.robot)
    robots = [robot_in(bare, scene) for scene in scenes]
    certifiers = [dp.Certifier(robot, scene) for robot, scene in zip(robots, scenes, strict=True)]
    dense = [Dense(robot, scene, c) for robot, scene, c in zip(robots, scenes, certifiers, strict=True)]
    found, missed, impossible, above = 0, 0, 0, 0
    worst, share, times, failed_times, reasons = [0.0, 0.0], [0.0, 0.0], [], [], Counter[str]()
    dp.plan_line(robots[0], scenes[0], (robots[0].lower + robots[0].upper) / 2, dp.Line(to=(0, 0, 0.01)))
    for number in range(args.lines):
        k = number % len(scenes)
        while True:
            q = rng.uniform(robots[k].lower, robots[k].upper)
            if certifiers[k].check(q).free:
                break
        line = random_line(rng)
        begin = perf_counter()
        plan = dp.plan_line(robots[k], scenes[k], q, line)
        took = perf_counter() - begin
        pose = scenes[k].robot_base.matrix @ robots[k].link_pose(q, robots[k].tool_frame.link)[0]
        segment = line.from_begin(dp.Pose.from_matrix(pose @ robots[k].tool_frame.pose.matrix))
        if plan.solved and plan.certificate:
            found += 1
            times.append((took, plan.timing_s["plan"], plan.timing_s["certify"]))
            measured = deviations(plan, segment)
            for i, (limit, proven) in enumerate(
                zip((TOLERANCE_M, TOLERANCE_RAD), plan.certificate.constraints, strict=True)
            ):
                above += measured[i] > limit or measured[i] > proven.worst
                worst[i], share[i] = max(worst[i], measured[i]), max(share[i], proven.worst)
            continue
        failed_times.append(took)
        reach = dense[k].exists(q, segment)
        if reach == 1.0:
            missed += 1
            reasons[plan.status.value] += 1
            if args.show:
                print(number, scenes[k].name, q.tolist(), line, plan.message, flush=True)
        else:
            impossible += 1
    exist = found + missed
    print(
        f"{args.lines} lines of {args.robot}: {exist} exist, {found} found ({100 * found / max(exist, 1):.1f} %), ",
        end="",
    )
    print(f"{missed} missed ({dict(reasons)}), {impossible} do not exist by the dense search")
    print(f"above the tolerance or the proven bound: {above}")
    print(f"worst deviation measured {1000 * worst[0]:.3f} mm, {np.degrees(worst[1]):.4f} deg; ", end="")
    print(f"proven {1000 * share[0]:.3f} mm, {np.degrees(share[1]):.4f} deg")
    for name, part in zip(("whole call", "plan", "certify"), np.array(times).T, strict=True):
        print(f"{name}: median {1000 * np.median(part):.0f} ms, 95 % {1000 * np.quantile(part, 0.95):.0f} ms")
    if failed_times:
        print(f"whole call where none is found: median {1000 * np.median(failed_times):.0f} ms, ", end="")
        print(f"most {1000 * max(failed_times):.0f} ms")


if __name__ == "__main__":
    main()
