"""The readers that the fuzzer tries, each with sound files to damage, which are made here, small and quick to read.

What a reader accepts is used as its callers use it: a mesh becomes a closed mesh and hulls, a plan is certified again.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import trimesh
from fuzz_mutations import Syntax

import diffplan as dp
from diffplan.benchmark.machine import this_machine
from diffplan.benchmark.preflight import preflight
from diffplan.benchmark.results import ResultRow, RowWriter
from diffplan.benchmark.runner import Workers, run
from diffplan.benchmark.sessions import begin_session, read_sessions
from diffplan.benchmark.suite_import import import_suite
from diffplan.benchmark.suites import load_cases
from diffplan.benchmark.worker import BenchmarkSettings, plan_path
from diffplan.certificate.certifier import Certifier
from diffplan.cli.common import read_options
from diffplan.costs.reader import read_costs
from diffplan.errors import InputError
from diffplan.formats.plan_file import is_plan_file, load_plan
from diffplan.formats.problems_file import load_problems
from diffplan.formats.robot_file import load_robot
from diffplan.formats.robot_writer import robot_text
from diffplan.formats.run_settings import claim_settings
from diffplan.formats.scene_file import load_scene
from diffplan.geometry.meshes import load_hulls, load_mesh
from diffplan.learning import generate, log, returns, suite_generation
from diffplan.learning.add_robot import check_units
from diffplan.learning.config import TrainConfig
from diffplan.learning.dataset import load_dataset
from diffplan.learning.info import data_info
from diffplan.learning.shards import Shard, write_shard
from diffplan.learning.value import ValueLine
from diffplan.planners import PLANNERS
from diffplan.prior.channels import CHANNELS
from diffplan.prior.common import CommonPrior, load_common_prior, save_common_prior
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.prior import Prior, load_prior, save_prior
from diffplan.prior.schedule import Schedule
from diffplan.prior.unet import TemporalUnet, UnetConfig
from diffplan.prior.value import Value, ValueNet, load_value, save_value
from diffplan.problem import Metrics, Plan, Status
from diffplan.recheck import recheck
from diffplan.robot.discovery import Wishes, anatomy
from diffplan.robot.package_folders import package_folders
from diffplan.robot.srdf import load_srdf
from diffplan.robot.urdf import load_urdf
from diffplan.sequence.task_file import load_task
from diffplan.timing import retime


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What is read: `files` by their path in the case's folder, `damaged` the ones to damage, and `read(target)`.

    Cases are drawn in proportion to `weight`.
    """

    name: str
    files: Mapping[str, bytes]
    damaged: Mapping[str, Syntax]
    target: str
    read: Callable[[Path], object]
    weight: float = 1.0


