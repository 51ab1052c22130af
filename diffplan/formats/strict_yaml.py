"""YAML without its traps: nodes are composed, never turned into values by their looks.

Duplicate keys, tags and keys that are no text are errors; what a scalar means is decided by the reader (`Entry`).
"""

from __future__ import annotations

from pathlib import Path

import yaml

from diffplan.errors import InputError
from diffplan.formats.entry import Entry

# The base loaders resolve nothing: every scalar stays text. The C one is ten times faster where it was built.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}


def read_yaml(path: str | Path) -> Entry:
    """Read a YAML file of one document.

    Raises:
        InputError: if the file is missing, is not YAML, or has duplicate keys, tags or keys that are no text.
    """
    path = Path(path)
    return parse_yaml(read_text(path), path)


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        InputError: if the file cannot be read, or is in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        raise InputError("not a text file", file=path, allowed="UTF-8") from error


def parse_yaml(text: str, path: Path) -> Entry:
    """Parse YAML text; `path` stands in the error messages, and relative paths start at its folder.

    Raises:
        InputError: as `read_yaml`.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        raise InputError(f"not readable as YAML: {problem}", file=path, line=line) from error
    except yaml.YAMLError as error:
        raise InputError(f"not readable as YAML: {' '.join(str(error).split())}", file=path) from error
    if node is None:
        raise InputError("the file is empty", file=path)
    _check(node, path, set())
    return Entry(file=path, key="", raw=node)


def _check(node: yaml.Node, path: Path, seen: set[int]) -> None:
    """Refuse tags, duplicate keys and keys that are no text, at any depth (anchors are visited once)."""
    if id(node) in seen:
        return
    seen.add(id(node))
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        raise InputError("tags are not allowed", file=path, line=line, value=node.tag, allowed="plain values")
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check(item, path, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a key must be a text", file=path, line=line)
        if key.value in lines:
            raise InputError(f"duplicate key (first on line {lines[key.value]})", file=path, line=line, key=key.value)
        lines[key.value] = line
        _check(value, path, seen)
