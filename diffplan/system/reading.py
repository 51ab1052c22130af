"""Files are read whole, from regular files only, and up to a size: nothing that a name leads to can hang or flood."""

from __future__ import annotations

import gzip
import os
import stat
import xml.etree.ElementTree as ET
import zlib
from io import BytesIO
from pathlib import Path
from xml.parsers import expat

from diffplan.errors import InputError

MIB = 1 << 20
LARGEST_TEXT = 32 * MIB
"""Largest text file (YAML, CSV, scene text) [bytes]."""
LARGEST_JSON = 128 * MIB
"""Largest JSON file, after unzipping [bytes]."""
LARGEST_ZIPPED = 64 * MIB
"""Largest gzipped file, before unzipping [bytes]."""
LARGEST_XML = 16 * MIB
"""Largest URDF file [bytes]."""
LARGEST_TENSORS = 4096 * MIB
"""Largest file of weights or training data [bytes]; these are not read as a whole."""
DEEPEST = 64
"""How many levels a file may nest."""
_DEEPEST_XML = 256
_GZIP_MAGIC = b"\x1f\x8b"


def is_file(path: Path) -> bool:
    """Whether there is a regular file (a link to one counts); names that no file can have are none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds NUL
        return False


def check_regular(path: Path, largest: int) -> None:
    """Make sure that a path leads to a regular file of at most `largest` bytes, without opening anything else.

    Raises:
        InputError: if it does not; a device, a pipe or a folder is named as such.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(state.st_mode):
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a device, pipe or socket"
        raise InputError(f"cannot be read: {kind}, not a file", file=path, allowed="a regular file, or a link to one")
    if state.st_size > largest:
        raise too_large(path, state.st_size, largest)


def read_bytes(path: Path, largest: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        InputError: if it cannot be read, is no regular file, or is larger than `largest` bytes.
    """
    check_regular(path, largest)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            data = stream.read(os.fstat(stream.fileno()).st_size + 1) or b""
            data += stream.read(largest + 1 - len(data)) or b""
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(data) > largest:  # it grows, or tells no size (/proc)
        raise too_large(path, len(data), largest)
    return data


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        InputError: if the file cannot be read, is too large, or is in another encoding.
    """
    return decode(read_bytes(path, largest), path)


def decode(data: bytes, path: Path) -> str:
    """Return UTF-8 as text, without a byte order mark.

    Raises:
        InputError: if it is in another encoding.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not a text file", file=path, line=line, allowed="UTF-8") from error


def read_zipped(path: Path, largest: int) -> bytes:
    """Return the content of a file, unzipped if its first bytes say gzip, whatever its name.

    Raises:
        InputError: as `read_bytes`, and if it is damaged or larger than `largest` bytes once unzipped.
    """
    data = read_bytes(path, largest)
    if not data.startswith(_GZIP_MAGIC):
        return data
    if len(data) > LARGEST_ZIPPED:
        raise too_large(path, len(data), LARGEST_ZIPPED)
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
            unzipped = stream.read(largest + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"not readable as gzip: {error}", file=path) from error
    if len(unzipped) > largest:
        raise InputError("too large once unzipped", file=path, allowed=f"up to {largest // MIB} MiB")
    return unzipped


class XmlElement(ET.Element):
    """An element of an XML file, and the line that it begins in."""

    line: int | None = None


def line_of(element: ET.Element | None) -> int | None:
    """Return the line in which an element begins, if it was read by `parse_xml`."""
    return element.line if isinstance(element, XmlElement) else None


def parse_xml(data: bytes, path: Path) -> ET.Element:
    """Return the root of an XML file, elements with their lines (`line_of`).

    Entities are not allowed, so that nothing is fetched and nothing explodes.

    Raises:
        InputError: naming the file `path`, if it is no XML, declares entities, or nests too deeply.
    """
    builder, parser = ET.TreeBuilder(element_factory=XmlElement), expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST_XML:
            problem, allowed = "nested too deeply", f"{_DEEPEST_XML} levels"
            raise InputError(problem, file=path, line=parser.CurrentLineNumber, allowed=allowed)
        element = builder.start(tag, attributes)
        assert isinstance(element, XmlElement)
        element.line = parser.CurrentLineNumber

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def entity(name: str, *_: object) -> None:
        raise InputError("XML entities are not allowed", file=path, line=parser.CurrentLineNumber, value=name)

    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, entity
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        raise InputError(f"not readable as XML: {error}", file=path) from error
    except (LookupError, ValueError) as error:  # an encoding that is unknown, or has no table
        raise InputError(f"not readable as XML: {error}", file=path, allowed="UTF-8") from error


def too_large(path: Path, size: int, largest: int) -> InputError:
    """Return the error for a file of `size` bytes where `largest` are allowed."""
    found = f"{size / MIB:.1f} MiB" if size > MIB else f"{size} bytes"
    allowed = f"up to {largest // MIB} MiB" if largest >= MIB else f"up to {largest} bytes"
    return InputError(f"too large: {found}", file=path, allowed=allowed)


def _unreadable(path: Path, error: OSError | ValueError) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InputError(f"cannot be read: {reason}", file=path)