_BOX = "v 0 0 0\nv .1 0 0\nv .1 .1 0\nv 0 .1 0\nv 0 0 .1\nv .1 0 .1\nv .1 .1 .1\nv 0 .1 .1\n" + (
    "f 1 3 2\nf 1 4 3\nf 5 6 7\nf 5 7 8\nf 1 2 6\nf 1 6 5\nf 2 3 7\nf 2 7 6\nf 3 4 8\nf 3 8 7\nf 4 1 5\nf 4 5 8\n"
)
_DOOR = """\
<robot name="door">
  <link name="frame"><collision><origin xyz="0 0 0.1"/><geometry><box size="0.1 0.1 0.2"/></geometry></collision></link>
  <link name="leaf">
    <visual><geometry><mesh filename="box.obj"/></geometry></visual>
    <collision><geometry><mesh filename="box.obj" scale="1 1 1"/></geometry></collision>
  </link>
  <link name="handle"><collision><geometry><cylinder radius="0.02" length="0.1"/></geometry></collision></link>
  <joint name="hinge" type="revolute">
    <parent link="frame"/><child link="leaf"/><origin xyz="0 0.1 0" rpy="0 0 0.1"/><axis xyz="0 0 1"/>
    <limit lower="-1" upper="1" velocity="1" effort="1"/>
  </joint>
  <joint name="latch" type="prismatic">
    <parent link="leaf"/><child link="handle"/><axis xyz="0 1 0"/><limit lower="0" upper="0.1" velocity="1" effort="1"/>
    <mimic joint="hinge" multiplier="0.1" offset="0"/>
  </joint>
</robot>
"""
_ARM = """\
<robot name="arm">
  <link name="base"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link>
  <link name="upper"><collision><geometry><box size="0.1 0.1 0.4"/></geometry></collision></link>
  <link name="hand"><collision><geometry><mesh filename="box.obj"/></geometry></collision></link>
  <link name="tip"/>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 0 1"/><limit lower="-2" upper="2" velocity="1" effort="1"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="upper"/><child link="hand"/><origin xyz="0 0 0.4"/><axis xyz="0 1 0"/>
    <limit lower="-2" upper="2" velocity="1" effort="1"/>
  </joint>
  <joint name="finger" type="prismatic">
    <parent link="hand"/><child link="tip"/><axis xyz="0 1 0"/><limit lower="0" upper="0.04" velocity="1" effort="1"/>
  </joint>
</robot>
"""
_ROBOT = """\
format: diffplan/robot@1
name: arm
urdf: {file: arm.urdf}
base_link: base
end_link: tip
joints:
  shoulder: {velocity: 2.0, acceleration: 10.0, jerk: 1000.0}
  elbow: {velocity: 2.0, acceleration: 10.0}
held_joints: {finger: 0.01}
tool: {link: tip, xyz: [0, 0, 0.1], rpy_deg: [0, 90, 0]}
gripper: {joints: {finger: {open: 0.04, closed: 0.0}}, may_touch: [hand, tip]}
exempt_pairs: [[base, hand]]
configurations:
  home: [0.0, 0.5]
  other: [1.0, -0.5]
collision: collision.yaml
"""
_SRDF = """\
<robot name="arm">
  <group name="arm"><chain base_link="base" tip_link="hand"/></group>
  <group_state name="home" group="arm">
    <joint name="shoulder" value="0.1"/><joint name="elbow" value="0.2"/>
  </group_state>
  <group_state name="open" group="hand"><joint name="finger" value="0.03"/></group_state>
  <end_effector name="hand" parent_link="hand" group="hand"/>
  <disable_collisions link1="base" link2="hand" reason="User"/>
</robot>
"""
_COLLISION = """\
format: diffplan/collision@1
links:
  upper: {spheres: [[0, 0, 0.1, 0.1], [0, 0, 0.2, 0.1]]}
  hand: {uncovered_mm: 1.0, outside_mm: 2.0, spheres: [[0.05, 0.05, 0.05, 0.1]]}
self_collision:
  ignore:
    - {links: [base, upper], reason: adjacent}
    - {links: [upper, hand], reason: always}
"""
_OBSTACLES = """\
  - {name: shelf, type: box, size: [0.3, 0.8, 0.02], pose: {xyz: [0.6, 0, 0.4], rpy_deg: [0, 0, 90]}}
  - {name: can, type: cylinder, radius: 0.03, height: 0.12, pose: {xyz: [0.6, 0.1, 0.47], rpy: [0, 0.1, 0]}}
  - {name: ball, type: sphere, radius: 0.05, pose: {xyz: [0.5, -0.2, 0.6], quat_wxyz: [1, 0, 0, 0]}}
  - {name: pipe, type: capsule, radius: 0.02, height: 0.5, pose: {xyz: [0.4, 0.5, 0.5], quat_xyzw: [0, 0, 0, 1]}}
  - {name: ground, type: floor}
  - {name: wall, type: plane, pose: {xyz: [-3, 0, 0], rpy_deg: [0, 90, 0]}}
"""
_SCENE = f"""\
format: diffplan/scene@1
name: everything
robot: panda
robot_base: {{xyz: [0, 0, 0.1]}}
hold: {{panda_finger_joint1: 0.02}}
obstacles:
{_OBSTACLES}\
  - {{name: mug, type: mesh, file: box.obj, scale: 1.0, convex: true, pose: {{xyz: [0.5, 0.2, 0.5]}}}}
  - {{name: door, type: urdf, file: door.urdf, joints: {{hinge: 0.2}}, pose: {{xyz: [0.9, 0.0, 0.3]}}}}
attached:
  - {{name: jar, type: cylinder, radius: 0.03, height: 0.1, link: panda_hand, pose: {{xyz: [0, 0, 0.1]}}}}
  - {{name: lid, type: mesh, file: box.obj, link: panda_hand, pose: {{xyz: [0, 0, 0.2]}}, may_touch: [panda_hand]}}
allowed_contacts:
  - {{pair: [jar, shelf], depth_mm: 1.5}}
  - {{pair: [lid, jar]}}
queries:
  default: {{start: home, goal: [0.3, 0.5, 0.0, -1.8, 0.0, 2.3, 0.8]}}
  reach: {{start: home, goal: {{link: panda_hand, pose: {{xyz: [0.5, 0.1, 0.7], rpy_deg: [180, 0, 0]}}}}}}
  set:
    start: home
    goal: {{tool: true, poses: [{{xyz: [0.5, 0.1, 0.7]}}, {{xyz: [0.4, 0, 0.6]}}], free: z, box: [0.1, 0, 0.1]}}
  carry:
    start: home
    goal: home
    constraints: ["upright:degrees=10:axis=-z", "speed:limit=0.25:name=slow", "stay_in:xyz=0.4,0,0.5:size=1,1,1"]
"""
_KEPT = """\
format: diffplan/scene@1
name: kept
robot: panda
queries:
  default:
    start: home
    goal: home
    constraints:
      - "upright:degrees=10:axis=0,0.6,-0.8:link=panda_hand"
      - "speed:limit=0.25:link=panda_link5:name=slow"
      - "stay_in:xyz=0.4,0,0.5:size=1,1.2,0.8:rpy_deg=0,0,30"
      - "stay_in:xyz=0,0,1:size=2,2,2:quat_xyzw=0,0,0,1:name=room"
"""
_TASK = """\
format: diffplan/task@1
name: by hand
scene: scene.yaml
robot: panda
start: home
steps:
  - pick:
      object: [mug]
      grasps: [{pose: {xyz: [0, 0, 0.05], rpy_deg: [180, 0, 0]}, opening: 0.075}]
      lift: 0.2
  - move: {goal: {pose: {xyz: [0.4, 0.2, 0.5], rpy_deg: [180, 0, 0]}, free: z}, constraints: ["upright:degrees=15"]}
  - place: {poses: [{xyz: [0.4, 0.2, 0.11]}, {xyz: [0.4, 0.1, 0.11]}], free: z, approach: 0.05, retreat: 0.12}
  - line: {offset: [0, 0, 0.05], frame: world, constraints: ["speed:limit=0.1", "stay_in:xyz=0,0,1:size=2,2,2"]}
  - line: {pose: {xyz: [0, 0, 0.05]}, frame: tool}
  - gripper: 0.03
  - gripper: close
  - pause: 0.5
  - attach: {object: mug}
  - detach: {object: mug}
"""
_CHECKED = """\
format: diffplan/scene@1
name: checked
obstacles:
  - {name: mug, type: mesh, file: box.obj, scale: 1.0, pose: {xyz: [0.5, 0.2, 0.5]}}
  - {name: door, type: urdf, file: door.urdf, scale: 1, joints: {hinge: 0.2}, pose: {xyz: [0.9, 0.0, 0.3]}}
attached:
  - {name: lid, type: box, size: [0.02, 0.04, 0.1], link: panda_hand, pose: {xyz: [0, 0, 0.14]}}
allowed_contacts:
  - {pair: [lid, mug], depth_mm: 2}
queries:
  default: {start: home, goal: home, constraints: ["upright:link=panda_hand:axis=-z:degrees=10"]}
"""
_ROBOMETRICS = """\
shelf_panda:
  - start: [0.0, -0.78, 0.0, -2.35, 0.0, 1.57, 0.78]
    goal_ik: [[0.3, 0.5, 0.0, -1.8, 0.0, 2.3, 0.8]]
    collision_buffer_ik: 0.0
    world_frame: panda_link0
    obstacles:
      cuboid: {board: {dims: [0.2, 0.3, 0.4], pose: [0.6, 0, 0.2, 1, 0, 0, 0]}}
      cylinder: {can: {radius: 0.1, height: 0.2, pose: [0.6, 0, 0.2, 1, 0, 0, 0]}}
      sphere: {ball: {radius: 0.1, position: [0.6, 0, 0.2]}}
"""
_MOVEIT_SCENE = """\
robot_model_name: panda
robot_state:
  joint_state: {position: [0, 0], name: [panda_joint1, panda_joint2]}
  multi_dof_joint_state: {transforms: [{translation: [0, 0, 0], rotation: [0, 0, 0, 1]}], joint_names: [virtual]}
allowed_collision_matrix:
  entry_names: [panda_hand, panda_link7]
  entry_values: [{enabled: [false, true]}, [true, false]]
fixed_frame_transforms: [{transform: {translation: [0, 0, 0], rotation: [0, 0, 0, 1]}, child_frame_id: world}]
link_padding: [{link_name: panda_hand, padding: 0}]
name: ""
world:
  octomap: {data: []}
  collision_objects:
    - id: can
      header: {frame_id: world}
      pose: {position: [0, 0, 0], orientation: [0, 0, 0, 1]}
      primitives: [{type: cylinder, dimensions: [0.14, 0.03]}]
      primitive_poses: [{position: [0.7, 0.5, 0.2], orientation: [0, 0, 0.6, 0.8]}]
    - id: board
      primitives: [{type: 1, dimensions: [0.2, 0.4, 0.6]}]
      primitive_poses: [{position: {x: 0.9, y: -0.1, z: 0.3}, orientation: {x: 0.6, y: 0, z: 0, w: 0.8}}]
"""
_MOVEIT_REQUEST = """\
start_state:
  joint_state:
    name: [panda_finger_joint1, panda_joint1, panda_joint2, panda_joint3, panda_joint4, panda_joint5, panda_joint6,
      panda_joint7]
    position: [0.03, 0, -0.785, 0, -2.356, 0, 1.571, 0.785]
goal_constraints:
  - joint_constraints:
      - {joint_name: panda_joint2, position: -0.785}
      - {joint_name: panda_joint1, position: 0.5}
      - {joint_name: panda_joint3, position: 0.0}
      - {joint_name: panda_joint4, position: -2.356}
      - {joint_name: panda_joint5, position: 0.0}
      - {joint_name: panda_joint6, position: 1.571}
      - {joint_name: panda_joint7, position: 0.785}
trajectory_constraints: {constraints: []}
path_constraints: {name: "", position_constraints: []}
group_name: panda_arm
"""
_MOVEIT_TEXT = """\
(noname)+
* board
0 0 0
0 0 0 1
1
box
0.1 0.2 0.3
0.5 0 0.2
0 0 0 1
0 0 0 0
0
* can
0.1 0 0
0 0 0 1
2
cylinder
0.1 0.2
0.5 0 0.2
0 0 0 1
0 0 0 0
sphere
0.1
0.5 0 0.2
0 0 0 1
0 0 0 0
1
top
0 0 0
0 0 0 1
.
"""
_OPTIONS = """\
diffusion: {seeds: prior, batch: 8, rounds: 3, horizon: 16, eta: 0.7, value: false, threads: 1}
rrtconnect: {simplify: true}
chomp: {}
stomp: {}
"""
_COSTS = """\
format: diffplan/costs@1
costs:
  - {cost: upright, tolerance_deg: 5, axis: z, weight: 2, link: panda_hand}
  - {cost: avoid, xyz: [0.4, 0.3, 0.5], radius: 0.2, height: 0.1, rpy_deg: [0, 0, 1], comfort: 0.1, name: keep out}
  - {cost: avoid, xyz: [0.4, 0.3, 0.5], size: [0.2, 0.1, 0.1]}
  - {cost: avoid, obstacle: shelf}
  - {cost: prefer, near: home, within: 0.5}
  - {cost: prefer, panda_joint1: [-1, 1]}
"""


