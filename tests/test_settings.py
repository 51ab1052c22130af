"""Settings say what each of their fields means."""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import diffplan


def _found() -> Iterator[type]:
    for module in pkgutil.walk_packages(diffplan.__path__, "diffplan."):
        if module.name != "diffplan.__main__":
            for item in vars(importlib.import_module(module.name)).values():
                named = isinstance(item, type) and item.__module__ == module.name
                if named and dataclasses.is_dataclass(item) and item.__name__.endswith(("Config", "Settings")):
                    yield item


SETTINGS = tuple(_found())


def test_there_are_settings():
    assert len(SETTINGS) > 20


@pytest.mark.parametrize("kind", SETTINGS, ids=lambda kind: kind.__name__)
def test_every_field_is_named_in_the_docstring(kind: type):
    words = " ".join(base.__doc__ or "" for base in kind.__mro__)
    missing = [field.name for field in dataclasses.fields(kind) if not re.search(rf"\b{field.name}\b", words)]
    assert missing == []
