"""What a run must keep of its networks and its optimiser to go on as if it had never stopped; comparing settings."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from diffplan.errors import InputError
from diffplan.strict.entry import Entry, Json


def pack(net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of a network, of its averaged copy and of their optimiser as named tensors."""
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
    return tensors


def unpack(
    tensors: dict[str, Tensor],
    header: dict[str, Json],
    path: Path,
    net: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> int:
    """Put back what `pack` returned, and return the number of steps done, which the file's header tells.

    Raises:
        InputError: if the tensors are not those of these networks, or the header does not tell the steps.
    """
    state: dict[int, dict[str, Tensor]] = {}
    try:
        net.load_state_dict(_under("net.", tensors))
        average.load_state_dict(_under("average.", tensors))
        for name, value in _under("optimiser.", tensors).items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"not the checkpoint of this network: {error}", file=path) from error
    return Entry(file=path, key="done", raw=header.get("done")).whole()


def compare_settings(own: dict[str, Json], header: dict[str, Json], path: Path, free: tuple[str, ...] = ()) -> None:
    """Refuse a checkpoint of other settings, but for those in `free`.

    Raises:
        InputError: if a setting is another one, or the checkpoint has none.
    """
    saved = header.get("config")
    if not isinstance(saved, dict):
        raise InputError("a checkpoint without its config", file=path)
    for key in sorted(own.keys() | saved.keys()):
        if key not in free and own.get(key) != saved.get(key):
            raise InputError(
                "not the setting that this run began with",
                file=path,
                key=key,
                value=own.get(key),
                allowed=f"{saved.get(key)!r}, or another folder for a new run",
            )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