@cache
def panda() -> dp.Robot:
    """Return the shipped robot."""
    return load_robot("panda")


def readers() -> list[Reader]:
    """Return all readers with their sound files."""
    return [
        *_scenes_and_robots(),
        *_meshes(),
        *_plans(),
        *_suites(),
        *_settings(),
        *_bench(),
        *_training(),
        *_weights(),
    ]


def _scenes_and_robots() -> list[Reader]:
    beside = {"box.obj": _BOX.encode(), "door.urdf": _DOOR.encode()}
    robot = {"robot.yaml": _ROBOT, "collision.yaml": _COLLISION, "arm.urdf": _ARM, "box.obj": _BOX}
    files = {name: text.encode() for name, text in robot.items()}

    def check(path: Path) -> None:
        for case in load_cases(str(path)):
            preflight(case)

    def parts(path: Path) -> None:
        model = load_urdf(path, packages=package_folders(path).folders)
        found = anatomy(model, Wishes(), load_srdf(path.with_name("arm.srdf"), model))
        check_units(model, found)
        robot_text("arm", {"file": path.name}, model, found, packages={}, configurations={})

    return [
        Reader(
            name="robots add",
            files={"arm.urdf": _ARM.encode(), "box.obj": _BOX.encode(), "arm.srdf": _SRDF.encode()},
            damaged={"arm.urdf": Syntax.XML, "arm.srdf": Syntax.XML},
            target="arm.urdf",
            read=parts,
            weight=3,
        ),
        Reader(
            name="scene",
            files={**beside, "scene.yaml": _SCENE.encode()},
            damaged={"scene.yaml": Syntax.YAML},
            target="scene.yaml",
            read=load_scene,
            weight=3,
        ),
        Reader(
            name="scene: constraints",
            files={"scene.yaml": _KEPT.encode()},
            damaged={"scene.yaml": Syntax.YAML},
            target="scene.yaml",
            read=load_scene,
        ),
        Reader(
            name="task",
            files={**beside, "scene.yaml": _CHECKED.encode(), "task.yaml": _TASK.encode()},
            damaged={"task.yaml": Syntax.YAML},
            target="task.yaml",
            read=load_task,
            weight=2,
        ),
        Reader(
            name="scene: mesh, URDF",
            files={**beside, "scene.yaml": _CHECKED.encode()},
            damaged={"box.obj": Syntax.TEXT, "door.urdf": Syntax.XML},
            target="scene.yaml",
            read=load_scene,
            weight=3,
        ),
        Reader(
            name="check SCENE",
            files={**beside, "scene.yaml": _CHECKED.encode()},
            damaged={"box.obj": Syntax.TEXT, "door.urdf": Syntax.XML, "scene.yaml": Syntax.YAML},
            target="scene.yaml",
            read=check,
            weight=0.6,
        ),
        Reader(
            name="robot",
            files=files,
            damaged={"robot.yaml": Syntax.YAML, "collision.yaml": Syntax.YAML, "arm.urdf": Syntax.XML},
            target="robot.yaml",
            read=load_robot,
            weight=3,
        ),
    ]


