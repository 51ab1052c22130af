"""Problem suites (`diffplan/problems@1`) from the files of other projects."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffplan.errors import InputError
from diffplan.formats.imports.draft import Draft, Imported, Unsupported
from diffplan.formats.imports.formats import IMPORTERS, detect_format
from diffplan.formats.robot_file import word_for_robot
from diffplan.learning.layout import obstacle_record
from diffplan.robot.model import Robot
from diffplan.system.files import make_folder, write_bytes
from diffplan.system.progress import working

_DIGITS = 9  # of every number in a suite: a nanometre, and the same text wherever it was converted
_SHOWN = 5  # refused problems that the message tells of


@dataclass(frozen=True, kw_only=True)
class SuiteDocument:
    """A suite ready to be written; `problems` are as the file spells them, `left_out` says what is not among them.

    `robot_file` is the robot's file, which the suite names by its path if the robot goes by no name; `notes` say what
    of the files was not taken over.
    """

    name: str
    robot: str
    robot_file: Path | None = None
    joint_names: tuple[str, ...]
    fixed_joints: dict[str, float]
    source: str
    problems: tuple[dict[str, object], ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return the SHA-256 of what is to be solved: joints and problems, not name and source."""
        return digest(self.robot, self.joint_names, self.fixed_joints, self.problems)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all, gzipped if its name ends so; equal suites make equal bytes."""
        document = {
            "format": "diffplan/problems@1",
            "name": self.name,
            "source": self.source,
            "robot": word_for_robot(self.robot, self.robot_file, path.parent),
            "joint_names": self.joint_names,
            "fixed_joints": self.fixed_joints,
            "problems": self.problems,
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        make_folder(path.parent)
        write_bytes(path, gzip.compress(text, 9, mtime=0) if path.suffix == ".gz" else text)


def digest(*solved: object) -> str:
    """Return the SHA-256 of robot, joint names, fixed joints and problems, as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(solved, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def import_suite(
    files: Sequence[Path],
    *,
    name: str,
    robot: Robot,
    source: str,
    format: str | None = None,
    hold: Mapping[str, float] | None = None,
    without: Collection[str] = (),
    skip_unsupported: bool = False,
    show: bool = True,
) -> SuiteDocument:
    """Read the problems of these files or folders, in `format` (see `IMPORTERS`; None: what each looks like).

    The suite holds the joints at `hold` (rad or m), else where the files say, else where the robot does. Values of
    joints that its URDF fixes are not taken over, and of joints `without` that it has not; both are told. What a suite
    cannot hold is an error, or with `skip_unsupported` left out and told.

    Raises:
        InputError: naming file, key, value and what is allowed.
    """
    fixed = _rounded_map(robot.with_held(dict(hold)).held_joints) if hold else None
    problems: dict[str, dict[str, object]] = {}
    refused: list[str] = []
    still: dict[str, dict[float, None]] = {}
    for draft in _tracked(_drafts(files, format, robot), show):
        if draft.id in problems:
            raise InputError(f"two problems are called {draft.id!r}", allowed="files and folders with different names")
        try:
            imported = draft.read()
            for joint, error in imported.unknown.items():
                if joint not in without:
                    raise error
            for joint, value in imported.fixed.items():
                still.setdefault(joint, {})[value] = None
            if fixed is None:
                fixed = _rounded_map(robot.with_held(imported.held).held_joints)
            _expect_held(imported, fixed)
        except Unsupported as error:
            refused.append(f"{draft.id}: {error}")
            continue
        problems[draft.id] = _record(draft, imported)
    count = len(problems) + len(refused)
    if refused and not (skip_unsupported and problems):
        more = f"; and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise InputError(
            f"{len(refused)} of {count} problems cannot be kept: {'; '.join(refused[:_SHOWN])}{more}",
            allowed="--skip-unsupported leaves them out" if problems else "at least one problem that can be kept",
        )
    if fixed is None or not problems:
        raise InputError("no problems in these files", value=[str(file) for file in files])
    return SuiteDocument(
        name=name,
        robot=robot.name,
        robot_file=robot.file,
        joint_names=robot.joint_names,
        fixed_joints=fixed,
        source=source,
        problems=tuple(problems.values()),
        left_out=tuple(refused),
        notes=tuple(_notes(robot, still, without)),
    )


def _notes(robot: Robot, still: Mapping[str, Collection[float]], without: Collection[str]) -> Iterable[str]:
    for joint, values in still.items():
        at = ", ".join(f"{value:g}" for value in values)
        yield f"{joint} is fixed in {robot.model.file.name}: its value in the files ({at}) is not taken over"
    if without:
        yield f"{robot.name} has no {', '.join(without)}: not taken over"


def _drafts(files: Sequence[Path], format: str | None, robot: Robot) -> list[Draft]:
    formats = [format or detect_format(file) for file in files]
    return [draft for file, name in zip(files, formats, strict=True) for draft in IMPORTERS[name](file, robot)]


def _tracked(drafts: list[Draft], show: bool) -> Iterator[Draft]:
    if not show:
        yield from drafts
        return
    with working("converting", len(drafts)) as task:
        for draft in drafts:
            yield draft
            task.advance()


def _expect_held(imported: Imported, fixed: Mapping[str, float]) -> None:
    for joint, value in _rounded_map(imported.held).items():
        if value != fixed[joint]:
            raise Unsupported(
                "held elsewhere than in the rest of the suite", key=joint, value=value, allowed=f"{fixed[joint]:g}"
            )


def _record(draft: Draft, imported: Imported) -> dict[str, object]:
    names = [obstacle.name for obstacle in imported.obstacles]
    for obstacle in imported.obstacles:
        if names.count(obstacle.name) > 1:
            raise InputError(
                f"two obstacles of {draft.id} have one name", value=obstacle.name, allowed="a name used once"
            )
    record = {
        "id": draft.id,
        "start": imported.start,
        "goals": imported.goals,
        "obstacles": [obstacle_record(obstacle) for obstacle in imported.obstacles],
    }
    return {key: _rounded(value) for key, value in record.items()}


def _rounded_map(values: Mapping[str, float]) -> dict[str, float]:
    return {key: round(value, _DIGITS) + 0.0 for key, value in values.items()}


def _rounded(value: object) -> object:
    """Return the value with its numbers rounded, lists and mappings gone through; -0.0 becomes 0.0."""
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
