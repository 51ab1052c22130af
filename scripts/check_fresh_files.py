"""Does the certificate judge what the files hold now? It must equal a fresh process's, whatever was judged before.

    python scripts/check_fresh_files.py [--cases 200] [--seed 0]

changed: a process judges a scene, then one file that the scene or the robot names is changed (rewritten, same size or
    not, its old date kept or not, or replaced by a link), and the same process judges again.
decoys: a process judges a scene from folders full of other files of the same names.

The judge is the Certifier: clearances of a dozen configurations, and the certificate of a motion. A fresh process is a
fork of one that has imported the modules and opened no file and no PyBullet client. Exits 1 if a case differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import trimesh
import yaml

from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.problem import Trajectory
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.assets import asset_folder

FORMATS = ("obj", "stl", "ascii.stl", "ply", "off", "glb", "gltf", "dae")
TARGETS = (
    *(f"mesh {kind}" for kind in FORMATS),
    *(f"convex {kind}" for kind in FORMATS),
    *(f"urdf {kind}" for kind in FORMATS),
    *("urdf text", "urdf scale", "robot mesh", "robot text", "kept robot mesh", "kept robot text"),
)
HOW = ("rewritten", "same date", "replaced", "link")


def judge(folder: Path, robot: Robot | None = None) -> dict[str, object]:
    """Return what the certificate says of the scene in a folder, with the robot of its file, or an earlier read one."""
    try:
        robot = robot or Robot.load(str(folder / "arm" / "robot.yaml"))
        scene = Scene.load(folder / "scenes" / "scene.yaml")
        rng = np.random.default_rng(1)
        q = [robot.configuration(name) for name in robot.configurations]
        q += [robot.configuration("home") + rng.normal(0, 0.4, robot.dof) for _ in range(8)]
        time = np.linspace(0, 8, 401)
        share = (1 - np.cos(np.pi * time / 8))[:, None] / 2
        way = robot.configuration("right") - robot.configuration("left")
        motion = Trajectory(
            time=time,
            position=robot.configuration("left") + share * way,
            velocity=np.gradient(share[:, 0], time)[:, None] * way,
            acceleration=np.gradient(np.gradient(share[:, 0], time), time)[:, None] * way,
        )
        with Certifier(robot, scene) as certifier:
            checks = [certifier.check(np.clip(one, robot.lower, robot.upper)) for one in q]
            verdict = certifier.certify(motion, start=motion.position[0], goals=motion.position[-1:])
    except InputError as error:
        return {"refused": error.problem}
    return {
        "clearance": [check.clearance_m for check in checks],
        "self": [check.self_clearance_m for check in checks],
        "touching": [check.contact for check in checks],
        "least": verdict.min_clearance_m,
        "least of the arm": verdict.min_self_clearance_m,
        "valid": verdict.valid,
        "reason": verdict.reason,
    }


def in_fork(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Return what `work` returns in a fork of this process, which has opened nothing yet."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as stream:
            json.dump(work(), stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text)


class Lasting:
    """A process that goes on judging, with all that it keeps."""

    def __init__(self) -> None:
        """Fork it off."""
        (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
        if os.fork() == 0:
            os.close(ours_in)
            os.close(ours_out)
            self._serve(theirs_in, theirs_out)
            os._exit(0)
        os.close(theirs_in)
        os.close(theirs_out)
        self._answers, self._questions = os.fdopen(ours_in), os.fdopen(ours_out, "w")

    def judge(self, folder: Path, current: Path, *, kept_robot: bool = False) -> dict[str, object]:
        """Judge from a current folder, with the robot read again, or as it was read in this folder before."""
        print(json.dumps([str(folder), str(current), kept_robot]), file=self._questions, flush=True)
        return json.loads(self._answers.readline())

    @staticmethod
    def _serve(questions: int, answers: int) -> None:
        robots: dict[str, Robot] = {}
        with os.fdopen(questions) as asked, os.fdopen(answers, "w") as told:
            for line in asked:
                folder, current, kept = json.loads(line)
                os.chdir(current)
                if not kept:
                    robots[folder] = Robot.load(f"{folder}/arm/robot.yaml")
                print(json.dumps(judge(Path(folder), robots[folder])), file=told, flush=True)


def a_mesh(rng: np.random.Generator) -> trimesh.Trimesh:
    """Return a closed mesh about as large as the arm's links."""
    size = rng.uniform(0.05, 0.5, 3)
    mesh = (trimesh.creation.box(size), trimesh.creation.annulus(0.4 * size[0], 0.5 * size[0], size[1]))[
        rng.integers(2)
    ]
    mesh.apply_translation(rng.uniform(-0.1, 0.1, 3))
    return mesh


