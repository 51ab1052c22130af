"""How the fuzzer of readers damages files: byte by byte, number by number, key by key, and by inputs made for harm.

A file is damaged by what it is (`Syntax`): every syntax by bytes, texts by words, YAML, JSON, XML and binary containers
by their own structure, so that damaged files still reach the checks behind the parser. Everything random comes from the
generator that is passed in.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import os
import random
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import yaml

Make = Callable[[Path], None]
"""Writes an input at a path: bytes, a link, a pipe."""


class Syntax(Enum):
    """What a file is written in."""

    YAML = "yaml"
    JSON = "json"
    JSON_GZ = "json.gz"
    XML = "xml"
    TEXT = "text"
    BINARY = "binary"
    GLB = "glb"
    TENSORS = "safetensors"
    HDF5 = "hdf5"


AS_IT_IS = "as it is"
"""The name of the input that is not damaged at all."""


class Raw(str):
    """A word that stands in a file as it is, without quotes."""

    __slots__ = ()


class Pairs(list):
    """A mapping as a list of pairs, so that a key may come twice."""

    __slots__ = ()


VALUES: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 1e308, -1e308, 1e-320, 1e77, 1e20, 1e9, 0.001, -0.5, 57.3, 180),
    *(2**31, 2**63, -(2**63) - 1, "", " ", "\t", "a", "panda", "home", ".", "..", "/", "/dev/zero", "a\0b", "\ud800"),
    *("a\nb", "\u202e", "x" * 300, "é" * 100, "nan", "1e-3", "on", "0123", "1_000", "1:30", "0x10", "{}", "[]", "%s%n"),
    *([], {}, [[]], [None], [0] * 3, [0] * 4, [0] * 7, [[0] * 7], [1e308] * 3, {"a": 1}, {"": 0}, ["a", "a"]),
    *(Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw(".nan"), Raw("1e400"), Raw("-1e400"), Raw("1" * 5000)),
    *(Raw("9" * 400), Raw("0." + "3" * 3000), Raw("1e999999999"), Raw("- "), Raw("*a"), Raw("&a"), Raw("!!python/x y")),
    *(Raw("<<"), Raw("~"), Raw("yes"), Raw("'"), Raw('"\\ud800"'), Raw('"\\u0000"'), Raw("2020-01-01"), Raw("0b1")),
)
WORDS = (
    *("nan", "inf", "-inf", "1e400", "1e308", "-1e308", "1e-320", "0", "-1", "1", "2147483648", "9" * 40, "1" * 5000),
    *("-", "", "\0", "é", "x", "1e", "0x1p3", "1_0", "1,5", "#", "\\", "solid", "f", "v", "/", "//", "1/1/1", "3"),
    *("4294967295", "-2147483649", "1e39", "\ufeff", "\r", "\x0c", "\u2028", "\ud7ff", "end_header", "."),
)
_INSERTED = (b"\0", b"\xff", b"\xed\xa0\x80", b"\n", b" ", b"\t", b'"', b"[", b"{", b"<", b"1" * 400)
_ATTRIBUTES = ("", "base", "x y z", "1 2 3", "0 0 0", "0 0 0 0", "nan nan nan", "1e300 1e300 1e300", "mesh.obj")
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def mutated(data: bytes, syntax: Syntax, rng: random.Random) -> bytes:
    """Return a damaged copy of a file's content."""
    if syntax is Syntax.JSON_GZ:
        if rng.random() < 0.2:
            return _bytes(data, rng)
        return gzip.compress(mutated(gzip.decompress(data), Syntax.JSON, rng), 1)
    structural = _STRUCTURAL.get(syntax)
    if structural is not None and rng.random() < 0.6:
        try:
            return structural(data, rng)
        except RecursionError:  # of our own, in a copy of something deep
            return _bytes(data, rng)
    if syntax in (Syntax.BINARY, Syntax.GLB, Syntax.TENSORS, Syntax.HDF5) or rng.random() < 0.5:
        return _bytes(data, rng)
    return _words(data, rng)


def _some(rng: random.Random) -> int:
    """Return how many changes: mostly one, at times many."""
    return rng.choice((1, 1, 1, 2, 3, 8, 30))


