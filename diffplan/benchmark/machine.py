"""What a measurement ran on: machine, threads, versions, commit, command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from diffplan.system.executor import THREAD_VARIABLES, usable_cores
from diffplan.system.jobs import Resources

_PACKAGES = ("torch", "numpy", "numba", "pybullet", "pybullet-arm64", "ompl", "scipy", "trimesh")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where, with what and from which commit the numbers come; `commit` ends in `+changes` for a dirty checkout."""

    system: str
    cpu: str
    cores: int
    load_at_start: float
    threads: dict[str, str]
    python: str
    versions: dict[str, str]
    commit: str
    command: str


def this_machine(place: Resources | None = None) -> Machine:
    """Describe this machine and process; the machine is a cluster if jobs run at such a `place`."""
    cluster = place if place is not None and place.nodes else None
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=cluster.text if cluster else _cpu(),
        cores=cluster.cpus if cluster else usable_cores(),
        load_at_start=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        threads={name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        python=platform.python_version(),
        versions={name: found for name in ("diffplan", *_PACKAGES) if (found := _version(name))},
        commit=_commit(),
        command=shlex.join(["diffplan", *sys.argv[1:]]),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _commit() -> str:
    """Return the commit of the checkout that this package runs from, or an empty string outside of one."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return ""
    head = _git(checkout, "rev-parse", "HEAD")
    return head + ("+changes" if head and _git(checkout, "status", "--porcelain", "--untracked-files=no") else "")


def _git(checkout: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
