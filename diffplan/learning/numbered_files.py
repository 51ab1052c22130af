"""A folder of numbered files, made by many workers with a progress bar; a run that was stopped goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from diffplan.errors import DiffplanError
from diffplan.system.files import write_bytes
from diffplan.system.jobs import Lost, run_jobs
from diffplan.system.progress import announce

MakeFile: TypeAlias = Callable[[int], Iterator["int | bytes"]]
"""Makes piece number i: yields how much of it is made so far, and at the end the content of its file."""


def make_files(
    start: Callable[[], MakeFile],
    files: Sequence[Path],
    *,
    workers: int | None,
    executor: str,
    unit: str,
    show: bool,
    name: str = "shards",
) -> int:
    """Make those of the numbered files that are missing; returns how much was made.

    `start` is called once in every worker (it must be picklable) and returns what makes one piece. The progress bar
    counts pieces by `name` and what they hold by `unit`.

    Raises:
        NotWritten: if a file cannot be written.
        DiffplanError: that a worker raised; or if workers die.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    missing = [i for i, file in enumerate(files) if not file.exists()]
    made = dict.fromkeys(missing, 0)
    written, began = len(files) - len(missing), time.perf_counter()
    if show and missing:
        announce(f"making {len(missing)} of {len(files)} {name}")
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with (
        Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not show) as progress,
        closing(run_jobs(start, missing, workers=workers, executor=executor)) as messages,
    ):
        task = progress.add_task("", total=len(files), completed=written, rate="")
        for number, message in messages:
            if isinstance(message, Lost):
                problem = f"workers died twice at the same piece ({message.problem})"
                raise DiffplanError(f"{problem}; run the same command again to go on")
            if isinstance(message, bytes):
                write_bytes(files[missing[number]], message)
                written += 1
            else:
                made[missing[number]] = message
            done = sum(made.values())
            rate = f"{done} {unit}, {done / (time.perf_counter() - began):.1f}/s"
            progress.update(task, completed=written, rate=rate)
    return sum(made.values())
