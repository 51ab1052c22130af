"""Shards: whole or absent, resumable, and the same whoever makes them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.learning.families import FAMILIES
from diffplan.learning.generate import GenerateConfig, PathConfig, ShardMaker, generate
from diffplan.learning.info import data_info, save_picture
from diffplan.learning.shards import Shard, read_shard, shard_files, shard_path
from diffplan.robot.model import Robot

QUICK = PathConfig(trees=1, iterations=200, shortcuts=20)


def small(folder: Path, **changes: int) -> GenerateConfig:
    config = GenerateConfig(out=folder, scenes=4, scenes_per_shard=2, problems_per_scene=2, workers=2, path=QUICK)
    return replace(config, **changes)


def same(a: Shard, b: Shard) -> bool:
    arrays = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("waypoints", "scene", "kind", "clearance"))
    return arrays and a.obstacles == b.obstacles and a.family == b.family


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards made by two workers, in a folder where another run was killed while writing."""
    folder = tmp_path_factory.mktemp("data")
    (folder / ".0123456789abcdef.part").write_bytes(b"half a shard")
    result = generate(small(folder), show=False)
    assert result.trajectories == sum(len(read_shard(file).waypoints) for file in shard_files(folder)) > 0
    return folder


def test_a_run_leaves_whole_shards_and_nothing_else(made: Path) -> None:
    assert sorted(file.name for file in made.iterdir()) == ["dataset.json", "shard-00000.h5", "shard-00001.h5"]


def test_a_shard_depends_on_seed_and_index_only(made: Path, tmp_path: Path) -> None:
    maker = ShardMaker(small(tmp_path, workers=1))
    for index in (1, 0):
        *counts, content = maker.make(index)
        assert content == shard_path(made, index).read_bytes()
        assert counts[-1] == len(read_shard(shard_path(made, index)).waypoints)
    *_, content = ShardMaker(small(tmp_path, seed=1)).make(0)
    shard_path(tmp_path, 0).write_bytes(content)
    assert not same(read_shard(shard_path(tmp_path, 0)), read_shard(shard_path(made, 0)))


def test_a_second_run_makes_only_what_is_missing(made: Path) -> None:
    lost, kept = shard_path(made, 1), shard_path(made, 0)
    before, stamp = read_shard(lost), kept.stat().st_mtime_ns
    lost.unlink()
    generate(small(made), show=False)
    assert same(read_shard(lost), before)
    assert kept.stat().st_mtime_ns == stamp


def test_other_settings_in_the_same_folder_are_refused_by_name(made: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json: seed: .*another way \(found 0\); allowed: 7"):
        generate(small(made, seed=7), show=False)


def test_trajectories_belong_to_their_scenes_and_start_and_end_free(made: Path) -> None:
    robot = Robot.load("panda")
    for file in shard_files(made):
        shard = read_shard(file)
        assert shard.robot == "panda"
        assert shard.joint_names == robot.joint_names
        assert shard.waypoints.dtype == np.float32
        assert set(shard.scene.tolist()) == set(range(len(shard.obstacles)))
        assert shard.clearance.min() >= 0.004
        assert np.all(shard.waypoints >= robot.lower - 1e-6)
        assert np.all(shard.waypoints <= robot.upper + 1e-6)


def test_families_take_turns_so_all_are_represented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = ShardMaker(small(tmp_path, scenes_per_shard=len(FAMILIES)))
    seen: list[str] = []
    monkeypatch.setattr(maker, "_scene_paths", lambda drawn, rng: seen.append(drawn.family) or [])
    list(maker.make(0))
    assert sorted(seen) == sorted(FAMILIES)


def test_a_file_that_is_no_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no complete shards"):
        shard_files(tmp_path)
    shard_path(tmp_path, 0).write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="not readable as HDF5"):
        read_shard(shard_path(tmp_path, 0))


@pytest.mark.parametrize(("key", "value"), [("scenes", 0), ("workers", 0), ("keep_straight", 2), ("seed", -1)])
def test_settings_out_of_range_are_refused_by_name(tmp_path: Path, key: str, value: int) -> None:
    with pytest.raises(InputError, match=key):
        small(tmp_path, **{key: value})


def test_the_summary_counts_what_is_there_and_draws_it(made: Path, tmp_path: Path) -> None:
    info = data_info(made, samples=2)
    assert info.total == sum(info.trajectories.values()) == sum(info.kinds.values())
    assert info.scenes == sum(info.scenes_of.values())
    assert np.all(info.ratio >= 1 - 1e-6)
    assert f"{info.total} trajectories" in info.text()
    save_picture(info, Robot.load("panda"), tmp_path / "out" / "data.png")
    assert (tmp_path / "out" / "data.png").read_bytes().startswith(b"\x89PNG")


def test_a_worker_never_imports_torch_and_ompl_keeps_quiet() -> None:
    script = (
        "import sys, tempfile; from pathlib import Path\n"
        "from diffplan.learning.generate import *\n"
        "config = GenerateConfig(out=Path(tempfile.mkdtemp()), scenes_per_shard=1, problems_per_scene=1,"
        " keep_straight=0.0, path=PathConfig(trees=1, iterations=50))\n"
        "list(ShardMaker(config).make(3))\n"
        "assert 'ompl' in sys.modules\n"
        "assert 'torch' not in sys.modules and 'pybullet' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