def _meshes() -> list[Reader]:
    box = trimesh.creation.box(extents=(0.1, 0.2, 0.3))
    files: dict[str, tuple[bytes, Syntax]] = {"obj": (_BOX.encode(), Syntax.TEXT)}
    for kind, syntax in (("stl", Syntax.BINARY), ("off", Syntax.TEXT), ("ply", Syntax.BINARY), ("glb", Syntax.GLB)):
        files[kind] = (_as_bytes(box.export(file_type=kind)), syntax)
    files["dae"] = (_as_bytes(trimesh.exchange.dae.export_collada(box)), Syntax.XML)
    files["stl, ascii"] = (_as_bytes(box.export(file_type="stl_ascii")), Syntax.TEXT)
    files["ply, ascii"] = (_as_bytes(box.export(file_type="ply", encoding="ascii")), Syntax.TEXT)
    found = [
        Reader(
            name=f"mesh: {kind}",
            files={(file := f"mesh.{kind[:3]}"): data},
            damaged={file: syntax},
            target=file,
            read=_read_mesh,
            weight=2,
        )
        for kind, (data, syntax) in files.items()
    ]
    gltf = {name: _as_bytes(data) for name, data in trimesh.Scene(box).export(file_type="gltf").items()}
    damaged = {name: Syntax.JSON if name.endswith(".gltf") else Syntax.BINARY for name in gltf}
    return [*found, Reader(name="mesh: gltf", files=gltf, damaged=damaged, target="model.gltf", read=_read_mesh)]


