"""Where the files of ROS packages lie: what `package://NAME/REST` in a URDF means.

Looked for in this order, never in the current folder: folders given for the package; `ROS_PACKAGE_PATH` and
`AMENT_PREFIX_PATH`; the folders above the URDF file; the share folders of installed Python packages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from diffplan.errors import InputError
from diffplan.system.reading import LARGEST_XML, is_file, parse_xml, read_bytes

PACKAGE_SCHEMES = ("package://", "model://")
HERE = "."
"""The name, among those of packages, of the folder that relative mesh names start from if not from the URDF's."""
_DEEPEST = 4  # folders below an entry of ROS_PACKAGE_PATH


def find_in_package(name: str, folder: Path, packages: Mapping[str, Path], *, environment: bool = True) -> Path | None:
    """Return the file that a URDF in `folder` means by `package://NAME/REST`, or None if there is none.

    Args:
        name: as the URDF spells it.
        folder: where the URDF lies.
        packages: folders of packages by name.
        environment: whether `ROS_PACKAGE_PATH` and `AMENT_PREFIX_PATH` count.
    """
    package, _, rest = name.split("://", 1)[1].partition("/")
    places = _places(package, folder, packages, environment)
    return next((place / rest for place in places if is_file(place / rest)), None)


def given_folder(package: str, folder: Path) -> Path | None:
    """Return the folder of a package that is, or lies in, a given one; None if there is none."""
    if folder.resolve().name == package or _declared(folder) == package:
        return folder
    inside = _below(str(folder.resolve())).get(package)
    return folder / package if (folder / package).is_dir() else inside[0] if inside else None


def tried(name: str, folder: Path, packages: Mapping[str, Path]) -> str:
    """Return in words where `package://NAME/REST` was looked for."""
    package = name.split("://", 1)[1].partition("/")[0]
    given = f"{packages[package]} (given)" if package in packages else f"no folder given for {package!r}"
    lists = [f"{key}={os.environ[key]!r}" if key in os.environ else f"{key} not set" for key in _LISTS]
    above = f"{folder.resolve()} and the folders above it"
    shares = ", ".join(map(str, _shares())) or "no share folder of Python packages"
    return "; ".join((given, *lists, above, shares))


_LISTS = ("ROS_PACKAGE_PATH", "AMENT_PREFIX_PATH")


def _places(package: str, folder: Path, packages: Mapping[str, Path], environment: bool) -> Iterator[Path]:
    """Give the folders that may be the package's, the likeliest first."""
    if package in packages:
        yield packages[package]
    for entry in _entries("ROS_PACKAGE_PATH") if environment else ():
        if entry.name == package or _declared(entry) == package:
            yield entry
        yield entry / package
        yield from _below(str(entry)).get(package, ())
    for entry in _entries("AMENT_PREFIX_PATH") if environment else ():
        yield entry / "share" / package
    for above in (folder, *folder.resolve().parents):
        if above.name == package or _declared(above) == package:
            yield above
        yield above / package
    for share in _shares():
        yield share / package


def _entries(key: str) -> list[Path]:
    """Return the folders of a search path in the environment; relative ones would mean the current folder."""
    return [Path(entry) for entry in os.environ.get(key, "").split(os.pathsep) if os.path.isabs(entry)]


def _declared(folder: Path) -> str | None:
    """Return the name that a package's own file says, if the folder is one."""
    if not is_file(folder / "package.xml"):
        return None
    try:
        name = parse_xml(read_bytes(folder / "package.xml", LARGEST_XML), folder / "package.xml").findtext("name")
    except InputError:
        return None
    return name.strip() if name else None


@lru_cache(maxsize=64)
def _below(entry: str) -> dict[str, tuple[Path, ...]]:
    """Return the packages below an entry of ROS_PACKAGE_PATH by name; ROS looks for them there too."""
    found: dict[str, tuple[Path, ...]] = {}
    for root, folders, files in os.walk(entry):
        folders.sort()
        if "package.xml" in files:
            name = _declared(Path(root)) or Path(root).name
            found[name] = (*found.get(name, ()), Path(root))
            folders.clear()
        if len(Path(root).relative_to(entry).parts) >= _DEEPEST:
            folders.clear()
    return found


def _shares() -> list[Path]:
    """Return the share folders of installed Python packages that ship robots, those of cmeel among them."""
    roots = [Path(entry) for entry in sys.path if os.path.isabs(entry)]
    shares = [Path(sys.prefix) / "share", *(root / "cmeel.prefix" / "share" for root in roots)]
    return [share for share in dict.fromkeys(shares) if share.is_dir()]
