"""Training paths read from shards: control points that follow the waypoints, scenes that stay on their side."""

import json

import numpy as np
import pytest

from diffplan.curves.spline import basis
from diffplan.errors import InputError
from diffplan.learning.dataset import held_out_scenes, load_dataset, paths_from_waypoints
from diffplan.learning.shards import Shard, write_shard


class Toy:
    """Stands in for a robot of two joints."""

    name, dof, joint_names = "toy", 2, ("a", "b")
    lower, upper = np.array([-2.0, -1.0]), np.array([2.0, 3.0])

    def normalise(self, q):
        return 2 * (q - self.lower) / (self.upper - self.lower) - 1


def curves(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    s = np.linspace(0, 1, 64)[:, None]
    start, goal, bend = rng.uniform(-0.8, 0.8, (3, count, 1, 2))
    return (start + s * (goal - start) + 0.2 * bend * np.sin(np.pi * s)).astype(np.float32)


def shard(index: int, scenes: int = 40, robot: str = "toy") -> Shard:
    ball = {"name": "ball", "type": "sphere", "radius": 0.1, "pose": {"xyz": [index, 0, 0]}}
    return Shard(
        seed=5,
        index=index,
        robot=robot,
        joint_names=("a", "b"),
        versions={"diffplan": "0"},
        waypoints=curves(2 * scenes, index),
        scene=np.repeat(np.arange(scenes, dtype=np.int32), 2),
        kind=np.zeros(2 * scenes, dtype=np.int8),
        clearance=np.zeros(2 * scenes, dtype=np.float32),
        family=("balls",) * scenes,
        obstacles=(json.dumps([ball]),) * scenes,
    )


def test_control_points_follow_the_waypoints_with_exact_ends():
    waypoints = curves(10, 0)
    paths = paths_from_waypoints(Toy(), waypoints, np.zeros(10, dtype=int), 16)
    x = Toy().normalise(waypoints)
    assert np.abs(basis(16, 64) @ paths.x.numpy() - x).max() < 1e-3
    assert np.abs(paths.x.numpy()[:, [0, -1]] - x[:, [0, -1]]).max() < 1e-6


def test_paths_beyond_the_joint_limits_are_refused():
    with pytest.raises(InputError, match="leave the joint limits of toy"):
        paths_from_waypoints(Toy(), 3 * curves(10, 0) + 1, np.zeros(10, dtype=int), 16)


def test_shards_join_with_every_path_in_its_own_scene(tmp_path):
    for index in (0, 1):
        write_shard(shard(index), tmp_path)
    data = load_dataset(tmp_path, Toy(), horizon=16, held_out=0.2)
    assert len(data.scenes) == 80
    assert len(data.train) + len(data.validation) == 160
    for part in (data.train, data.validation):
        for x, scene in zip(part.x.numpy(), part.scene_of.numpy(), strict=True):
            source, ball = curves(80, scene // 40), data.scenes[scene].obstacles[0]
            assert ball.pose.xyz[0] == scene // 40
            ends = Toy().normalise(source[2 * (scene % 40) :][:2, [0, -1]])
            assert np.abs(ends - x[[0, -1]]).max((1, 2)).min() < 1e-6


def test_no_scene_is_on_both_sides_and_more_data_moves_none(tmp_path):
    write_shard(shard(0), tmp_path)
    before = load_dataset(tmp_path, Toy(), horizon=16, held_out=0.2)
    write_shard(shard(1), tmp_path)
    after = load_dataset(tmp_path, Toy(), horizon=16, held_out=0.2)
    sides = [set(part.scene_of.tolist()) for part in (after.train, after.validation)]
    assert not sides[0] & sides[1]
    assert set(before.validation.scene_of.tolist()) <= sides[1]
    again = load_dataset(tmp_path, Toy(), horizon=16, held_out=0.2, shards=1)
    assert again.digest == before.digest != after.digest


def test_the_held_out_share_is_about_what_was_asked():
    kept = held_out_scenes([f"0/{i}/{j}" for i in range(100) for j in range(50)], 0.04)
    assert 0.03 < kept.mean() < 0.05


def test_shards_of_another_robot_and_too_few_shards_are_refused(tmp_path):
    write_shard(shard(0), tmp_path)
    with pytest.raises(InputError, match="shards: not as many shards there"):
        load_dataset(tmp_path, Toy(), horizon=16, held_out=0.2, shards=2)
    write_shard(shard(1, robot="other"), tmp_path)
    with pytest.raises(InputError, match=r"shard-00001\.h5: robot: paths of another robot"):
        load_dataset(tmp_path, Toy(), horizon=16, held_out=0.2)
