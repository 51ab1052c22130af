"""Files that this process writes for PyBullet to read: named by their content, in a folder of its own, gone at exit.

PyBullet keeps what it read by a file's name, and looks for names in the current folder first. A file that is named by
its content under an absolute path that nobody else uses can neither be stale nor be mistaken for another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

from diffplan.system.files import write_bytes

_folders: dict[int, Path] = {}


def private_file(data: bytes, ending: str) -> Path:
    """Return the file (absolute path) with this content and ending of its name, written if it is not there yet."""
    folder = _folder()
    file = folder / f"{hashlib.sha256(data).hexdigest()}{ending}"
    if not (file.is_file() and file.stat().st_size == len(data)):
        folder.mkdir(mode=0o700, exist_ok=True)
        write_bytes(file, data, sync=False)
    return file


def _folder() -> Path:
    """Return this process's folder; a forked process gets its own."""
    process = os.getpid()
    if process not in _folders:
        _folders.clear()
        _folders[process] = Path(tempfile.mkdtemp(prefix="diffplan-")).resolve()
        # A forked worker of multiprocessing ends without Python's atexit, but runs these.
        Finalize(None, _remove, args=(process, _folders[process]), exitpriority=0)
    return _folders[process]


def _remove(process: int, folder: Path) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