def write_mesh(file: Path, mesh: trimesh.Trimesh) -> None:
    """Write a mesh in the format of the name's ending; a glTF file's numbers lie in files beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.name.endswith("ascii.stl"):
        file.write_text(str(mesh.export(file_type="stl_ascii")))
    elif file.suffix == ".gltf":
        parts = mesh.export(file_type="gltf")
        assert isinstance(parts, dict)
        for name, data in parts.items():
            (file if name.endswith(".gltf") else file.with_name(name)).write_bytes(data)
    else:
        mesh.export(file)


def write_case(folder: Path, target: str, rng: np.random.Generator, own_robot: bool) -> list[Path]:
    """Write robot and scene of a case; returns the files of which one may change."""
    shutil.rmtree(folder, ignore_errors=True)
    arm, scenes = folder / "arm", folder / "scenes"
    scenes.mkdir(parents=True)
    shutil.copytree(asset_folder("robots") / "panda", arm, ignore=shutil.ignore_patterns("*.safetensors", "*.png"))
    if own_robot:
        package = find_spec("pybullet_data")
        assert package is not None
        assert package.submodule_search_locations
        shipped = Path(package.submodule_search_locations[0]) / "franka_panda"
        shutil.copytree(shipped / "meshes" / "collision", arm / "meshes" / "collision")
        shutil.copy(shipped / "panda.urdf", arm / "panda.urdf")
        document = yaml.safe_load((arm / "robot.yaml").read_text())
        document["urdf"] = {"file": "panda.urdf"}
        (arm / "robot.yaml").write_text(yaml.safe_dump(document))
    kind = target.split()[-1]
    kind = kind if kind in FORMATS else "obj"
    mesh = scenes / "meshes" / f"part.{kind}"
    write_mesh(mesh, a_mesh(rng))
    scale = float(rng.uniform(0.5, 1.5))
    place = {"xyz": [float(x) for x in (rng.uniform(0.35, 0.6), rng.uniform(-0.3, 0.3), rng.uniform(0.2, 0.7))]}
    entry: dict[str, object] = {"name": "part", "pose": place, "scale": scale}
    if target.startswith("urdf"):
        write_urdf(scenes / "part.urdf", rng, mesh)
        entry |= {"type": "urdf", "file": "part.urdf"}
    else:
        entry |= {"type": "mesh", "file": f"meshes/part.{kind}", "convex": target.startswith("convex")}
    (scenes / "scene.yaml").write_text(
        yaml.safe_dump({"format": "diffplan/scene@1", "name": "case", "obstacles": [entry]}, sort_keys=False)
    )
    if "robot mesh" in target:
        return sorted((arm / "meshes" / "collision").glob("*.obj"))
    if "robot text" in target:
        return [arm / "panda.urdf"]
    return [scenes / "part.urdf"] if target in ("urdf text", "urdf scale") else [mesh]


def write_urdf(file: Path, rng: np.random.Generator, mesh: Path | None) -> None:
    """Write a URDF obstacle: a box on a post, or a mesh."""
    x, y, z = rng.uniform(0.05, 0.4, 3)
    shape = f'<box size="{x:.4f} {y:.4f} {z:.4f}"/>'
    if mesh:
        shape = f'<mesh filename="package://meshes/{mesh.name}" scale="1 {y + 0.5:.4f} 1"/>'
    post = f'<origin xyz="0 0 {-z:.4f}"/><geometry><cylinder radius="0.03" length="0.2"/></geometry>'
    file.write_text(
        f'<robot name="part"><link name="post"><collision>{post}</collision></link>'
        f'<link name="part"><collision><geometry>{shape}</geometry></collision></link>'
        '<joint name="slide" type="prismatic"><parent link="post"/><child link="part"/><axis xyz="0 0 1"/>'
        '<limit lower="0" upper="1" effort="1" velocity="1"/></joint></robot>'
    )


def change(file: Path, target: str, how: str, rng: np.random.Generator) -> None:
    """Change one file of a case."""
    before, staging = file.stat(), file.parent / "staging"
    new = staging / file.name
    staging.mkdir()
    if "robot text" in target:
        root = ET.fromstring(file.read_text())
        for box in root.iter("mesh"):
            box.set("scale", f"{rng.uniform(1.0, 1.2):.3f} 1 1")
        new.write_text(ET.tostring(root, encoding="unicode"))
    elif target == "urdf text":
        write_urdf(new, rng, file.parent / "meshes" / "part.obj" if rng.uniform() < 0.3 else None)
    elif target == "urdf scale":
        new.write_text(file.read_text().replace('scale="1 ', f'scale="{rng.integers(2, 6)} '))
    elif "robot mesh" in target:
        old = trimesh.load(file, force="mesh")
        assert isinstance(old, trimesh.Trimesh)
        old.apply_scale(float(rng.uniform(1.05, 1.4)))
        write_mesh(new, old)
    else:
        write_mesh(new, a_mesh(rng))
    for part in staging.glob("*.bin"):  # the numbers of a glTF file
        part.replace(file.with_name(part.name))
    if how == "link":
        file.unlink()
        file.symlink_to(new)
    elif how == "replaced":
        new.replace(file)
    else:
        file.write_bytes(new.read_bytes())
    if how == "same date":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    if how != "link":
        shutil.rmtree(staging)


def write_decoys(folder: Path, case: Path, rng: np.random.Generator) -> None:
    """Fill a folder with other files of the names in a case, under every path by which they could be looked for."""
    files = [
        file for file in case.rglob("*") if file.suffix in (".obj", ".stl", ".ply", ".off", ".glb", ".dae", ".urdf")
    ]
    for file in files:
        own = file.relative_to(case).parts
        for k in range(len(own)):
            for prefix in ("", "data", "meshes"):
                decoy = folder.joinpath(prefix, *own[k:])
                if decoy.suffix == ".urdf":
                    decoy.parent.mkdir(parents=True, exist_ok=True)
                    write_urdf(decoy, rng, None)
                elif not decoy.exists():
                    write_mesh(decoy, trimesh.creation.box((0.002, 0.002, 0.002)))


def changed_case(case: int, seed: int, root: Path, lasting: Lasting) -> tuple[str, bool, str]:
    """Judge, change a file, judge again; returns the kind of case, whether it is right, and what was seen."""
    rng = np.random.default_rng([seed, 1, case])
    target, how = TARGETS[case % len(TARGETS)], HOW[rng.integers(len(HOW))]
    folder = root / f"changed{case % 7}"  # few names, so that they come again with other content
    files = write_case(folder, target, rng, own_robot="robot" in target)
    before = lasting.judge(folder, root)
    if rng.uniform() < 0.5 and "kept" not in target:
        lasting.judge(folder, root)
    change(files[rng.integers(len(files))], target, how, rng)
    after = lasting.judge(folder, root, kept_robot="kept" in target)
    fresh = in_fork(lambda: judge(folder))
    if target == "kept robot text":
        right = "changed after the robot" in str(after.get("refused"))
    else:
        right = same(after, fresh) and "refused" not in fresh
    noticed = "" if same(before, fresh) else ", seen in the verdict"
    return f"{target.rsplit(' ', 1)[0]} {how}{noticed}", right, f"{target}, {how}: {after} for {fresh}"


def decoy_case(case: int, seed: int, root: Path, lasting: Lasting) -> tuple[str, bool, str]:
    """Judge from a folder full of decoys, fresh and lasting; returns kind, whether it is right, what was seen."""
    rng = np.random.default_rng([seed, 2, case])
    target = [target for target in TARGETS if "text" not in target][case % (len(TARGETS) - 3)]
    folder, decoys, empty = root / f"case{case % 7}", root / f"decoys{case % 5}", root / "empty"
    shutil.rmtree(decoys, ignore_errors=True)
    decoys.mkdir()
    empty.mkdir(exist_ok=True)
    write_case(folder, target, rng, own_robot="robot" in target)
    write_decoys(decoys, folder, rng)
    where = [decoys, decoys / "scenes", decoys / "meshes"][rng.integers(3)]
    os.chdir(empty)
    expected = in_fork(lambda: judge(folder))
    os.chdir(where if where.is_dir() else decoys)
    seen = in_fork(lambda: judge(folder))
    kept = lasting.judge(folder, Path.cwd())
    os.chdir(root)
    right = same(expected, seen) and same(expected, kept) and "refused" not in expected
    return target.rsplit(" ", 1)[0], right, f"{target}: {seen}, {kept} for {expected}"


def same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two verdicts are equal, numbers to a nanometre."""
    return _rounded(one) == _rounded(other)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 9) if np.isfinite(value) else value
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def main() -> int:
    """Run both properties and print a table."""
    parser = argparse.ArgumentParser(description="Compare a lasting process's certificates with a fresh one's.")
    parser.add_argument("--cases", type=int, default=200, help="of each of the two properties")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong = 0
    for title, run in (("changed", changed_case), ("decoys", decoy_case)):
        counts: Counter[tuple[str, bool]] = Counter()
        with tempfile.TemporaryDirectory() as name:
            root = Path(name).resolve()
            os.chdir(root)
            (root / "private").mkdir()
            tempfile.tempdir = str(root / "private")  # what the forks write goes with it
            lasting = Lasting()
            for case in range(arguments.cases):
                kind, right, seen = run(case, arguments.seed, root, lasting)
                counts[kind, right] += 1
                if not right:
                    wrong += 1
                    print(f"{title} {case}: {seen}", file=sys.stderr)
            os.chdir("/")
            tempfile.tempdir = None
        print(f"{title}: {arguments.cases} cases, {sum(n for (_, right), n in counts.items() if not right)} wrong")
        for (kind, right), count in sorted(counts.items()):
            print(f"  {kind:<50} {count:>4}  {'equal' if right else 'DIFFERENT'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
