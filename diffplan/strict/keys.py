"""The keys of a mapping in a file, declared once: the reader takes them from here, and so does the format reference."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One key: `kind` is what its value is, in words; `default` is None where the key must be there."""

    kind: str
    about: str
    unit: str = ""
    default: str | None = None
    example: str = ""


class Keys:
    """The keys of a mapping by name, in the order of the reference; `Entry.fields(*keys.names)` reads them."""

    def __init__(self, **keys: Key) -> None:
        self.all = keys

    @property
    def required(self) -> tuple[str, ...]:
        """The keys that must be there."""
        return tuple(name for name, key in self.all.items() if key.default is None)

    @property
    def optional(self) -> tuple[str, ...]:
        """The keys that may be there."""
        return tuple(name for name, key in self.all.items() if key.default is not None)

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The keys that must be there, and those that may."""
        return self.required, self.optional
