"""Files are written whole or not at all, and what keeps one from being written is one `InputError` (`NotWritten`).

A file is written beside its place under a hidden name, brought to the disk (fsync: some disks tell only then that they
are full), and then renamed. Where that fails, the old file stays as it was and nothing is left behind.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffplan.errors import InputError

PART = ".part"
"""How the names of unfinished files end; only a process that was killed leaves one behind."""


class NotWritten(InputError):
    """A file that the system did not let us write."""


def write_bytes(path: str | Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file; a link stays a link, and an old file's permissions stay.

    Devices and pipes are written to directly. `sync` waits until the file is on the disk.

    Raises:
        NotWritten: if it cannot be written: a full disk, a folder that is missing or read-only, a name that is taken.
    """
    try:
        place, old = _place(Path(path))
        if old is not None and not stat.S_ISREG(old.st_mode):
            with open(place, "wb") as stream:
                stream.write(data)
            return
        part = place.with_name(f".{secrets.token_hex(8)}{PART}")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
                stream.write(data)
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
            if old is not None:
                os.chmod(part, stat.S_IMODE(old.st_mode))
            os.replace(part, place)
        finally:
            with suppress(OSError):
                part.unlink()
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error


def write_text(path: str | Path, text: str, *, sync: bool = True) -> None:
    """Write a text file in UTF-8; as `write_bytes`."""
    write_bytes(path, text.encode(), sync=sync)


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        NotWritten: if that is not possible, or a file is there.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise unwritable(path, error, "the folder cannot be made") from error


@contextmanager
def folder_in_place(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder to fill, which stands at `path` when the block is over; whole, or not at all.

    It is filled beside its place under a hidden name. Of an old folder there, files that the new one does not have
    are kept, folders are not.

    Raises:
        NotWritten: if it cannot be made.
        InputError: if there is one already that shall not be replaced.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    make_folder(part)
    try:
        yield part
        try:
            if not os.path.lexists(path):
                os.rename(part, path)
                return
            if not replace:
                raise InputError("there is such a folder already", file=path)
            for file in path.iterdir():
                if file.is_file() and not (part / file.name).exists():
                    shutil.copy2(file, part / file.name)
            old = part.with_suffix(".old")
            os.rename(path, old)
            try:
                os.rename(part, path)
            except OSError:
                os.rename(old, path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise unwritable(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that lies in it: gone from its place at once.

    Raises:
        NotWritten: if that is not possible.
    """
    old = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        os.rename(path, old)
        shutil.rmtree(old)
    except OSError as error:
        raise unwritable(path, error, "the folder cannot be removed") from error


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left in a folder, which must be ours alone."""
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError):
            part.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder and lock it until the block is over or the process dies: two writers would lose each other's files.

    Raises:
        InputError: if another process, or another block of this one, holds the lock.
        NotWritten: if the folder cannot be made.
    """
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = "another command is writing into this folder; wait for its end or choose another --out"
            raise InputError(problem, file=folder) from error
        yield
    finally:
        os.close(handle)


def check_writable(path: str | Path) -> None:
    """Make sure, before anything slow happens, that a file can be written; leaves nothing behind.

    Raises:
        NotWritten: if its folder is missing or read-only, or the place is taken by a folder.
    """
    try:
        place, old = _place(Path(path))
        if old is None or stat.S_ISREG(old.st_mode):
            part = place.with_name(f".{secrets.token_hex(8)}{PART}")
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            part.unlink()
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error


def unwritable(path: str | Path, error: OSError | ValueError, what: str = "cannot be written") -> NotWritten:
    """Return the error for a file that the system did not let us write."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if "\0" in str(path):
        reason = "a null byte in its name"
    return NotWritten(f"{what}: {reason}", file=path)


def _place(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return where a path leads to, and what is there.

    Raises:
        OSError: if a folder is there, or a file that may not be written to (renaming would not ask).
    """
    try:
        old = os.stat(path)
    except FileNotFoundError:
        return Path(os.path.realpath(path)), None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(None, "a folder is there")
    if not os.access(path, os.W_OK):
        raise PermissionError(None, "the file there is write-protected")
    return (Path(os.path.realpath(path)) if stat.S_ISREG(old.st_mode) else path), old
