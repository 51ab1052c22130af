"""Readers of mesh files: bytes in, vertices and triangles out. A reader takes the whole file or refuses it.

OBJ, STL, PLY and OFF are read here, since a cut or garbled file must not become a smaller mesh; GLB and glTF by
trimesh, DAE by pycollada.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry.pose import Float

Groups: TypeAlias = "tuple[Float, list[np.ndarray]]"
"""Vertices [v, 3] and the triangles [f, 3] of each group."""

_Property: TypeAlias = "tuple[str, str, str]"
"""A PLY property: its name, the type of its list's length (empty for a single number), the type of its numbers."""
_MOST_CORNERS = 10_000
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
_PLY_TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2"},
    **{"uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4"},
    **{"double": "f8", "float64": "f8"},
}


def read_obj(data: bytes, _: Mapping[str, bytes]) -> Groups:
    """Read an OBJ file; every group (`o`, `g`) by itself.

    Only positions and faces count: textures and normals would split vertices and open the mesh.
    """
    vertices: list[list[float]] = []
    groups: list[list[list[int]]] = [[]]
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        words = line.split()
        try:
            if not words:
                continue
            if words[0] == "v":
                vertices.append([float(words[1]), float(words[2]), float(words[3])])
            elif words[0] in ("o", "g"):
                groups.append([])
            elif words[0] == "f":
                indices = [int(word.split("/")[0]) for word in words[1:]]
                corners = [i - 1 if i > 0 else len(vertices) + i for i in indices]
                if min(corners) < 0 or max(corners) >= len(vertices):
                    raise ValueError("a face names a vertex that is not there")
                groups[-1] += _fan(corners)
        except (ValueError, IndexError) as error:
            problem = "too few values" if isinstance(error, IndexError) else str(error)
            raise InputError(f"not readable as OBJ: {problem}", line=number, value=line.strip()[:80]) from error
    return _points(vertices), [np.array(group, dtype=np.int64) for group in groups if group]


def read_stl(data: bytes, _: Mapping[str, bytes]) -> Groups:
    """Read a binary or an ASCII STL file; corners at the same place become one vertex."""
    count = struct.unpack_from("<I", data, 80)[0] if len(data) >= 84 else 0
    if len(data) >= 84 and len(data) == 84 + count * _STL_TRIANGLE.itemsize:
        corners = np.frombuffer(data, _STL_TRIANGLE, offset=84)["corners"].astype(np.float64)
    elif data.lstrip()[:5].lower() == b"solid":
        corners = np.array(list(_ascii_stl(data)), dtype=np.float64).reshape(-1, 3, 3)
    elif len(data) < 84:
        raise InputError("not readable as STL: too short for a binary file, and no text that begins with `solid`")
    else:
        problem = f"its header tells {count} triangles, which take {84 + 50 * count} bytes; it has {len(data)}"
        raise InputError(f"not readable as STL: {problem}")
    vertices, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return vertices, [index.reshape(-1, 3)]


def _ascii_stl(data: bytes) -> Iterator[list[float]]:
    """Give the corners of an ASCII STL file, three for each facet."""
    corners, inside = 0, False
    lines = data.decode(errors="replace").splitlines()
    number = 0
    try:
        for number in range(len(lines)):
            words = lines[number].lower().split()
            word = words[0] if words else ""
            if word == "vertex":
                x, y, z = (float(value) for value in words[1:])
                corners += 1
                yield [x, y, z]
            elif word == "facet":
                corners = 0
            elif word == "endfacet" and corners != 3:
                raise ValueError(f"a facet of {corners} corners")
            elif word in ("solid", "endsolid"):
                inside = word == "solid"
            elif inside and word not in ("", "outer", "endloop", "endfacet"):
                raise ValueError("not a word of this format")
        if inside:
            raise ValueError("the file ends before `endsolid`")
    except ValueError as error:
        value = lines[number].strip()[:80]
        raise InputError(f"not readable as STL: {error}", line=number + 1, value=value) from error


