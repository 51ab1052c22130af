"""Folders of the ROS packages that a URDF names, to be written into a robot file: given, found, or guessed and told."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffplan.errors import InputError
from diffplan.robot.packages import HERE, PACKAGE_SCHEMES, find_in_package, given_folder, tried
from diffplan.robot.urdf import find_mesh, read_source
from diffplan.system.reading import is_file, parse_xml

_HIGHEST = 4  # folders above a URDF in which its package's files are looked for under another folder name


@dataclass(frozen=True, kw_only=True)
class PackageFolders:
    """Folders by package name, and the reasons for those that nobody gave."""

    folders: dict[str, Path]
    reasons: dict[str, str]


def package_folders(urdf: Path, given: Sequence[Path] = ()) -> PackageFolders:
    """Return where the packages lie that the collision meshes of a URDF name, as far as that has to be said.

    With the name `HERE` the folder that relative names start from, where that is not the URDF's but one above it.

    Packages that are found without the environment's help, from the URDF's place, are left out.

    Args:
        urdf: the file.
        given: folders of packages, or folders that hold some.

    Raises:
        InputError: if the URDF cannot be read, a mesh of a package is nowhere, or a given folder holds no package that
            the URDF names.
    """
    root = parse_xml(read_source(urdf), urdf)
    spelt = {mesh.get("filename", "") for mesh in root.iterfind("link/collision/geometry/mesh")}
    files: dict[str, list[str]] = {}
    for name in sorted(name for name in spelt if name.startswith(PACKAGE_SCHEMES)):
        package, _, rest = re.sub(r"^\w+://", "", name).partition("/")
        files.setdefault(package, []).append(rest)
    for folder in given:
        if not folder.is_dir():
            raise InputError("no such folder", key="--package-path", value=str(folder))
    folders, reasons = dict[str, Path](), dict[str, str]()
    used = set[Path]()
    for package, rests in files.items():
        for folder in given:
            if (found := given_folder(package, folder)) is not None:
                folders.setdefault(package, found.resolve())
                used.add(folder)
        if package in folders or all(_found(package, rest, urdf, environment=False) for rest in rests):
            continue
        if all(_found(package, rest, urdf, environment=True) for rest in rests):
            place = find_in_package(f"package://{package}/{rests[0]}", urdf.parent, {})
            assert place is not None
            folders[package] = Path(str(place).removesuffix(rests[0])).resolve()
            reasons[package] = "found by ROS_PACKAGE_PATH or AMENT_PREFIX_PATH"
            continue
        guess = next((folder for folder in _above(urdf) if all(is_file(folder / rest) for rest in rests)), None)
        if guess is None:
            name = f"package://{package}/{next(r for r in rests if not _found(package, r, urdf, environment=True))}"
            where = f"--package-path DIR, the folder of {package}; tried: {tried(name, urdf.parent, {})}"
            raise InputError("mesh file not found", file=urdf, key="mesh filename", value=name, allowed=where)
        folders[package], reasons[package] = guess, "its files lie there, under another folder name"
    relative = [name for name in sorted(spelt) if "://" not in name and not os.path.isabs(name)]
    if any(find_mesh(name, urdf.parent, {}) is None for name in relative):
        for above in _above(urdf):
            if all(find_mesh(name, urdf.parent, {HERE: above}) for name in relative):
                folders[HERE], reasons[HERE] = above, "relative mesh names start there: beside the URDF lies none such"
                break
    for folder in given:
        if folder not in used:
            raise InputError(
                "no package of the URDF lies there", key="--package-path", value=str(folder), allowed=files or "none"
            )
    return PackageFolders(folders=folders, reasons=reasons)


def _above(urdf: Path) -> list[Path]:
    """Return the folder of a file and some above it, the nearer first."""
    return [urdf.resolve().parent, *urdf.resolve().parents][1 : _HIGHEST + 1]


def _found(package: str, rest: str, urdf: Path, *, environment: bool) -> bool:
    return find_in_package(f"package://{package}/{rest}", urdf.parent, {}, environment=environment) is not None
