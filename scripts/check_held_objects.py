"""Held objects against brute force: certified plans that carry something, and motions that touch by half a millimetre.

    python scripts/check_held_objects.py --plans 300 --touching 300 --seed 0

First, plans with a random box, cylinder or mesh in the hand (random sizes and grasps) in the shipped scenes, by several
arms. Every certified one is followed at steps of 0.002 rad in plain PyBullet, the object as a body put where the link
is, and its contacts with the obstacles and with the links that move against it are counted: there must be none.

Second, certified motions with an obstacle put where the object, and nothing else, enters it by 0.5 mm at one place.
Without the object they must be certified; with it, all must be refused.

The judge here shares no code with the certificate: it is PyBullet's own reading of the URDF, and bodies of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pybullet as bullet
import trimesh

import diffplan as dp

ARMS = ("panda", "panda", "panda", "ur5", "iiwa")
SCENES = (
    *("bookshelf", "cage", "deep_shelf", "facing_shelves", "kitchen_counter", "open_bin", "tabletop_clutter"),
    "under_table",
)
KINDS = ("box", "cylinder", "rod", "mesh", "hollow")
STEP, ENTERS = 0.002, 0.0005  # rad, m
SIGHT = 0.02


class Judge:
    """Plain PyBullet: an arm from its URDF, obstacles, and an object that is put where a link is."""

    def __init__(self, robot: dp.Robot, scene: dp.Scene) -> None:
        assert scene.robot_base == dp.Pose()
        self.client = bullet.connect(bullet.DIRECT)
        at = {"physicsClientId": self.client}
        self.arm = bullet.loadURDF(str(robot.model.file), useFixedBase=True, **at)
        infos = [bullet.getJointInfo(self.arm, j, **at) for j in range(bullet.getNumJoints(self.arm, **at))]
        joints = {info[1].decode(): info[0] for info in infos}
        links = {info[12].decode(): info[0] for info in infos}
        for name, value in {**robot.held_joints, **scene.hold}.items():
            bullet.resetJointState(self.arm, joints[name], value, **at)
        self.joints = [joints[name] for name in robot.joint_names]
        (attached,) = scene.attached
        self.link, self.T_link_held = links[attached.link], attached.obstacle.pose
        self.held = self.body(attached.obstacle)
        self.obstacles = [self.body(obstacle) for obstacle in scene.obstacles]
        # Links that collide as convex parts stand in for meshes that PyBullet would take the hulls of: take the meshes.
        published = {links[link]: shapes for link, shapes in robot.model.published.items()}
        self.meshes = {
            link: [(self.body(dp.Mesh(name="m", file=s.file, scale=s.scales[0])), s.pose) for s in shapes if s.files]
            for link, shapes in published.items()
        }
        self.links = self.moving_against(len(infos), robot)

    def body(self, obstacle: object) -> int:
        """Make a body of an obstacle, at its pose."""
        at, pose = {"physicsClientId": self.client}, obstacle.pose
        if isinstance(obstacle, dp.Urdf):
            return bullet.loadURDF(
                str(obstacle.file), pose.xyz, pose.quat_xyzw, useFixedBase=True, globalScaling=obstacle.scale, **at
            )
        words = {}
        if isinstance(obstacle, dp.Box):
            kind, words = bullet.GEOM_BOX, {"halfExtents": [edge / 2 for edge in obstacle.size]}
        elif isinstance(obstacle, dp.Sphere):
            kind, words = bullet.GEOM_SPHERE, {"radius": obstacle.radius}
        elif isinstance(obstacle, dp.Mesh):
            kind, words = bullet.GEOM_MESH, {"fileName": str(obstacle.file), "meshScale": [obstacle.scale] * 3}
            if not obstacle.convex:
                words["flags"] = bullet.GEOM_FORCE_CONCAVE_TRIMESH
        else:
            kind = bullet.GEOM_CYLINDER if isinstance(obstacle, dp.Cylinder) else bullet.GEOM_CAPSULE
            words = {"radius": obstacle.radius, "height": obstacle.height}
        shape = bullet.createCollisionShape(kind, **words, **at)
        return bullet.createMultiBody(0, shape, basePosition=pose.xyz, baseOrientation=pose.quat_xyzw, **at)

    def moving_against(self, count: int, robot: dp.Robot) -> list[int]:
        """Return the links that move against the link that holds: those at another place seen from it when it moved."""
        rng, seen = np.random.default_rng(0), []
        for q in rng.uniform(robot.lower, robot.upper, (3, robot.dof)):
            self.place(q)
            frames = [self.frame(link) for link in range(-1, count)]
            seen.append([np.linalg.inv(self.frame(self.link)) @ frame for frame in frames])
        return [link - 1 for link in range(count + 1) if np.ptp([frames[link] for frames in seen], axis=0).max() > 1e-4]

    def frame(self, link: int) -> np.ndarray:
        """Return the frame of a link [4, 4] (-1: base)."""
        if link < 0:
            xyz, quat = bullet.getBasePositionAndOrientation(self.arm, physicsClientId=self.client)
        else:
            state = bullet.getLinkState(self.arm, link, computeForwardKinematics=True, physicsClientId=self.client)
            xyz, quat = state[4], state[5]
        return dp.Pose(xyz=xyz, quat_xyzw=quat).matrix

    def place(self, q: np.ndarray) -> None:
        """Put the arm at q [dof], and the object where the link is."""
        for joint, value in zip(self.joints, q, strict=True):
            bullet.resetJointState(self.arm, joint, value, physicsClientId=self.client)
        self.put(self.held, dp.Pose.from_matrix(self.frame(self.link)) @ self.T_link_held)
        for link, meshes in self.meshes.items():
            for mesh, pose in meshes:
                self.put(mesh, dp.Pose.from_matrix(self.frame(link)) @ pose)

    def put(self, body: int, pose: dp.Pose) -> None:
        """Put a body at a pose (world)."""
        bullet.resetBasePositionAndOrientation(body, pose.xyz, pose.quat_xyzw, physicsClientId=self.client)

    def contacts(self, q: np.ndarray) -> tuple[float, float]:
        """Return the least distances at q [m]: of the object from obstacles and links, of the arm from obstacles."""
        self.place(q)
        at = {"physicsClientId": self.client}
        held = [p[8] for other in self.obstacles for p in bullet.getClosestPoints(self.held, other, SIGHT, **at)]
        for link in self.links:
            ends = [(mesh, -1) for mesh, _ in self.meshes.get(link, ())] or [(self.arm, link)]
            for body, index in ends:
                held += [p[8] for p in bullet.getClosestPoints(body, self.held, SIGHT, linkIndexA=index, **at)]
        arm = []
        for other in self.obstacles:
            found = bullet.getClosestPoints(self.arm, other, SIGHT, **at)
            arm += [p[8] for p in found if p[3] > 0 and p[3] not in self.meshes]
            for link in self.meshes:
                for mesh, _ in self.meshes[link]:
                    arm += [p[8] for p in bullet.getClosestPoints(mesh, other, SIGHT, **at)]
        return min(held, default=SIGHT), min(arm, default=SIGHT)

    def least(self, path: np.ndarray) -> tuple[float, float]:
        """Return the least of `contacts` along a path [n, dof], at steps of 0.002 rad in any joint."""
        found = np.array([self.contacts(q) for q in finely(path)])
        return float(found[:, 0].min()), float(found[:, 1].min())

    def close(self) -> None:
        """Give the client back."""
        bullet.disconnect(physicsClientId=self.client)


def finely(path: np.ndarray) -> np.ndarray:
    """Return a path [n, dof] at steps of 0.002 rad at most along its straight lines."""
    pieces = [path[:1]]
    for a, b in pairwise(path):
        steps = max(1, int(np.ceil(np.abs(b - a).max() / STEP)))
        pieces.append(a + np.linspace(0, 1, steps + 1)[1:, None] * (b - a))
    points = np.concatenate(pieces)
    kept = [0]
    for i in range(1, len(points)):  # samples of a slow motion are nearer to each other than that
        if i == len(points) - 1 or np.abs(points[i + 1] - points[kept[-1]]).max() > STEP:
            kept.append(i)
    return points[kept]


def drawn(kind: str, rng: np.random.Generator, folder: Path, number: int) -> tuple[dp.Box, float]:
    """Return an object of this kind, and how far it reaches along its z axis from its middle (m)."""
    if kind == "box":
        size = rng.uniform([0.01, 0.01, 0.04], [0.12, 0.12, 0.2])
        return dp.Box(name="held", size=tuple(size.tolist())), size[2] / 2
    if kind in ("cylinder", "rod"):
        radius, height = (
            (rng.uniform(0.01, 0.06), rng.uniform(0.04, 0.2))
            if kind == "cylinder"
            else (rng.uniform(0.004, 0.012), rng.uniform(0.3, 0.7))
        )
        return dp.Cylinder(name="held", radius=float(radius), height=float(height)), height / 2
    file = folder / f"held{number}.obj"
    if kind == "mesh":
        points = rng.normal(size=(20, 3)) * rng.uniform(0.01, 0.05, 3)
        made = trimesh.convex.convex_hull(points)
    else:
        inner = rng.uniform(0.02, 0.05)
        made = trimesh.creation.annulus(r_min=inner, r_max=inner + 0.004, height=rng.uniform(0.05, 0.15))
    made.apply_translation(-made.bounds.mean(axis=0))
    made.export(file)
    return dp.Mesh(name="held", file=file, convex=kind == "mesh"), float(np.ptp(made.bounds[:, 2])) / 2


def grasped(robot: dp.Robot, thing: dp.Box, reach: float, rng: np.random.Generator) -> dp.Attached:
    """Return a random grasp: the object before the tool, turned about its axis, a rod across it."""
    across = isinstance(thing, dp.Cylinder) and thing.height > 0.25
    turn = (np.pi / 2 if across else rng.normal(0, 0.3), rng.normal(0, 0.3), 0.0)
    ahead = rng.uniform(0.0, 0.03) + (0.02 if across else reach)
    spin = dp.Pose.turned((0.0, 0.0, float(ahead)), (0.0, 0.0, float(rng.uniform(-np.pi, np.pi))))
    pose = robot.tool_frame.pose @ spin @ dp.Pose.turned((0.0, 0.0, 0.0), turn)
    return dp.Attached(obstacle=replace(thing, pose=pose), link=robot.tool_frame.link)


def certified_plans(count: int, rng: np.random.Generator, folder: Path) -> list[dp.Plan]:
    """Plan until so many are certified; starts and goals are free places of random configurations."""
    robots, scenes = {name: dp.Robot.load(name) for name in ARMS}, {name: dp.Scene.load(name) for name in SCENES}
    found: list[dp.Plan] = []
    tried = 0
    while len(found) < count:
        tried += 1
        robot = robots[ARMS[tried % len(ARMS)]]
        kind = KINDS[tried % len(KINDS)] if tried % 2 else KINDS[int(rng.integers(len(KINDS)))]
        thing, reach = drawn(kind, rng, folder, tried)
        scene = replace(scenes[SCENES[int(rng.integers(len(SCENES)))]], hold={}, queries={}, robot=None)
        scene = replace(scene, attached=(grasped(robot, thing, reach, rng),))
        with dp.Certifier(robot, scene) as certifier:
            home = robot.configuration("home")
            free = [
                q for q in home + rng.normal(0, 0.8, (30, robot.dof)) if _inside(robot, q) and certifier.check(q).free
            ]
        if len(free) < 2:
            continue
        plan = dp.plan(robot, scene, free[0], free[-1], planner="rrtconnect", seed=tried, timeout=3.0)
        if plan.solved:
            found.append(plan)
            print(f"\r{len(found)} certified of {tried} tried", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


def _inside(robot: dp.Robot, q: np.ndarray) -> bool:
    return bool((q > robot.lower).all() and (q < robot.upper).all())


def corners(thing: object) -> np.ndarray:
    """Return points [n, 3] of an object's surface, in its own frame."""
    if isinstance(thing, dp.Mesh):
        return np.asarray(thing.surface().convex_hull.vertices)
    if isinstance(thing, dp.Box):
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        return signs * np.array(thing.size) / 2
    angle = np.linspace(0, 2 * np.pi, 721)
    ring = np.stack([thing.radius * np.cos(angle), thing.radius * np.sin(angle), np.zeros_like(angle)], axis=1)
    return np.concatenate([ring + np.array([0, 0, z]) for z in (-thing.height / 2, thing.height / 2)])


