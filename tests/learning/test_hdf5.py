"""Training data that were damaged are refused by name, whatever is wrong with them."""

import json

import h5py
import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.learning.hdf5 import seal, sealed
from diffplan.learning.info import data_info
from diffplan.learning.returns import FORMAT, read_returns
from diffplan.learning.shards import Shard, read_shard, write_shard

BALL = {"name": "ball", "type": "sphere", "radius": 0.1, "pose": {"xyz": [1, 0, 0]}}


@pytest.fixture
def shard(tmp_path):
    return write_shard(
        Shard(
            seed=5,
            index=0,
            robot="toy",
            joint_names=("a", "b"),
            versions={"diffplan": "0"},
            waypoints=np.linspace(0, 3, 3 * 8 * 2, dtype=np.float32).reshape(3, 8, 2),
            scene=np.array([0, 1, 1], dtype=np.int32),
            kind=np.zeros(3, dtype=np.int8),
            clearance=np.zeros(3, dtype=np.float32),
            family=("balls", "balls"),
            obstacles=(json.dumps([BALL]), json.dumps([BALL, {**BALL, "name": "other"}])),
        ),
        tmp_path,
    )


def test_a_sound_shard_is_read(shard):
    assert read_shard(shard).scene.tolist() == [0, 1, 1]
    assert data_info(shard.parent).total == 3


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("waypoints", None, "waypoints: not there"),
        ("waypoints", np.zeros((3, 8, 3), np.float32), "waypoints: not such paths"),
        ("waypoints", np.zeros((3, 8), np.float32), "waypoints: not such numbers"),
        ("waypoints", np.full((3, 8, 2), np.nan, np.float32), "waypoints: numbers that are not finite"),
        ("waypoints", "a text", "waypoints: not such numbers"),
        ("scene", np.array([0, 1, 2], np.int32), "scene: an index of what is not there; allowed: 0 to 1"),
        ("scene", np.array([0, 1], np.int32), "scene: not one for each path"),
        ("kind", np.array([0, 1, 9], np.int8), "kind: an index of what is not there"),
        ("family", ["balls"], "family: not one for each scene"),
        ("obstacles", ["[", "[]"], "not readable as JSON"),
        ("obstacles", ["{}", "[]"], r"obstacles\[0\]: not a list"),
        ("seed", "five", "seed: not a whole number"),
        ("joint_names", None, "joint_names: not there"),
        ("versions", "[1]", "not a mapping"),
        ("format", np.zeros(3), "format: not a shard of trajectories"),
        ("format", None, "not a shard of trajectories"),
    ],
)
def test_what_is_wrong_with_a_shard_is_named(shard, key, value, problem):
    with h5py.File(shard, "r+") as file:
        holder = file if key in file else file.attrs
        del holder[key]
        if value is not None:
            holder[key] = value
    seal(shard)
    with pytest.raises(InputError, match=problem):
        data_info(shard.parent)


@pytest.mark.parametrize("place", [0, 3, 40, 600, 2000, -1])
def test_a_damaged_byte_is_seen_before_the_library_opens_the_file(shard, place, monkeypatch):
    data = bytearray(shard.read_bytes())
    data[place] ^= 1
    shard.write_bytes(data)
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(InputError, match="not readable as HDF5: damaged"):
        read_shard(shard)


def test_a_shard_of_an_earlier_version_has_no_seal(shard):
    shard.write_bytes(shard.read_bytes()[512:])
    assert read_shard(shard).scene.tolist() == [0, 1, 1]


def test_shards_without_paths_are_refused(shard):
    with h5py.File(shard, "r+") as file:
        for key in ("waypoints", "scene", "kind", "clearance"):
            empty = file[key][:0]
            del file[key]
            file[key] = empty
    seal(shard)
    with pytest.raises(InputError, match="no paths in these shards"):
        data_info(shard.parent)


def test_a_folder_in_the_place_of_a_shard_is_refused(tmp_path):
    (tmp_path / "shard-00000.h5").mkdir()
    with pytest.raises(InputError, match="a folder, not a file"):
        data_info(tmp_path)


def test_returns_whose_arrays_do_not_fit_together_are_refused(tmp_path):
    def fill(file):
        file.attrs["format"] = FORMAT
        file["control"], file["duration"] = np.zeros((2, 3, 16, 7), np.float32), np.zeros((2, 4), np.float32)
        file["tracking"], file["scene"] = np.zeros((2, 3), np.float32), ["a", "b"]

    (tmp_path / "returns-00000.h5").write_bytes(sealed(fill))
    with pytest.raises(InputError, match="arrays that do not fit together; allowed: 2 groups of 3 paths"):
        read_returns(tmp_path)
