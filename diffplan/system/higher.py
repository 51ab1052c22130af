"""Methods that a low layer offers and a higher one does, such as `Scene.load`: found by name when they are called.

So no module imports one above it, and no two import each other. The names stand with the methods.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def higher(name: str) -> Callable[..., Any]:
    """Return the function `module:function` of this package; the module is imported if it was not yet."""
    module, function = name.split(":")
    return getattr(import_module(f"diffplan.{module}"), function)
