"""Planners, one a file: each turns a task into candidate paths."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from diffplan import arguments
from diffplan.errors import InputError, did_you_mean, shown

if TYPE_CHECKING:
    from diffplan.planners.base import Options, Planner

PLANNERS = {
    "diffusion": "samples of the trained prior, guided and refined by collision costs",
    "rrtconnect": "RRT-Connect by OMPL, first path, simplified (Kuffner and LaValle, ICRA 2000)",
    "rrtstar": "RRT* by OMPL (Karaman and Frazzoli, IJRR 2011)",
    "bitstar": "BIT*, batch informed trees, by OMPL (Gammell et al., ICRA 2015)",
    "aorrtc": "AORRTC, RRT-Connect for ever lower cost, by OMPL (Wilson et al., RA-L 2025)",
    "prmstar": "PRM* roadmap by OMPL (Karaman and Frazzoli, IJRR 2011)",
    "chomp": "CHOMP as published, with MoveIt's parameters and recovery",
    "chomp-multi": "the same, restarted from random smooth paths",
    "chomp-tuned": "CHOMP with parameters of ours, and restarts",
    "stomp": "STOMP: smooth random changes, averaged by what they cost",
    "straight": "the straight line in joint space, as a control",
}
_HOME = {
    "diffusion": "diffusion:DiffusionPlanner",
    "rrtconnect": "sampling:RRTConnectPlanner",
    "rrtstar": "sampling:RRTStarPlanner",
    "bitstar": "sampling:BITStarPlanner",
    "aorrtc": "sampling:AORRTCPlanner",
    "prmstar": "sampling:PRMStarPlanner",
    "chomp": "chomp:ChompPlanner",
    "chomp-multi": "chomp:ChompMultiPlanner",
    "chomp-tuned": "chomp:ChompTunedPlanner",
    "stomp": "stomp:StompPlanner",
    "straight": "straight:StraightPlanner",
}
DEFAULT = "diffusion"
"""The planner that is taken where none is named."""


def check_name(name: object, key: str = "planner") -> None:
    """Make sure that there is a planner of this name, without loading it.

    Raises:
        InputError: naming `key`, if there is none; the message lists those there are.
    """
    if not isinstance(name, str) or name not in PLANNERS:
        raise InputError(
            f"no planner named {shown(name)}{did_you_mean(name, PLANNERS)}", key=key, allowed=list(PLANNERS)
        )


def planner_class(name: str) -> type[Planner]:
    """Return the class of a planner by name.

    Raises:
        InputError: if there is no planner of that name; the message lists those there are.
    """
    check_name(name)
    module, kind = _HOME[name].split(":")
    return getattr(import_module(f"diffplan.planners.{module}"), kind)


def names_of(kind: Callable[[type[Planner]], bool]) -> list[str]:
    """Return the names of the planners whose class is of a kind, such as those with an ability; loads them all."""
    return [name for name in PLANNERS if kind(planner_class(name))]


def make_planner(name: str, options: Options | None = None) -> Planner:
    """Return a planner by name, set up with its options.

    Raises:
        InputError: if there is no planner or no option of that name; the message lists those there are.
    """
    planner = planner_class(name)
    given = {} if options is None else arguments.mapping(options, "options", allowed="a dict of options by name")
    return planner.from_options({key: arguments.plain(value) for key, value in given.items()})
