"""The variants of the diffusion planner that an ablation compares, each one thing added to the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from diffplan.errors import InputError
from diffplan.planners.base import Options
from diffplan.planners.diffusion import DiffusionConfig

PLANNER = "diffusion"
ADAPTIVE = "adaptive"
"""The mode of runs with the planner's own rounds; the other modes are batch sizes of a single round."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A row of the ablation: a short `name`, what it is in words, and the options that make it."""

    name: str
    title: str
    options: Options


_FIRST_LOOK = DiffusionConfig().first_look
_BASE: Options = {
    "seeds": "random",
    "guidance_steps": 0,
    "value": False,
    "repair": False,
    "walkers": 0,
    "first_look": 0.0,
}
_ADDED: tuple[tuple[str, str, Options], ...] = (
    ("random", "random smooth seeds", {}),
    ("unconditioned", "unconditioned prior", {"seeds": "unconditioned"}),
    ("prior", "conditioned prior", {"seeds": "prior"}),
    ("guidance", "+ guidance inside", {"guidance_steps": max(1, DiffusionConfig().guidance_steps)}),
    ("value", "+ learned value", {"value": True}),
    ("repair", "+ repair", {"repair": True}),
    ("walks", "+ walks out of the ends", {"walkers": DiffusionConfig().walkers}),
    (
        "shipped",
        "as shipped, straight line first",
        {"guidance_steps": 0, "value": False, "first_look": _FIRST_LOOK},
    ),
)
_OWN = (*_BASE, "batch", "largest_batch", "rounds")


def variants(known: Sequence[str] | None = None) -> tuple[Variant, ...]:
    """Return the variants whose options the planner has (`known`: names of its options; default: what it has)."""
    known = [field.name for field in fields(DiffusionConfig)] if known is None else known
    options = {key: value for key, value in _BASE.items() if key in known}
    found = []
    for name, title, added in _ADDED:
        if all(key in known for key in added):
            options = {**options, **added}
            found.append(Variant(name=name, title=title, options=options))
    return tuple(found)


def label(variant: str, mode: int | str) -> str:
    """Return what rows of a variant are called in a mode: a batch size, or `ADAPTIVE`."""
    return f"{variant}@{mode}"


def labelled_options(chosen: Sequence[Variant], batches: Sequence[int], shared: Options) -> dict[str, Options]:
    """Return the options of every label: one round at each batch size, and the planner's own rounds.

    Args:
        chosen: the variants.
        batches: batch sizes.
        shared: further options that all variants get.

    Raises:
        InputError: if `shared` holds one of the options that the ablation itself sets.
    """
    for key in shared:
        if key in _OWN:
            raise InputError("the ablation sets this option itself", key=f"{PLANNER}.{key}", value=shared[key])
    options: dict[str, Options] = {}
    for variant in chosen:
        own = {**shared, **variant.options}
        for batch in batches:
            options[label(variant.name, batch)] = {**own, "batch": batch, "largest_batch": batch, "rounds": 1}
        options[label(variant.name, ADAPTIVE)] = own
    return options
