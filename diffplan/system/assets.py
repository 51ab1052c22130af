"""Where the shipped robots, scenes and weights lie: inside the installed package, or at the top of a checkout.

What a user fetches lies in the user's cache folder.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def asset_folder(kind: str) -> Path:
    """Return the folder of the shipped `robots` or `scenes`."""
    inside = _PACKAGE / "assets_data" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def shipped_robots() -> list[str]:
    """Return the names of the shipped robots."""
    return sorted(path.parent.name for path in asset_folder("robots").glob("*/robot.yaml"))


def named_robots() -> dict[str, Path]:
    """Return the robot files of the robots that go by a name: the shipped ones and the user's, which come first."""
    return {**{name: asset_folder("robots") / name / "robot.yaml" for name in shipped_robots()}, **added_robots()}


def added_robots() -> dict[str, Path]:
    """Return the robot files of the user's folder, by name."""
    return {path.parent.name: path for path in sorted(user_robots().glob("[!.]*/robot.yaml"))}


def tell_hidden(name: str) -> None:
    """Say once on stderr that a robot of the user's folder is meant where a shipped one has its name too."""
    if name in shipped_robots() and (path := added_robots().get(name)) is not None:
        _say_once(f"robot {name}: yours in {path.parent}, not the shipped one of that name")


@cache
def _say_once(words: str) -> None:
    print(words, file=sys.stderr)


def shipped_scenes() -> list[str]:
    """Return the names of the shipped scenes."""
    return sorted(path.stem for path in asset_folder("scenes").glob("*.yaml"))


def shipped_tasks() -> list[str]:
    """Return the names of the shipped tasks."""
    return sorted(path.stem for path in asset_folder("scenes").glob("tasks/*.yaml"))


def shipped_suites() -> dict[str, Path]:
    """Return the shipped problem suites, by name."""
    return {path.name.split(".")[0]: path for path in sorted(asset_folder("scenes").glob("suites/*.json.gz"))}


def cache_folder() -> Path:
    """Return the folder for what can be fetched again: XDG_CACHE_HOME if set, else the platform's custom."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "diffplan"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "diffplan"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "diffplan" / "cache"
    return Path.home() / ".cache" / "diffplan"


def user_robots() -> Path:
    """Return the user's folder of robots: DIFFPLAN_HOME/robots if set, else that of the platform's data folder."""
    if given := os.environ.get("DIFFPLAN_HOME"):
        return Path(given) / "robots"
    if given := os.environ.get("XDG_DATA_HOME"):
        return Path(given) / "diffplan" / "robots"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "diffplan" / "robots"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "diffplan" / "robots"
    return Path.home() / ".local" / "share" / "diffplan" / "robots"


def robot_asset(robot: str, beside: Path | None, name: str) -> Path:
    """Return where a robot's weights lie: beside its file, in the user's folder, or shipped, whichever has them first.

    For a shipped robot those in the user's folder come first.

    Args:
        robot: its name.
        beside: the robot file that it was read from, if it was.
        name: such as `prior.safetensors`.

    Returns:
        The file; where there is none, the one beside the robot file, or else in the user's folder.
    """
    own = weights_folder(robot, beside)
    places = [] if own is None else [own / name]
    if Path(robot).name == robot:  # a name leads to no other folder
        places += [user_robots() / robot / name, asset_folder("robots") / robot / name]
    return next((place for place in places if place.exists()), places[0] if places else user_robots() / name)


def weights_folder(robot: str, beside: Path | None) -> Path | None:
    """Return where weights for a robot are put: beside its file, or in the user's folder if the robot is a shipped one.

    None for a name that is none, where there is no file.
    """
    if beside is not None and not beside.resolve().is_relative_to(asset_folder("robots").resolve()):
        return beside.parent
    return user_robots() / robot if Path(robot).name == robot else None


def common_asset(name: str) -> Path | None:
    """Return where weights for all robots lie: in the user's folder of robots, or shipped; None if there are none."""
    places = (user_robots() / name, asset_folder("robots") / name)
    return next((place for place in places if place.exists()), None)


def cached_suites() -> dict[str, Path]:
    """Return the problem suites that the user fetched, by name."""
    return {path.name.split(".")[0]: path for path in sorted(cache_folder().glob("suites/*.json.gz"))}


def named_suites() -> dict[str, Path]:
    """Return the suites that go by a name: the fetched ones and the shipped ones, which come first if both have it."""
    return {**cached_suites(), **shipped_suites()}
