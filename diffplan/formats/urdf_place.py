"""Where the URDF of a robot file lies: by its path, in an installed Python package, or in a ROS package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from diffplan.errors import InputError
from diffplan.robot.packages import PACKAGE_SCHEMES, find_in_package, tried
from diffplan.strict.entry import Entry
from diffplan.strict.keys import Key, Keys
from diffplan.system.reading import is_file

URDF = Keys(
    file=Key(
        kind="path",
        about="the file, from the robot file's folder, in the package, or package://...",
        example="arm.urdf",
    ),
    package=Key(kind="text", about="Python package in which it lies", default="none", example="pybullet_data"),
    pip=Key(kind="text", about="what pip installs to get it", default="none", example="example-robot-data"),
)


def urdf_path(entry: Entry, packages: Mapping[str, Path]) -> Path:
    """Return the URDF file of a robot file's `urdf`.

    Raises:
        InputError: if there is none; where the entry names what pip installs (`pip`), the message is that command.
    """
    fields = entry.fields(*URDF.names)
    if "pip" in fields and ("package" in fields or fields["file"].text().startswith(PACKAGE_SCHEMES)):
        try:
            return _in_package(fields, packages)
        except InputError as error:
            pip = fields["pip"].text()
            problem = f"its URDF comes with the package {pip}, which is not installed, or not with that file"
            raise fields["pip"].error(problem, allowed=f"pip install {pip}") from error
    if "pip" in fields:
        raise fields["pip"].error("of no use where the file is named by its path", allowed="no key `pip`")
    return _in_package(fields, packages)


def _in_package(fields: dict[str, Entry], packages: Mapping[str, Path]) -> Path:
    """Return the file beside the robot file, in a Python package, or in a ROS one (`package://`)."""
    if "package" not in fields and fields["file"].text().startswith(PACKAGE_SCHEMES):
        name, folder = fields["file"].text(), fields["file"].file.parent
        file = find_in_package(name, folder, packages)
        if file is None:
            raise fields["file"].error("file not found", allowed=f"tried: {tried(name, folder, packages)}")
        return file
    if "package" not in fields:
        return fields["file"].path()
    package = fields["package"].text()
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):  # a name like __main__
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise fields["package"].error("Python package not installed", allowed="the name of an installed package")
    folder = Path(spec.submodule_search_locations[0])
    if not is_file(folder / fields["file"].text()):
        raise fields["file"].error("file not found", allowed=f"a path inside the package {package}")
    return folder / fields["file"].text()
