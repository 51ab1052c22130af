"""Where the shipped robots, scenes and weights lie: inside the installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def asset_folder(kind: str) -> Path:
    """Return the folder of the shipped `robots` or `scenes`."""
    inside = _PACKAGE / "assets_data" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def shipped_robots() -> list[str]:
    """Return the names of the shipped robots."""
    return sorted(path.parent.name for path in asset_folder("robots").glob("*/robot.yaml"))


def shipped_scenes() -> list[str]:
    """Return the names of the shipped scenes."""
    return sorted(path.stem for path in asset_folder("scenes").glob("*.yaml"))


def shipped_suites() -> dict[str, Path]:
    """Return the shipped problem suites, by name."""
    return {path.name.split(".")[0]: path for path in sorted(asset_folder("scenes").glob("suites/*.json.gz"))}