def entering(plan: dp.Plan, rng: np.random.Generator) -> dp.Box | None:
    """Return a small box that the object enters by 0.5 mm at one place of the motion, farther along a direction than it
    ever comes otherwise; None if there is no such place inside the motion.
    """
    (attached,) = plan.scene.attached
    path = finely(plan.trajectory.position)
    T_link_held = attached.obstacle.pose.matrix
    frames = plan.robot.link_pose(path, attached.link) @ T_link_held
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    points = corners(attached.obstacle)
    ahead = (np.einsum("nij,i->nj", frames[:, :3, :3], way) @ points.T).max(axis=1) + frames[:, :3, 3] @ way
    at = int(np.argmax(ahead))
    if not 0 < at < len(path) - 1:
        return None
    world = points @ frames[at, :3, :3].T + frames[at, :3, 3]
    touch = world[int(np.argmax(world @ way))]
    side = np.cross(way, np.eye(3)[np.argmin(np.abs(way))])
    side /= np.linalg.norm(side)
    turn = np.stack([side, np.cross(way, side), way], axis=1)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, touch + (0.01 - ENTERS) * way
    return dp.Box(name="touched", size=(0.02, 0.02, 0.02), pose=dp.Pose.from_matrix(matrix))


def main() -> int:
    """Run both checks; 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=300)
    parser.add_argument("--touching", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, wrong = np.random.default_rng(args.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        plans = certified_plans(args.plans, rng, Path(folder))
        kinds: Counter[str] = Counter()
        least, steps = np.inf, 0
        for number, plan in enumerate(plans):
            judge = Judge(plan.robot, plan.scene)
            held, arm = judge.least(plan.trajectory.position)
            judge.close()
            steps += len(finely(plan.trajectory.position))
            least = min(least, held)
            kinds[f"{plan.robot.name}, {type(plan.scene.attached[0].obstacle).__name__.lower()}"] += 1
            if min(held, arm) <= 0:
                wrong += 1
                print(f"CONTACT: plan {number}: {plan}: object {1000 * held:.3f} mm, arm {1000 * arm:.3f} mm")
            print(f"\r{number + 1} plans followed", end="", file=sys.stderr)
        print(file=sys.stderr)
        for kind, number in sorted(kinds.items()):
            print(f"  {kind}: {number}")
        print(f"{len(plans)} certified plans, {steps} configurations: {wrong} plans with a contact")
        print(f"nearest that an object came: {1000 * least:.3f} mm")
        refused = accepted = number = 0
        while refused + accepted < args.touching:
            plan = plans[number % len(plans)]
            number += 1
            box = entering(plan, rng)
            if box is None or number > 100 * args.touching:
                if number > 100 * args.touching:
                    break
                continue
            ends = {"start": plan.start, "goals": plan.trajectory.position[-1:]}
            scene = plan.scene.add(box)
            with dp.Certifier(plan.robot, replace(scene, attached=())) as certifier:
                if not certifier.certify(plan.trajectory, **ends).valid:
                    continue  # the arm itself touches it
            with dp.Certifier(plan.robot, scene) as certifier:
                verdict = certifier.certify(plan.trajectory, **ends)
            refused, accepted = refused + (not verdict.valid), accepted + verdict.valid
            if verdict.valid:
                print(f"ACCEPTED: {plan}: {box}")
            elif "held" not in verdict.reason:
                print(f"refused for another reason: {verdict.reason}")
            print(f"\r{refused + accepted} motions made to touch", end="", file=sys.stderr)
        print(file=sys.stderr)
        print(
            f"{refused + accepted} motions that enter an obstacle by 0.5 mm with the object only: {accepted} accepted"
        )
    return 0 if wrong == accepted == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
