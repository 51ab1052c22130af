"""Which importer reads a file: by the name of its format, or by what the file looks like if only one fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from diffplan.errors import InputError
from diffplan.formats.imports import moveit, robometrics, vamp
from diffplan.formats.imports.draft import Draft
from diffplan.robot.model import Robot

IMPORTERS: dict[str, Callable[[Path, Robot], Iterator[Draft]]] = {
    "moveit": moveit.drafts,
    "vamp": vamp.drafts,
    "robometrics": robometrics.drafts,
}


def detect_format(path: Path) -> str:
    """Return the format of a file or folder, if that is beyond doubt.

    Raises:
        InputError: if there is no such file, or it could be of several formats or of none.
    """
    if not path.exists():
        raise InputError("no such file or folder", file=path)
    if path.is_dir():
        return "moveit"
    if path.name.endswith((".json", ".json.gz")):
        return "vamp"
    if moveit.FILE_NAME.fullmatch(path.name) or path.suffix == ".scene":
        allowed = f"the folder, {path.parent}"
        raise InputError(
            "a scene or request alone is no problem; MoveIt's come in pairs in a folder", file=path, allowed=allowed
        )
    if path.suffix in (".yaml", ".yml"):
        return "robometrics"
    raise InputError("the format is not to be seen from the file", file=path, key="--format", allowed=IMPORTERS)
