"""YAML without its traps: values are texts, lists and mappings; what a text means is decided by the reader (`Entry`).

Duplicate keys, tags and keys that are no text are errors. Nothing here is recursive, and depth and number of values are
bounded, those that aliases stand for counted as often as they are named: no file can exhaust the stack or the memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from diffplan.errors import Faults, InputError
from diffplan.strict.entry import Entry
from diffplan.system.reading import DEEPEST, read_text

# The base loaders resolve nothing: every scalar stays text. The C one is ten times faster where it was built.
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TEXT = "tag:yaml.org,2002:str"
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}
_MOST_VALUES = 1_000_000


def read_yaml(path: str | Path, faults: Faults | None = None) -> Entry:
    """Read a YAML file of one document.

    Args:
        path: the file.
        faults: gathers duplicate keys, tags and keys that are no text; where it is not given they are raised.

    Raises:
        InputError: if the file is missing or too large, is not YAML, or has duplicate keys, tags or keys that are no
            text.
    """
    path = Path(path)
    return parse_yaml(read_text(path), path, faults)


def parse_yaml(text: str, path: Path, faults: Faults | None = None) -> Entry:
    """Parse YAML text; `path` stands in the error messages, and relative paths start at its folder.

    Raises:
        InputError: as `read_yaml`.
    """
    with Faults() as own:
        composer = _Composer(path=path, faults=faults or own)
        try:
            for event in yaml.parse(text, Loader=_Loader):
                composer.take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            problem = ": ".join(part for part in (error.context, error.problem) if part)
            raise InputError(f"not readable as YAML: {problem}", file=path, line=line) from error
        except yaml.YAMLError as error:
            raise InputError(f"not readable as YAML: {' '.join(str(error).split())}", file=path) from error
        if composer.root is None:
            raise InputError("the file is empty", file=path)
    return Entry(file=path, key="", raw=composer.root)


@dataclass(kw_only=True)
class _Open:
    """A list or mapping that is not closed yet: the pending key of a mapping, its keys' lines, and its values so far.

    `size` counts the values in it, at any depth and with aliases written out.
    """

    node: yaml.SequenceNode | yaml.MappingNode
    anchor: str | None
    key: yaml.Node | None = None
    lines: dict[str, int] = field(default_factory=dict)
    size: int = 1


@dataclass(kw_only=True)
class _Composer:
    """Builds the tree of nodes from the parser's events, with a stack of its own."""

    path: Path
    faults: Faults
    root: yaml.Node | None = None
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[yaml.Node, int]] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        """Take the next event of the parser."""
        if isinstance(event, yaml.ScalarEvent):
            self._check_tag(event)
            node = yaml.ScalarNode(_TEXT, event.value, event.start_mark, None, style=event.style)
            self._put(node, 1, event.anchor)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check_tag(event)
            if len(self.stack) == DEEPEST:
                raise self._error("nested too deeply", event, allowed=f"{DEEPEST} levels")
            kind = yaml.SequenceNode if isinstance(event, yaml.SequenceStartEvent) else yaml.MappingNode
            node = kind("", [], event.start_mark, None)
            self.anchors.pop(event.anchor, None)
            self.stack.append(_Open(node=node, anchor=event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.stack.pop()
            self._put(done.node, done.size, done.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self._error("an alias without an anchor before it", event, value=event.anchor)
            self._put(*self.anchors[event.anchor], None, event.start_mark)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            problem = "not readable as YAML: expected a single document in the stream: but found another document"
            raise self._error(problem, event)

    def _put(self, node: yaml.Node, size: int, anchor: str | None, mark: yaml.Mark | None = None) -> None:
        """Put a finished node into the list or mapping that is open, or make it the root."""
        if anchor is not None:
            self.anchors[anchor] = node, size
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.size += size
        if parent.size > _MOST_VALUES:
            line = (mark or node.start_mark).line + 1
            problem = "too many values (aliases count as what they stand for)"
            raise InputError(problem, file=self.path, line=line, allowed=f"{_MOST_VALUES}")
        if isinstance(parent.node, yaml.SequenceNode):
            parent.node.value.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            key, parent.key = parent.key, None
            if self._new_key(key, parent):
                parent.node.value.append((key, node))

    def _new_key(self, key: yaml.Node, parent: _Open) -> bool:
        """Whether a key is a text that its mapping has not yet."""
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            self.faults.add(InputError("a key must be a text", file=self.path, line=line))
            return False
        first = parent.lines.setdefault(key.value, line)
        again = len(parent.lines) == len(parent.node.value)
        if again:
            problem = f"duplicate key (first on line {first})"
            self.faults.add(InputError(problem, file=self.path, line=line, key=key.value))
        return not again

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag not in (None, "!") and event.tag not in _TAGS:
            self.faults.add(self._error("tags are not allowed", event, value=event.tag, allowed="plain values"))

    def _error(
        self, problem: str, event: yaml.Event, *, value: str | None = None, allowed: str | None = None
    ) -> InputError:
        line = event.start_mark.line + 1
        return InputError(problem, file=self.path, line=line, value=value, allowed=allowed)
