"""HDF5 files read whole: every attribute and data set is there, of its kind and shape, or the file is refused.

The HDF5 library may loop for ever on a damaged file. So the files that we write are sealed: their user block holds the
SHA-256 of all that follows, which is compared before the library opens them. Files of earlier versions have no seal.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import h5py
import numpy as np

from diffplan.errors import InputError, shown
from diffplan.system.files import write_bytes
from diffplan.system.reading import LARGEST_TENSORS, check_regular

_T = TypeVar("_T")
_BLOCK = 512  # bytes of the user block, the least that HDF5 allows
_SEAL = b"diffplan sha256 "
_HDF5 = b"\x89HDF\r\n\x1a\n"


def sealed(fill: Callable[[h5py.File], None]) -> bytes:
    """Return the content of a new file that `fill` writes into, sealed; the same writing gives the same bytes."""
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=_BLOCK) as file:
        fill(file)
    return _sealed(content)


def seal(path: Path) -> None:
    """Write the sum of a file into its user block."""
    write_bytes(path, _sealed(io.BytesIO(path.read_bytes())))


def _sealed(content: io.BytesIO) -> bytes:
    found = _sum(content)
    content.seek(0)
    content.write((_SEAL + found).ljust(_BLOCK, b"\0"))
    return content.getvalue()


def _sum(stream: BinaryIO) -> bytes:
    """Return the SHA-256 of what follows the user block, in hexadecimal digits."""
    found = hashlib.sha256()
    stream.seek(_BLOCK)
    while part := stream.read(1 << 20):
        found.update(part)
    return found.hexdigest().encode()


def _expect_undamaged(path: Path) -> None:
    """Make sure that a file has its seal, or is one of an earlier version."""
    with path.open("rb") as stream:
        block = stream.read(_BLOCK)
        if block.startswith(_HDF5):
            return
        if block != (_SEAL + _sum(stream)).ljust(_BLOCK, b"\0"):
            raise InputError("not readable as HDF5: damaged, or no file of ours", file=path)


@contextmanager
def opened(path: Path, kind: str, what: str) -> Iterator[Hdf5]:
    """Open a file whose attribute `format` is `kind`; `what` it is stands in the error if it is another.

    Raises:
        InputError: if the file is missing, damaged, too large, or of another kind.
    """
    check_regular(path, LARGEST_TENSORS)
    try:
        _expect_undamaged(path)
        with h5py.File(path, "r") as file:
            found = Hdf5(path, file)
            form = found.attribute("format")
            if not isinstance(form, str) or form != kind:
                raise InputError(f"not {what}", file=path, key="format", value=form, allowed=kind)
            yield found
    except OSError as error:
        raise InputError(f"not readable as HDF5: {error}", file=path) from error


class Hdf5:
    """The attributes and data sets of an open file."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path, self._file = path, file

    def attribute(self, name: str) -> object:
        """Return an attribute, None if there is none."""
        return self._attempt(name, lambda: self._file.attrs.get(name))

    def text(self, name: str) -> str:
        """Return an attribute that is a text."""
        value = self.attribute(name)
        if not isinstance(value, str):
            raise InputError("not a text", file=self.path, key=name, value=shown(value))
        return value

    def whole(self, name: str) -> int:
        """Return an attribute that is a whole number."""
        value = self.attribute(name)
        if not isinstance(value, np.integer):
            raise InputError("not a whole number", file=self.path, key=name, value=shown(value))
        return int(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, an attribute or a data set."""
        values = self._attempt(name, lambda: self._values(name))
        if values.ndim != 1 or not all(isinstance(value, str | bytes) for value in values):
            raise InputError("not a list of texts", file=self.path, key=name)
        return self._attempt(name, lambda: tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values))

    def numbers(self, name: str, kind: str, dimensions: int) -> np.ndarray:
        """Return a data set of numbers with so many dimensions; `kind` is `f` or `i`, as NumPy says it."""
        dataset = self._attempt(name, lambda: self._file[name])
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != kind or dataset.ndim != dimensions:
            what = "numbers" if kind == "f" else "whole numbers"
            raise InputError("not such numbers", file=self.path, key=name, allowed=f"{what}, {dimensions} dimensions")
        if dataset.nbytes > LARGEST_TENSORS:
            raise InputError("too many numbers", file=self.path, key=name, value=dataset.shape)
        return self._attempt(name, lambda: np.asarray(dataset))

    def _values(self, name: str) -> np.ndarray:
        """Return what an attribute or else a data set of this name holds."""
        if name in self._file.attrs:
            return np.asarray(self._file.attrs[name])
        dataset = self._file[name]
        if not isinstance(dataset, h5py.Dataset):
            raise TypeError("no data set")
        return np.asarray(dataset[()])

    def _attempt(self, name: str, read: Callable[[], _T]) -> _T:
        """Return what is read; h5py tells of damage in many ways."""
        try:
            return read()
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, MemoryError, OSError) as error:
            missing = isinstance(error, KeyError) and "doesn't exist" in str(error)
            problem = "not there" if missing else f"damaged: {error}"
            raise InputError(problem, file=self.path, key=name) from error
