"""Mesh files, read once: what a file holds is kept by its content, never by its name or date."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.geometry.mesh_formats import READERS, gltf_buffers
from diffplan.geometry.pose import Float
from diffplan.system.kept import Kept
from diffplan.system.reading import is_file, read_bytes

MOST_BYTES = 256 * 2**20
"""Largest mesh file that is read [bytes]."""
_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class MeshContent:
    """What a mesh file holds: `vertices` [v, 3] (its own unit), the triangles [f, 3] of each of its `groups`.

    `key` is a digest of the content: two files of one key hold the same. Only OBJ files have several groups.
    """

    file: Path
    key: str
    vertices: Float
    groups: tuple[np.ndarray, ...]


_parsed: Kept[tuple[Float, tuple[np.ndarray, ...]]] = Kept(_KEPT_BYTES)


def content_key(file: str | Path) -> str:
    """Return a digest of a mesh file's content as it is now (and of the files beside it that hold its numbers).

    The file is read every time: its size and date do not tell whether it changed.

    Raises:
        InputError: if the file is missing, of another format, or too large.
    """
    return _read_bytes(file if isinstance(file, Path) else Path(file))[0]


def read_mesh(file: str | Path) -> MeshContent:
    """Read a mesh file as it is now; what is parsed is kept by content.

    Raises:
        InputError: if the file is missing, of another format, too large, damaged, or holds no triangles.
    """
    path = Path(file)
    key, data, beside = _read_bytes(path)

    def parse() -> tuple[Float, tuple[np.ndarray, ...]]:
        return _parse(path, data, beside)

    vertices, groups = _parsed.get(key, parse, lambda found: found[0].nbytes + sum(g.nbytes for g in found[1]))
    return MeshContent(file=path, key=key, vertices=vertices, groups=groups)


def _read_bytes(path: Path) -> tuple[str, bytes, dict[str, bytes]]:
    """Return key and bytes of a mesh file, and the bytes of the files that it names."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in READERS and is_file(path):
        raise InputError("mesh format not supported", file=path, value=path.suffix, allowed=READERS)
    try:
        data = read_bytes(path, MOST_BYTES)
    except InputError:
        if not is_file(path):
            raise InputError("mesh file not found", file=path) from None
        raise
    beside: dict[str, bytes] = {}
    if kind in ("glb", "gltf"):
        try:
            names = gltf_buffers(data)
        except Exception as error:
            raise _unreadable(path, error) from error
        beside = {name: read_bytes(path.parent / name, MOST_BYTES) for name in names}
    digest = hashlib.sha256(kind.encode())
    for part in (data, *(part for name in sorted(beside) for part in (name.encode(), beside[name]))):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest(), data, beside


def _parse(path: Path, data: bytes, beside: Mapping[str, bytes]) -> tuple[Float, tuple[np.ndarray, ...]]:
    try:
        points, triangles = READERS[path.suffix.lower().lstrip(".")](data, beside)
    except Exception as error:  # damaged files make readers fail in any way
        raise _unreadable(path, error) from error
    groups = tuple(group for group in triangles if len(group))
    if not groups or not np.isfinite(points).all():
        raise InputError("the file holds no triangles, or vertices that are not finite", file=path)
    for group in groups:
        if group.min() < 0 or group.max() >= len(points):
            raise InputError("a triangle names a vertex that is not there", file=path)
    for array in (points, *groups):
        array.flags.writeable = False
    return points, groups


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return InputError(error.problem, file=path, line=error.line, value=error.value, allowed=error.allowed)
    words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return InputError(f"not readable as a mesh: {words}", file=path)