def read_off(data: bytes, _: Mapping[str, bytes]) -> Groups:
    """Read an OFF file (text): a line for each vertex and each face; colours behind the numbers are left."""
    lines = (line.split("#")[0].split() for line in data.decode(errors="replace").splitlines())
    rows = [row for row in lines if row]
    first = rows[0][0].upper() if rows else ""
    if first not in ("OFF", "COFF"):
        raise InputError("not readable as OFF: it does not begin with OFF", value=first[:80])
    counts, body = (rows[0][1:], rows[1:]) if len(rows[0]) > 1 else (rows[1], rows[2:])
    vertices, faces = int(counts[0]), int(counts[1])
    if min(vertices, faces) < 0 or len(body) < vertices + faces:
        raise InputError(f"not readable as OFF: too short for {vertices} vertices and {faces} faces")
    points = _points([[float(word) for word in row[:3]] for row in body[:vertices]])
    triangles: list[list[int]] = []
    for row in body[vertices : vertices + faces]:
        corners = [int(word) for word in row[1 : 1 + int(row[0])]]
        if len(corners) != int(row[0]) or len(corners) < 3:
            raise InputError("not readable as OFF: a face with too few corners", value=" ".join(row)[:80])
        triangles += _fan(corners)
    return points, [np.array(triangles, dtype=np.int64).reshape(-1, 3)]


def read_ply(data: bytes, _: Mapping[str, bytes]) -> Groups:
    """Read a PLY file, ASCII or binary; faces may have any number of corners."""
    head, mark, body = data.partition(b"end_header")
    lines = [line.split() for line in head.decode("ascii", errors="replace").splitlines()]
    if not mark or not lines or lines[0] != ["ply"]:
        raise InputError("not readable as PLY: no header between `ply` and `end_header`")
    kind = next((line[1] for line in lines if line[:1] == ["format"] and len(line) > 1), "")
    elements: list[tuple[str, int, list[_Property]]] = []
    for line in lines:
        if line[:1] == ["element"]:
            elements.append((line[1], int(line[2]), []))
        elif line[:1] == ["property"] and line[1] == "list":
            elements[-1][2].append((line[4], _PLY_TYPES[line[2]], _PLY_TYPES[line[3]]))
        elif line[:1] == ["property"]:
            elements[-1][2].append((line[2], "", _PLY_TYPES[line[1]]))
    body = body[2:] if body.startswith(b"\r\n") else body[1:]
    if kind not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise InputError("not readable as PLY: unknown format", value=kind[:80])
    values = _Values(body, kind)
    points, triangles = np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    for name, count, properties in elements:
        if count < 0 or (count > len(body) and properties):
            raise InputError(f"not readable as PLY: too short for {count} of {name}")
        if any(length for _, length, _ in properties):
            found = _ply_triangles(count, properties, values)
            triangles = found if name == "face" else triangles
        else:
            columns = _ply_columns(count, properties, values)
            if name == "vertex":
                points = np.stack([columns[axis] for axis in ("x", "y", "z")], axis=1)
    return points, [triangles]


class _Values:
    """The numbers of a PLY file's body, taken one after the other; `position` counts words or bytes."""

    def __init__(self, body: bytes, kind: str) -> None:
        self.words = body.split() if kind == "ascii" else None
        self.body, self.order = body, ">" if kind == "binary_big_endian" else "<"
        self.position = 0

    def take(self, types: list[str], rows: int) -> list[np.ndarray]:
        """Return one array [rows] for each of the types."""
        if self.words is None:
            kind = np.dtype([(str(i), self.order + one) for i, one in enumerate(types)])
            end, whole = self.position + rows * kind.itemsize, len(self.body)
        else:
            kind, end, whole = None, self.position + rows * len(types), len(self.words)
        if end > whole:
            raise InputError("not readable as PLY: the file is too short")
        first, self.position = self.position, end
        if kind is not None:
            block = np.frombuffer(self.body, kind, count=rows, offset=first)
            return [block[str(i)] for i in range(len(types))]
        assert self.words is not None
        return list(np.array(self.words[first:end], dtype=np.float64).reshape(rows, len(types)).T)


def _ply_columns(count: int, properties: list[_Property], values: _Values) -> dict[str, Float]:
    columns = values.take([kind for _, _, kind in properties], count) if properties else []
    return {name: column.astype(np.float64) for (name, _, _), column in zip(properties, columns, strict=True)}