def _bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, insert and splice bytes."""
    found = bytearray(data)
    for _ in range(_some(rng)):
        at, length = rng.randrange(len(found) + 1), rng.choice((1, 1, 2, 4, 16, 100, 1000))
        kind = rng.randrange(8)
        if kind == 0 and found:
            found[at % len(found)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[at : at + length]
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            found[at:at] = found[at : at + length] * rng.choice((1, 2, 50))
        elif kind == 4:
            found[at:at] = rng.choice(
                (b"\0", b"\xff", b"\xed\xa0\x80", b"\n", b" ", b"\t", b'"', b"[", b"{", b"<", b"1" * 400)
            )
        elif kind == 5:
            found[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800000, 0x7FC00000)))
        elif kind == 6:
            other = rng.randrange(len(found) + 1)
            found[at:at] = found[other : other + length]
        else:
            found[at : at + length] = rng.randbytes(min(length, 16))
    return bytes(found)


def _words(data: bytes, rng: random.Random) -> bytes:
    """Replace numbers by others, and drop, double, swap or cut lines."""
    lines = data.split(b"\n")
    for _ in range(_some(rng)):
        at, kind = rng.randrange(len(lines)), rng.randrange(6)
        numbers = list(_NUMBER.finditer(lines[at]))
        if kind <= 2 and numbers:
            found = rng.choice(numbers)
            word = rng.choice(WORDS).encode("utf-8", "surrogatepass")
            lines[at] = lines[at][: found.start()] + word + lines[at][found.end() :]
        elif kind == 3 and len(lines) > 1:
            del lines[at]
        elif kind == 4:
            lines.insert(at, rng.choice(lines))
        else:
            words = lines[at].split(b" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
            lines[at] = b" ".join(words)
    return b"\n".join(lines)


def changed(tree: object, rng: random.Random) -> object:
    """Return a tree of lists, mappings (`Pairs` or dict) and scalars with one place changed."""
    places = list(_places(tree))
    holder, key = rng.choice(places) if places else (None, None)
    if holder is None:
        return _value(rng)
    kind = rng.randrange(9)
    if kind <= 3:
        holder[key] = _held(holder, key, _value(rng))
    elif kind == 4:
        del holder[key]
    elif kind == 5:
        holder.insert(key, holder[rng.randrange(len(holder))])
    elif kind == 6 and isinstance(holder, Pairs):
        name, value = holder[key]
        names = (f"{name}x", name[:-1], "", "a\0b", "\ud800", "x" * 300, "name", "type", Raw("[a]"), Raw("1" * 5000))
        holder[key] = (rng.choice(names), value)
    elif kind == 7:
        value: object = holder[key][1] if isinstance(holder, Pairs) else holder[key]
        for _ in range(rng.choice((1, 3, 70, 1000))):
            value = [value] if rng.random() < 0.5 else Pairs([("a", value)])
        holder[key] = _held(holder, key, value)
    else:
        other, where = rng.choice(places)
        value = other[where][1] if isinstance(other, Pairs) else other[where]
        holder[key] = _held(holder, key, json_tree(json.loads(json.dumps(plain(value)))))
    return tree


def _value(rng: random.Random) -> object:
    return json_tree(copy.deepcopy(rng.choice(VALUES)))


def _held(holder: list, key: int, value: object) -> object:
    return (holder[key][0], value) if isinstance(holder, Pairs) else value


def _places(tree: object) -> Iterator[tuple[list, int]]:
    """Give every list and mapping of a tree with each of its indices."""
    open_ = [tree]
    while open_:
        node = open_.pop()
        if isinstance(node, list):
            for i, item in enumerate(node):
                yield node, i
                open_.append(item[1] if isinstance(node, Pairs) else item)


def json_tree(value: object) -> object:
    """Return a parsed document with its mappings as `Pairs`."""
    if isinstance(value, dict):
        return Pairs((name, json_tree(item)) for name, item in value.items())
    return [json_tree(item) for item in value] if isinstance(value, list) else value


def plain(value: object) -> object:
    """Return a tree without `Pairs` and `Raw`, as far as it goes."""
    if isinstance(value, Pairs):
        return {str(name): plain(item) for name, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value)[:100] if isinstance(value, Raw) else value


def written(tree: object) -> str:
    """Return a tree as JSON (which YAML is too), `Raw` words as they are; nothing is recursive."""
    parts: list[str] = []
    todo: list[object] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, Raw):
            parts.append(node)
        elif isinstance(node, Pairs | dict):
            pairs = list(node.items()) if isinstance(node, dict) else node
            todo.append(Raw("}"))
            for i, (name, value) in enumerate(reversed(pairs)):
                todo += [
                    Raw(", ") if i else Raw(""),
                    value,
                    Raw(name if isinstance(name, Raw) else json.dumps(name)),
                ]
                todo[-2:] = [value, Raw(": "), todo[-1]]
            todo.append(Raw("{"))
        elif isinstance(node, list):
            todo.append(Raw("]"))
            for i, value in enumerate(reversed(node)):
                todo += [Raw(", ") if i else Raw(""), value]
            todo.append(Raw("["))
        else:
            parts.append(json.dumps(node))
    return "".join(parts)


def _tree(data: bytes, rng: random.Random, load: Callable[[bytes], object]) -> bytes:
    tree = json_tree(load(data))
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        tree = changed(tree, rng)
    return written(tree).encode("utf-8", "surrogatepass")


def _yaml(data: bytes, rng: random.Random) -> bytes:
    return _tree(data, rng, lambda data: json.loads(json.dumps(yaml.safe_load(data), default=str)))


def _json(data: bytes, rng: random.Random) -> bytes:
    return _tree(data, rng, json.loads)


def _xml(data: bytes, rng: random.Random) -> bytes:
    """Change, drop, double, move and rename elements and attributes."""
    root = ET.fromstring(data)
    for _ in range(_some(rng)):
        elements = list(root.iter())
        element = rng.choice(elements)
        words = (
            *WORDS,
            "",
            "base",
            "x y z",
            "1 2 3",
            "0 0 0",
            "0 0 0 0",
            "nan nan nan",
            "1e300 1e300 1e300",
            "mesh.obj",
        )
        word = "".join(c for c in rng.choice(words) if c.isprintable())
        kind = rng.randrange(6)
        if kind <= 1 and element.attrib:
            element.set(rng.choice(list(element.attrib)), word)
        elif kind == 2 and len(element):
            element.remove(rng.choice(list(element)))
        elif kind == 3 and len(element):
            element.append(rng.choice(list(element)))
        elif kind == 4:
            element.tag = rng.choice([other.tag for other in elements])
        elif element.text is not None:
            text = element.text.split(" ")
            text[rng.randrange(len(text))] = word
            element.text = " ".join(text)
    return ET.tostring(root)


def _glb(data: bytes, rng: random.Random) -> bytes:
    """Change the JSON chunk of a GLB file; its lengths are right again."""
    (length,) = struct.unpack_from("<I", data, 12)
    header = _json(data[20 : 20 + length], rng)
    header += b" " * (-len(header) % 4)
    body = data[20 + length :]
    return data[:8] + struct.pack("<II4s", 20 + len(header) + len(body), len(header), b"JSON") + header + body


def _tensors(data: bytes, rng: random.Random) -> bytes:
    """Change the header of a safetensors file, or one of the JSON texts in it; its length is right again."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    if rng.random() < 0.7:
        key = rng.choice(list(header["__metadata__"]))
        header["__metadata__"][key] = _json(header["__metadata__"][key].encode(), rng).decode("utf-8", "replace")
        text = json.dumps(header).encode()
    else:
        text = written(changed(json_tree(header), rng)).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _hdf5(data: bytes, rng: random.Random) -> bytes:
    """Change data sets and attributes of an HDF5 file, which is sealed again."""
    block = data.index(b"\x89HDF")
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        for _ in range(rng.choice((1, 1, 2, 3))):
            holder = file.attrs if rng.random() < 0.35 else file
            if not len(holder):
                continue
            key = rng.choice(sorted(holder))
            value = np.asarray(holder[key][()] if holder is file else holder[key])
            kind = rng.randrange(4)
            del holder[key]
            if kind:
                holder[key] = _array(value, rng)
    content = stream.getvalue()
    found = b"diffplan sha256 " + hashlib.sha256(content[block:]).hexdigest().encode()
    return found.ljust(block, b"\0") + content[block:]


