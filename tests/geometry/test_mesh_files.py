"""Mesh files: read whole or refused, kept by content."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from diffplan.errors import InputError
from diffplan.geometry.mesh_files import content_key, read_mesh
from diffplan.geometry.meshes import load_hulls, load_mesh
from diffplan.system.kept import Kept

BALL = trimesh.creation.icosphere(subdivisions=1, radius=0.2)
BYTES = {
    "obj": BALL.export(file_type="obj").encode(),
    "stl": BALL.export(file_type="stl"),
    "ascii.stl": BALL.export(file_type="stl_ascii").encode(),
    "ply": BALL.export(file_type="ply"),
    "ascii.ply": BALL.export(file_type="ply", encoding="ascii"),
    "off": BALL.export(file_type="off").encode(),
    "glb": BALL.export(file_type="glb"),
    "dae": BALL.export(file_type="dae"),
}


@pytest.mark.parametrize("kind", BYTES)
def test_every_format_gives_the_same_closed_mesh(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"ball.{kind}").write_bytes(BYTES[kind])
    mesh = load_mesh(tmp_path / f"ball.{kind}")
    assert (len(mesh.vertices), len(mesh.faces)) == (42, 80)
    assert mesh.volume == pytest.approx(BALL.volume, rel=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in BYTES if kind != "obj"])
def test_a_cut_file_is_refused_and_never_a_smaller_mesh(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"ball.{kind}"
    for share in np.linspace(0.02, 0.98, 25):
        file.write_bytes(BYTES[kind][: int(share * len(BYTES[kind]))])
        with pytest.raises(InputError, match="ball"):
            load_hulls(file)


@pytest.mark.parametrize("kind", BYTES)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    file = tmp_path_factory.mktemp("damaged") / f"ball.{kind}"

    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        damaged = bytearray(BYTES[kind])
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(damaged)))
            word = data.draw(
                st.sampled_from([b"-1", b"99999999999", b"nan", b"1e400", b"\x00", b"\xff\xff\xff\xff", b"{"])
            )
            damaged[place : place + len(word)] = word
        file.write_bytes(damaged)
        for read in (load_hulls, load_mesh):
            with suppress(InputError):
                read(file)

    check()


def test_the_key_is_of_the_content_not_of_name_or_date(tmp_path: Path) -> None:
    one, other = tmp_path / "one.stl", tmp_path / "other.stl"
    one.write_bytes(BYTES["stl"])
    other.write_bytes(BYTES["stl"])
    first, when = content_key(one), one.stat()
    assert content_key(other) == first
    changed = bytearray(BYTES["stl"])
    changed[100] ^= 1
    one.write_bytes(changed)
    os.utime(one, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert content_key(one) != first
    assert read_mesh(one).key == content_key(one)


def test_the_numbers_of_a_gltf_file_lie_beside_it_and_count(tmp_path: Path) -> None:
    parts = BALL.export(file_type="gltf")
    for name, data in parts.items():
        (tmp_path / name).write_bytes(data)
    first = content_key(tmp_path / "model.gltf")
    buffers = [name for name in parts if name.endswith(".bin")]
    for name, data in BALL.copy().apply_scale(2.0).export(file_type="gltf").items():
        if name in buffers:
            (tmp_path / name).write_bytes(data)
    assert content_key(tmp_path / "model.gltf") != first
    assert load_mesh(tmp_path / "model.gltf").volume == pytest.approx(8 * BALL.volume, rel=1e-5)
    (tmp_path / buffers[0]).unlink()
    with pytest.raises(InputError, match=r"bin: cannot be read: No such file"):
        read_mesh(tmp_path / "model.gltf")


def test_triangles_and_quads_of_one_ply_file_are_all_read(tmp_path: Path) -> None:
    header = "ply\nformat {}\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\nelement face 5\n"
    header += "property list uchar int vertex_indices\nend_header\n"
    points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0.5, 0.5, 1)]
    faces = [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4), (3, 2, 1, 0)]
    text = "".join(f"{x} {y} {z}\n" for x, y, z in points)
    text += "".join(f"{len(face)} {' '.join(map(str, face))}\n" for face in faces)
    (tmp_path / "a.ply").write_text(header.format("ascii 1.0") + text)
    for order, name in (("<", "binary_little_endian 1.0"), (">", "binary_big_endian 1.0")):
        body = np.array(points, order + "f4").tobytes()
        body += b"".join(bytes([len(face)]) + np.array(face, order + "i4").tobytes() for face in faces)
        (tmp_path / f"b{order == '<'}.ply").write_bytes(header.format(name).encode() + body)
    for file in tmp_path.glob("*.ply"):
        assert load_mesh(file).volume == pytest.approx(1 / 3)


def test_a_collada_file_is_read_in_its_unit(tmp_path: Path) -> None:
    text = trimesh.creation.box((100, 200, 300)).export(file_type="dae")
    file = tmp_path / "box.dae"
    file.write_bytes(text.replace(b"<up_axis>", b'<unit name="millimetre" meter="0.001"/><up_axis>'))
    assert load_mesh(file).extents == pytest.approx([0.1, 0.2, 0.3])


def test_a_mesh_in_millimetres_gets_a_hint_at_its_unit(tmp_path: Path) -> None:
    trimesh.creation.box((300, 200, 100)).export(tmp_path / "part.stl")
    for read in (load_mesh, load_hulls):
        with pytest.raises(InputError, match=r"300 m across.*up to 100 m; if the file is in millimetres.*0\.001"):
            read(tmp_path / "part.stl")
    assert load_mesh(tmp_path / "part.stl", (0.001, 0.001, 0.001)).extents == pytest.approx([0.3, 0.2, 0.1])


def test_a_mesh_of_too_many_vertices_is_told_the_number_and_convex_it_may_be_if_its_hull_has_few(
    tmp_path: Path,
) -> None:
    fine = trimesh.creation.box((0.2, 0.2, 0.2))
    for _ in range(7):
        fine = fine.subdivide()
    fine.export(tmp_path / "box.stl")
    with pytest.raises(InputError, match=r"a mesh of 98306 vertices and 196608 triangles.*up to 131072 .* and 174762"):
        load_mesh(tmp_path / "box.stl")
    assert load_hulls(tmp_path / "box.stl")[0].volume == pytest.approx(0.008, rel=1e-5)


def test_a_convex_hull_of_too_many_corners_is_told_the_number(tmp_path: Path) -> None:
    trimesh.creation.icosphere(subdivisions=7, radius=0.2).export(tmp_path / "ball.ply")
    with pytest.raises(InputError, match=r"a convex hull of 1\d{5} corners; allowed: up to 50000"):
        load_hulls(tmp_path / "ball.ply")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extensionsRequired": ["KHR_draco_mesh_compression"]}, "extension that is not read .*draco"),
        ({"accessors": [{"count": 10**12, "componentType": 5126, "type": "VEC3"}]}, "without its own values"),
        ({"nodes": [{"mesh": 0, "skin": 0}]}, "skeleton"),
    ],
)
def test_what_would_be_read_wrongly_of_gltf_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    import json

    for name, data in BALL.export(file_type="gltf").items():
        (tmp_path / name).write_bytes(data)
    file = tmp_path / "model.gltf"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(InputError, match=message):
        read_mesh(file)


def test_kept_results_are_dropped_by_size_oldest_first() -> None:
    kept: Kept[str] = Kept(10)
    made = []

    def make(word: str) -> str:
        made.append(word)
        return word

    for word in ("four", "five", "four", "six", "five"):
        assert kept.get(word, lambda word=word: make(word), len) == word
    assert made == ["four", "five", "six", "five"]