def _as_bytes(data: object) -> bytes:
    return data if isinstance(data, bytes) else str(data).encode()


def _read_mesh(path: Path) -> None:
    refused = []
    for load in (load_hulls, load_mesh):
        try:
            load(path)
        except InputError as error:
            refused.append(error)
    if len(refused) == 2:
        raise refused[0]


def _plans() -> list[Reader]:
    robot, start = panda(), panda().configurations["home"]
    goal = start + 0.3
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "box.obj").write_text(_BOX)
        mug = dp.Mesh(name="mug", file=Path(folder) / "box.obj", pose=dp.Pose(xyz=(0.5, 0.2, 1.5)))
        scene = dp.Scene(name="s", robot="panda", obstacles=(mug, dp.Sphere(name="ball", radius=0.1, pose=(1, 1, 1))))
        trajectory = retime(np.linspace(start, goal, 8), robot)
        assert trajectory is not None
        room = dp.Box(name="room", size=(2.0, 2.0, 2.0), pose=dp.Pose(xyz=(0.5, 0.0, 0.5)))
        kept = (dp.upright("tool", axis="-z", degrees=170), dp.stay_in(room), dp.speed("tool", 5.0))
        with Certifier(robot, scene) as certifier:
            certificate = certifier.certify(trajectory, start=start, goals=goal[None], constraints=kept)
        assert certificate.valid
        step = max(1, len(trajectory.time) // 8)
        metrics = Metrics(path_length_rad=1.0, straight_line_rad=1.0, duration_s=1.0, max_jerk=1.0, mean_jerk=1.0)
        plan = Plan(
            **{"status": Status.SOLVED, "message": "", "planner": "straight", "solved_by": "straight", "robot": robot},
            **{"scene": scene, "seed": 0, "start": start, "goals": goal[None], "trajectory": trajectory},
            **{"certificate": certificate, "metrics": metrics, "constraints": kept},
            alternatives=(dp.Alternative(trajectory=trajectory, certificate=certificate, metrics=metrics),),
        )
        plan.save(Path(folder) / "plan.json")
        document = json.loads((Path(folder) / "plan.json").read_text())
    for part in (document, *document["alternatives"]):  # fewer samples, so that changes hit other keys too
        for key in ("time_s", "position", "velocity", "acceleration"):
            part[key] = [*part[key][:-1:step], part[key][-1]]
    del document["content_sum"]
    files = {"plan.json": json.dumps(document, indent=1).encode(), "box.obj": _BOX.encode()}

    def stored(path: Path) -> None:
        if is_plan_file(path):
            with suppress(InputError):
                load_plan(path)
        plan = dp.Plan.load(path)
        _ = repr(plan)

    shared = {"files": files, "damaged": {"plan.json": Syntax.JSON}, "target": "plan.json"}
    return [
        Reader(name="plan", read=stored, weight=3, **shared),
        Reader(name="check PLAN", read=recheck, weight=0.4, **shared),
    ]


def _suites() -> list[Reader]:
    home = panda().configurations["home"].tolist()
    obstacles = [
        {"name": "box", "type": "box", "size": [0.1, 0.1, 0.1], "pose": {"xyz": [0.6, 0, 0.2]}},
        {"name": "ball", "type": "sphere", "radius": 0.1, "pose": {"xyz": [0.6, 0.5, 0.2]}},
    ]
    suite = {
        "format": "diffplan/problems@1",
        "name": "few",
        "robot": "panda",
        "joint_names": list(panda().joint_names),
        "fixed_joints": {"panda_finger_joint1": 0.02, "panda_finger_joint2": 0.02},
        "problems": [{"id": f"a/{i}", "start": home, "goals": [home], "obstacles": obstacles} for i in range(3)],
    }
    turned = {"position": [0.6, 0, 0.2], "orientation_quat_xyzw": [0, 0, 0, 1], "orientation_euler_xyz": [0, 0, 0]}
    problem = {
        **{"index": 1, "start": home, "goals": [home], "valid": True},
        "box": [{"name": "a", "half_extents": [0.1, 0.1, 0.1], **turned}],
        "cylinder": [{"name": "b", "radius": 0.1, "length": 0.2, **turned}],
        "sphere": [{"name": "c", "radius": 0.1, "position": [0.6, 0, 0.2]}],
    }
    vamp = {"robot": "panda", "joints": list(panda().joint_names), "problems": {"cage": [problem]}}
    plain, text = json.dumps(suite, indent=1).encode(), json.dumps(vamp, indent=1).encode()
    scene, request = "set/scene0001.yaml", "set/request0001.yaml"
    pair = {scene: _MOVEIT_SCENE.encode(), request: _MOVEIT_REQUEST.encode()}
    scene_text = "set/scene0001.scene"
    pair_text = {scene_text: _MOVEIT_TEXT.encode(), request: _MOVEIT_REQUEST.encode()}

    def one(name: str, file: str, data: bytes, syntax: Syntax, read: Callable[[Path], object]) -> Reader:
        return Reader(name=name, files={file: data}, damaged={file: syntax}, target=file, read=read, weight=2)

    return [
        one("problems", "suite.json", plain, Syntax.JSON, load_problems),
        one("problems, gzipped", "suite.json.gz", gzip.compress(plain), Syntax.JSON_GZ, load_problems),
        one("import: VAMP", "vamp.json", text, Syntax.JSON, _import),
        one("import: robometrics", "r.yaml", _ROBOMETRICS.encode(), Syntax.YAML, _import),
        Reader(
            name="import: MoveIt",
            files=pair,
            damaged=dict.fromkeys(pair, Syntax.YAML),
            target="set",
            read=_import,
            weight=2,
        ),
        Reader(
            name="import: MoveIt, .scene",
            files=pair_text,
            damaged={scene_text: Syntax.TEXT},
            target="set",
            read=_import,
        ),
    ]


def _import(path: Path) -> None:
    found = import_suite([path], name="few", robot=panda(), source="fuzz", show=False)
    found.save(path.with_name("out.json"))


def _settings() -> list[Reader]:
    config = json.dumps({"format": "diffplan/train@1", **asdict(TrainConfig())}, indent=1)
    scene = load_scene("bookshelf").add(dp.Sphere(name="shelf", radius=0.1, pose=(1, 0, 0)))

    def one(name: str, text: str, read: Callable[[Path], object], syntax: Syntax = Syntax.YAML) -> Reader:
        files = {"file.yaml": text.encode()}
        return Reader(name=name, files=files, damaged={"file.yaml": syntax}, target="file.yaml", read=read)

    return [
        one("options", _OPTIONS, lambda path: read_options(path, list(PLANNERS))),
        one("costs", _COSTS, lambda path: read_costs(path, panda(), scene)),
        one("training settings", config, TrainConfig.load),
    ]


def _bench() -> list[Reader]:
    def settings(folder: Path) -> BenchmarkSettings:
        free = {"robot": None, "timeout": 1.0, "fallback": False, "options": {}, "dense_check": None}
        return BenchmarkSettings(suite="bookshelf", folder=folder, **free)

    def go_on(folder: Path) -> None:
        run([], settings(folder), Workers(), report=lambda *_: None)
        read_sessions(folder)

    rows = [
        ResultRow(
            planner=p, problem="a/1", set="a", seed=0, status="solved", certified=True, plan_time_s=0.5, joint_steps=3
        )
        for p in ("straight", "chomp")
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run([], settings(folder), Workers(), report=lambda *_: None)
        with RowWriter(folder / "results.csv", rows):
            pass
        begin_session(folder, this_machine(), jobs=1, rows_before=0)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    for row in rows:
        path = plan_path(Path(), planner=row.planner, problem=row.problem, seed=row.seed)
        files[str(path)] = b"{}"
    damaged = {"results.csv": Syntax.TEXT, "settings.json": Syntax.JSON, "sessions.json": Syntax.JSON}
    return [Reader(name="folder of bench", files=files, damaged=damaged, target=".", read=go_on, weight=2)]


def _training() -> list[Reader]:
    robot, scenes, rng = panda(), 40, np.random.default_rng(0)
    ends = rng.uniform(robot.lower, robot.upper, (scenes, 2, robot.dof))

    def claims(path: Path) -> None:
        made = suite_generation.SuiteConfig(out=path / "s.json", kind="hard", count=1, seed=1)
        generated, measured = generate.GenerateConfig(out=path), returns.ReturnsConfig(data=Path("data"), out=path)
        claim_settings(made.parts / "made.json", suite_generation.how_made(made), "")
        claim_settings(path / "dataset.json", generate.how_made(generated), "")
        claim_settings(path / "returns.json", returns.how_measured(measured, 1), "")

    share = np.linspace(0, 1, 64)[:, None]
    ball = {"name": "ball", "type": "sphere", "radius": 0.1, "pose": {"xyz": [1, 0, 0], "quat_xyzw": [0, 0, 0, 1]}}
    shard = Shard(
        **{"seed": 5, "index": 0, "robot": "panda", "joint_names": robot.joint_names, "versions": {"diffplan": "0"}},
        waypoints=(ends[:, :1] + share * (ends[:, 1:] - ends[:, :1])).astype(np.float32),
        scene=np.arange(scenes, dtype=np.int32),
        kind=np.zeros(scenes, dtype=np.int8),
        clearance=np.zeros(scenes, dtype=np.float32),
        family=("balls",) * scenes,
        obstacles=(json.dumps([ball]),) * scenes,
    )
    measured = returns.Returns(
        control=rng.uniform(-1, 1, (4, 3, 16, robot.dof)).astype(np.float32),
        duration=np.ones((4, 3), np.float32),
        tracking=np.ones((4, 3), np.float32),
        scene=("5/0/0", "5/0/1", "5/0/2", "5/0/3"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shard(shard, folder)
        (folder / "returns-00000.h5").write_bytes(returns.returns_bytes(measured))
        (folder / "s.json.parts").mkdir()
        claims(folder)
        log.write_log([log.Progress(step=s, seconds=1.0, rate=0.1, train=0.5) for s in (1, 2)], folder / "log.csv")
        log.write_log([ValueLine(step=s, seconds=1.0, rate=0.1, train=0.5) for s in (1, 2)], folder / "value.csv")
        files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def data(path: Path) -> None:
        data_info(path.parent).text()
        with suppress(InputError):
            load_dataset(path.parent, robot, horizon=16, held_out=0.1)

    def one(name: str, file: str, syntax: Syntax, read: Callable[[Path], object], weight: float = 1.0) -> Reader:
        return Reader(
            name=name, files={file: files[file]}, damaged={file: syntax}, target=file, read=read, weight=weight
        )

    told = {file: files[file] for file in files if file.endswith(".json")}
    return [
        one("training data", "shard-00000.h5", Syntax.HDF5, data, 1.5),
        one("returns", "returns-00000.h5", Syntax.HDF5, lambda path: returns.read_returns(path.parent)),
        Reader(
            name="how data were made", files=told, damaged=dict.fromkeys(told, Syntax.JSON), target=".", read=claims
        ),
        one("log of training", "log.csv", Syntax.TEXT, lambda path: log.read_log(path, log.Progress, up_to=10)),
        one("log of the value", "value.csv", Syntax.TEXT, lambda path: log.read_log(path, ValueLine, up_to=10)),
    ]


def _weights() -> list[Reader]:
    robot, shape = panda(), UnetConfig(dof=7, condition=0, dim=8, mults=(1, 2), groups=4)
    limits = {"lower": tuple(robot.lower.tolist()), "upper": tuple(robot.upper.tolist())}
    rates = {"velocity": tuple(robot.velocity.tolist()), "acceleration": tuple(robot.acceleration.tolist())}
    prior = Prior(
        **{"net": TemporalUnet(shape), "schedule": Schedule(), "horizon": 16, "joint_names": robot.joint_names},
        **limits,
        training={"steps": 1, "machine": "none"},
    )
    joint = JointwiseConfig(channels=CHANNELS, dim=8, mults=(1, 2), groups=4, mixing=(1,))
    common = CommonPrior(net=JointwiseUnet(joint), schedule=Schedule(), horizon=16, training={"steps": 1})
    learned = Value(
        **{"net": ValueNet(shape, torch.ones(2, 7)), "schedule": Schedule(), "joint_names": robot.joint_names},
        **{**limits, **rates, "mean": 0.1, "std": 1.0, "training": {"steps": 1}},
    )
    with tempfile.TemporaryDirectory() as name:
        save_prior(prior, Path(name) / "prior.safetensors")
        save_common_prior(common, Path(name) / "common.safetensors")
        save_value(learned, Path(name) / "value.safetensors")
        files = {path.name: path.read_bytes() for path in Path(name).iterdir()}

    def one(name: str, file: str, read: Callable[[Path], object]) -> Reader:
        return Reader(
            name=name, files={file: files[file]}, damaged={file: Syntax.TENSORS}, target=file, read=read, weight=1.5
        )

    return [
        one("prior", "prior.safetensors", lambda path: load_prior(path).check(robot)),
        one("common prior", "common.safetensors", load_common_prior),
        one("value", "value.safetensors", lambda path: load_value(path).check(robot)),
    ]