def _array(value: np.ndarray, rng: random.Random) -> object:
    if value.dtype.kind in "OSU" and rng.random() < 0.6:
        texts = [item.decode() if isinstance(item, bytes) else str(item) for item in value.ravel()]
        at = rng.randrange(len(texts)) if texts else 0
        if texts:
            try:
                texts[at] = _json(texts[at].encode(), rng).decode("utf-8", "replace").replace("\0", " ")
            except ValueError:
                texts[at] = str(rng.choice(WORDS)).replace("\0", " ")
        return texts if value.shape else "".join(texts[:1])
    kind = rng.randrange(9)
    if kind == 0:
        return np.zeros((0, *value.shape[1:]), np.float32)
    if kind == 1:
        return value[..., :1] if value.ndim and value.dtype.kind != "O" else 0
    if kind == 2:
        return np.zeros((2,) * rng.randrange(5))
    if kind == 3 and value.dtype.kind in "fiu" and value.size:
        value = value.copy()
        lowest = -1 if value.dtype.kind != "u" else 0
        value.flat[rng.randrange(value.size)] = (
            rng.choice((np.nan, np.inf, 1e30)) if value.dtype.kind == "f" else lowest
        )
        return value
    if kind == 4 and value.dtype.kind in "iu":
        return value + 100
    if kind == 5 and value.dtype.kind in "fiu":
        return value.astype(rng.choice(("f8", "i8", "u1", "c8", "f2", "?")))
    if kind == 6:
        return "a text"
    if kind == 7:
        return 7
    return np.array([b"a", b"b"])


