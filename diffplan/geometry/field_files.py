"""Distance fields on the disk, in the user's cache folder: what took seconds to make is made once.

A file is whole or absent; one that is damaged, or made by other code, is made again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Hashable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from diffplan.errors import InputError
from diffplan.system.assets import cache_folder
from diffplan.system.files import make_folder, write_bytes

MOST_BYTES = 2**30
"""How much is kept [bytes]; the files that were written first go first."""
_CODE = ("fields.py", "meshes.py", "mesh_formats.py", "triangle_distance.py")
_PACKAGES = ("numpy", "scipy", "trimesh", "numba")


def load(key: Hashable) -> dict[str, np.ndarray] | None:
    """Return the arrays that were saved under a key, or None."""
    try:
        data = _file(key).read_bytes()
        digest, content = data[:32], data[32:]
        if hashlib.sha256(content).digest() != digest:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, RuntimeError, ValueError):  # no such file, no home folder, not what was written
        return None


def save(key: Hashable, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays under a key; where that is not possible (a full disk), nothing is kept."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    content = stream.getvalue()
    try:
        file = _file(key)
        make_folder(file.parent)
        write_bytes(file, hashlib.sha256(content).digest() + content, sync=False)
        _make_room(file.parent)
    except (InputError, OSError, RuntimeError):
        return


@cache
def code_digest(*files: str) -> str:
    """Return a digest of modules' files: what was made by other code is made again."""
    return hashlib.sha256(b"\0".join(Path(file).read_bytes() for file in files)).hexdigest()


def _make_room(folder: Path) -> None:
    """Delete the oldest files until the rest is no more than is kept."""
    files = sorted(((f.stat().st_mtime, f.stat().st_size, f) for f in folder.glob("*.field")), reverse=True)
    kept = 0
    for _, size, file in files:
        kept += size
        if kept > MOST_BYTES:
            file.unlink(missing_ok=True)


def _file(key: Hashable) -> Path:
    """Return the file of a key: its name says what the field was made of, and by which code."""
    return cache_folder() / "fields" / f"{hashlib.sha256(repr((_code(), key)).encode()).hexdigest()[:40]}.field"


@cache
def _code() -> str:
    """Return a digest of the code that fields are made by, and the versions of what it uses."""
    home = Path(__file__).parent
    source = hashlib.sha256(b"\0".join((home / name).read_bytes() for name in _CODE)).hexdigest()
    return " ".join([source, *(version(package) for package in _PACKAGES)])
