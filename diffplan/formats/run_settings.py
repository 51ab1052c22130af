"""Notes that long work leaves in its folder, of how it is done: whoever goes on there must do it the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from diffplan.errors import InputError
from diffplan.strict.strict_json import read_object
from diffplan.system.files import write_text


def claim_settings(
    file: Path, settings: Mapping[str, object], problem: str, *, earlier: Mapping[str, object] | None = None
) -> None:
    """Write how the work in a folder is done, or make sure that what is there was done the same way.

    `problem` says what is wrong where a setting differs; `earlier` are the settings of files of earlier versions, which
    do not name them.

    Raises:
        InputError: naming the first setting that differs, or if the file is damaged.
        NotWritten: if it cannot be written.
    """
    wanted = json.loads(json.dumps(settings, default=str))
    if not file.exists():
        write_text(file, json.dumps(wanted, indent=1) + "\n")
        return
    found = {**(earlier or {}), **read_object(file)}
    for key, value in wanted.items():
        if found.get(key) != value:
            raise InputError(
                problem, file=file, key=key, value=found.get(key), allowed=f"{value!r}, or another folder (--out)"
            )