_STRUCTURAL: dict[Syntax, Callable[[bytes, random.Random], bytes]] = {
    **{Syntax.YAML: _yaml, Syntax.JSON: _json, Syntax.XML: _xml, Syntax.GLB: _glb, Syntax.TENSORS: _tensors},
    Syntax.HDF5: _hdf5,
}


def monsters(data: bytes, syntax: Syntax, *, large: bool) -> dict[str, Make]:
    """Return inputs made for harm, by name; the slow and large ones only if `large`."""
    found: dict[str, Make] = {AS_IT_IS: _content(data)}
    found |= {name: _content(content) for name, content in _SMALL.items()}
    found |= {
        "a folder": lambda path: path.mkdir(),
        "a pipe": lambda path: os.mkfifo(path),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "an endless file": lambda path: path.symlink_to("/dev/zero"),
        "a terminal": lambda path: path.symlink_to("/dev/tty"),
        "a process's memory": lambda path: path.symlink_to("/proc/self/mem"),
        "UTF-16": _content(data.decode("utf-8", "replace").encode("utf-16")),
        "Windows lines": _content(data.replace(b"\n", b"\r\n")),
        "a byte order mark": _content(b"\xef\xbb\xbf" + data),
        "gzipped": _content(gzip.compress(data)),
        "twice": _content(data + data),
    }
    if syntax in (Syntax.YAML, Syntax.JSON, Syntax.JSON_GZ):
        zipped = gzip.compress if syntax is Syntax.JSON_GZ else bytes
        found |= {name: _content(zipped(content)) for name, content in _TREES.items()}
        if large:
            found |= {name: lambda path, make=make: path.write_bytes(zipped(make())) for name, make in _LARGE.items()}
    if syntax is Syntax.XML:
        found |= {name: _content(content) for name, content in _XML.items()}
        if large:
            found["wide XML"] = lambda path: path.write_bytes(b"<robot>" + b"<link name='a'/>" * 900_000 + b"</robot>")
    if large:
        found |= {
            "a gzip bomb": lambda path: path.write_bytes(gzip_bomb()),
            "a sparse file of 1 TB": _sparse,
            "20 MB of zeros": lambda path: path.write_bytes(bytes(20_000_000)),
            "20 MB of lines": lambda path: path.write_bytes(b"v 0 0 0\n" * 2_500_000),
            "20 MB of text": lambda path: path.write_bytes(b"a " * 10_000_000),
            "repeated to 30 MB": lambda path: path.write_bytes(data * (30_000_000 // max(1, len(data)))),
        }
    return found


def _content(content: bytes) -> Make:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(10**12)


@cache
def gzip_bomb() -> bytes:
    """Return 1 GB of zeros, gzipped: 1 MB."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9) as zipped:
        for _ in range(1000):
            zipped.write(bytes(1_000_000))
    return stream.getvalue()


def _keys(count: int, doubled: bool) -> bytes:
    names = ", ".join(f'"k{i % (count - 1) if doubled else i}": {i}' for i in range(count))
    return f"{{{names}}}".encode()


_SMALL: dict[str, bytes] = {
    **{"empty": b"", "one NUL": b"\0", "NULs": bytes(1000), "a newline": b"\n", "spaces": b" " * 1000},
    **{"lone surrogates": b"\xed\xa0\x80" * 50, "one byte of two": b"\xc3", "control characters": bytes(range(32))},
    **{"a long line": b"x" * 100_000, "digits": b"1" * 100_000, "gzip's first bytes": b"\x1f\x8b\x08\0"},
}
_TREES: dict[str, bytes] = {
    **{"1,000 brackets": b"[" * 1000, "50,000 brackets": b"[" * 50_000, "50,000 mappings": b'{"a":' * 50_000},
    "1,000 levels": b"[" * 1000 + b"]" * 1000,
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "a number of 5,000 digits": b'{"format": ' + b"1" * 5000 + b"}",
    "a number of 100,000 digits": b"1" * 100_000,
    **{"a scalar": b"1", "null": b"null", "a text": b'"a"', "a list": b"[]", "a mapping": b"{}", "NaN": b"NaN"},
    "a surrogate in JSON": b'{"format": "\\ud800", "\\udfff": 1}',
    "NUL in JSON": b'{"format": "\\u0000"}',
    "an alias bomb": b"a0: &a0 [x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)),
    "an alias to itself": b"&a [*a]",
    "a merge key to itself": b"a: &a {<<: *a}",
    "many documents": b"--- a\n" * 1000,
    "block levels": b"".join(b" " * i + b"a:\n" for i in range(2000)),
    "dashes": b"- " * 20_000 + b"a",
    "question marks": b"? " * 5_000 + b"a",
    "anchors": b"[" + b", ".join(b"&a%d x" % i for i in range(20_000)) + b"]",
    "tags": b"!!python/object/apply:os.system ['true']",
}
_LARGE: dict[str, Callable[[], bytes]] = {
    "200,000 keys": lambda: _keys(200_000, False),
    "200,000 keys and one twice": lambda: _keys(200_000, True),
    "2,000,000 values": lambda: b"[" + b"1," * 2_000_000 + b"1]",
    "20,000 mappings": lambda: b"[" + b'{"a": {"b": [1, 2, 3]}},' * 20_000 + b"1]",
    "one text of 20 MB": lambda: b'{"format": "' + b"a" * 20_000_000 + b'"}',
    "one key of 20 MB": lambda: b'{"' + b"a" * 20_000_000 + b'": 1}',
}
_ENTITIES = b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10))
_XML: dict[str, bytes] = {
    "a billion laughs": b'<!DOCTYPE r [<!ENTITY a0 "ha">' + _ENTITIES + b"]><robot>&a9;</robot>",
    "a large entity": b'<!DOCTYPE r [<!ENTITY a "' + b"a" * 50_000 + b'">]><robot>' + b"&a;" * 20_000 + b"</robot>",
    "an entity of a file": b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><robot>&a;</robot>',
    "an attribute's entity": b'<!DOCTYPE r [<!ENTITY a "a">]><robot name="&a;"/>',
    "100,000 levels of XML": b"<a>" * 100_000 + b"</a>" * 100_000,
    "100,000 attributes": b"<robot " + b" ".join(b'a%d="1"' % i for i in range(100_000)) + b"/>",
    "an unknown encoding": b'<?xml version="1.0" encoding="x-none"?><robot/>',
    "another encoding": '<?xml version="1.0" encoding="utf-16"?><robot/>'.encode("utf-16"),
}
