"""SRDF files (MoveIt's semantic robot description): arm, named states, hands, and pairs of links that may touch."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from diffplan.errors import Faults, InputError
from diffplan.robot.urdf import UrdfModel
from diffplan.system.reading import LARGEST_XML, parse_xml, read_bytes

_FOLDERS = (".", "../srdf", "../config")


@dataclass(frozen=True, kw_only=True)
class Srdf:
    """What a SRDF file says of a URDF's links and joints.

    `chains` are (base link, tip link) of its groups by name, `states` joint values [rad or m] by group and name,
    `hands` the links that carry an end effector, `disabled` the pairs that it exempts from collision checking, with
    the reason that it gives (empty if none). `passed_over` are the states that are not about single values of the
    URDF's joints, such as those of a floating base.
    """

    file: Path
    chains: dict[str, tuple[str, str]] = field(default_factory=dict)
    states: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    hands: tuple[str, ...] = ()
    disabled: dict[frozenset[str], str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()


def load_srdf(path: str | Path, model: UrdfModel) -> Srdf:
    """Read a SRDF file of a URDF.

    Raises:
        InputError: if it cannot be read, is no SRDF file, or names links or joints that the URDF does not have.
    """
    path = Path(path)
    root = parse_xml(read_bytes(path, LARGEST_XML), path)
    if root.tag != "robot" or root.find("link") is not None:
        raise InputError("not a SRDF file", file=path, value=root.tag, allowed="a <robot> of groups and pairs of links")
    with Faults() as faults:
        link = partial(_named, known=model.collisions, what="link", path=path)
        chains = {
            group.get("name", ""): (
                faults.of(partial(link, chain, "base_link")),
                faults.of(partial(link, chain, "tip_link")),
            )
            for group in root.findall("group")
            if (chain := group.find("chain")) is not None
        }
        states = {(e.get("group", ""), e.get("name", "")): _values(e, model) for e in root.findall("group_state")}
        hands = tuple(faults.of(partial(link, effector, "parent_link")) for effector in root.findall("end_effector"))
        disabled = {
            frozenset(faults.of(partial(link, pair, key)) for key in ("link1", "link2")): pair.get("reason", "")
            for pair in root.findall("disable_collisions")
        }
    return Srdf(
        file=path,
        chains=chains,
        states={key: values for key, values in states.items() if values},
        hands=hands,
        disabled=disabled,
        passed_over=tuple(name for (_, name), values in states.items() if not values),
    )


def find_srdf(model: UrdfModel) -> Path | None:
    """Return the SRDF file that lies with a URDF and is about its links: the one of its name, or else the only one."""
    folder, found = model.file.parent, dict[Path, None]()
    for place in _FOLDERS:
        for path in sorted((folder / place).glob("*.srdf")):
            try:
                load_srdf(path, model)
            except InputError:
                continue  # about another robot, or not readable: nobody asked for it
            found[path.resolve()] = None
    named = [path for path in found if path.stem == model.file.stem]
    return (named or list(found))[0] if len(named or found) == 1 else None


def _named(element: ET.Element, key: str, *, known: Collection[str], what: str, path: Path) -> str:
    name = element.get(key, "")
    if name not in known:
        raise InputError(f"the URDF has no such {what}", file=path, key=f"{element.tag} {key}", value=name)
    return name


def _values(state: ET.Element, model: UrdfModel) -> dict[str, float]:
    """Return the joint values of a state; none if it is not about single values of joints that are there."""
    values: dict[str, float] = {}
    for joint in state.findall("joint"):
        try:
            value = float(joint.get("value", ""))
        except ValueError:
            return {}
        if joint.get("name") not in model.joints or not np.isfinite(value):
            return {}
        values[joint.get("name", "")] = value
    return values