def _ply_triangles(count: int, properties: list[_Property], values: _Values) -> np.ndarray:
    """Return the triangles [f, 3] of an element with lists, which may have different lengths."""
    if count and len(properties) == 1:  # nearly all files: triangles, and nothing else
        first, (_, length, kind) = values.position, properties[0]
        size = int(values.take([length], 1)[0][0])
        values.position = first
        if size == 3:
            columns = values.take([length, kind, kind, kind], count)
            if np.all(columns[0] == 3):
                return np.stack(columns[1:], axis=1).astype(np.int64)
            values.position = first
    triangles: list[list[int]] = []
    for _ in range(count):
        for name, length, kind in properties:
            if not length:
                values.take([kind], 1)
                continue
            size = int(values.take([length], 1)[0][0])
            if not 0 <= size <= _MOST_CORNERS:
                raise InputError("not readable as PLY: a list of impossible length", value=size)
            corners = [int(value[0]) for value in values.take([kind] * size, 1)] if size else []
            if name in ("vertex_indices", "vertex_index"):
                triangles += _fan(corners)
    return np.array(triangles, dtype=np.int64).reshape(-1, 3)


def gltf_buffers(data: bytes) -> list[str]:
    """Return the files beside a glTF or GLB file that hold its numbers, and refuse what would be read wrongly."""
    if data[:4] == b"glTF":
        data = data[20 : 20 + struct.unpack_from("<I", data, 12)[0]]
    header = json.loads(data)
    if needed := header.get("extensionsRequired"):
        raise InputError("a glTF extension that is not read", value=", ".join(needed))
    if any("sparse" in accessor or "bufferView" not in accessor for accessor in header.get("accessors", [])):
        raise InputError("a glTF accessor without its own values (sparse, or compressed) is not read")
    if any("skin" in node for node in header.get("nodes", [])):
        raise InputError("a glTF mesh that a skeleton bends is not read")
    names = [buffer.get("uri", "") for buffer in header.get("buffers", [])]
    return [name for name in names if name and "base64," not in name]


def read_gltf(data: bytes, beside: Mapping[str, bytes]) -> Groups:
    """Read a glTF or GLB file; its meshes where its nodes put them."""
    from diffplan.system.third_party import trimesh  # slow to import, and few scenes have such meshes

    kind = "glb" if data[:4] == b"glTF" else "gltf"
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        scene = trimesh.load_scene(
            io.BytesIO(data), file_type=kind, resolver=dict(beside), skip_materials=True, process=False
        )
        mesh = scene.to_mesh()
    return np.asarray(mesh.vertices, dtype=np.float64), [np.asarray(mesh.faces, dtype=np.int64)]


def read_dae(data: bytes, _: Mapping[str, bytes]) -> Groups:
    """Read a COLLADA file in its unit of length; its up axis is left as it is, as ROS does."""
    import collada
    from collada.polygons import BoundPolygons
    from collada.polylist import BoundPolylist
    from collada.triangleset import BoundTriangleSet

    with warnings.catch_warnings():  # pycollada makes NumPy matrices
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        document = collada.Collada(io.BytesIO(data))
        if document.scene is None:
            raise InputError("a COLLADA file without a scene")
        corners = []
        for geometry in document.scene.objects("geometry"):
            for primitive in geometry.primitives():
                if isinstance(primitive, (BoundPolylist, BoundPolygons)):
                    primitive = primitive.triangleset()
                if isinstance(primitive, BoundTriangleSet) and len(primitive):
                    corners.append(primitive.vertex[primitive.vertex_index].reshape(-1, 3))
    unit = float(getattr(document.assetInfo, "unitmeter", None) or 1.0)
    points = np.concatenate([np.zeros((0, 3)), *corners]).astype(np.float64) * unit
    return points, [np.arange(len(points)).reshape(-1, 3)]


READERS: dict[str, Callable[[bytes, Mapping[str, bytes]], Groups]] = {
    **{"obj": read_obj, "stl": read_stl, "ply": read_ply, "off": read_off},
    **{"glb": read_gltf, "gltf": read_gltf, "dae": read_dae},
}
"""The readers by the ending of the file's name: the file's bytes, and those of the files beside it that it names."""


def _fan(corners: list[int]) -> list[list[int]]:
    """Cut a face into triangles."""
    return [[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)]


def _points(vertices: list[list[float]]) -> Float:
    return np.array(vertices, dtype=np.float64).reshape(-1, 3)
