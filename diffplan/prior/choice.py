"""Which prior serves a robot: where its file lies, and what kind of prior it is."""

from __future__ import annotations

from pathlib import Path

import torch

from diffplan.errors import InputError
from diffplan.prior import common, prior
from diffplan.prior.path_prior import PathPrior
from diffplan.prior.prior import by_content, read_tensors
from diffplan.robot.model import Robot
from diffplan.system.assets import asset_folder, common_asset, robot_asset
from diffplan.system.kept import Kept

_KEPT_BYTES = 256 << 20
_FROM = {prior.FORMAT: prior.prior_from, common.FORMAT: common.common_prior_from}
_priors: Kept[PathPrior] = Kept(_KEPT_BYTES)


def prior_file(robot: Robot | str) -> Path:
    """Return where a robot's prior lies, whether or not there is one.

    That of its file, beside it, in the user's folder, or shipped for it, whichever comes first; else the common prior
    of all arms, if there is one. A shipped one serves a robot of another file only if joints and limits are the same:
    robots from elsewhere may be named `panda` too.
    """
    if isinstance(robot, Robot) and robot.prior is not None:
        return robot.prior
    name, beside = (robot, None) if isinstance(robot, str) else (robot.name, robot.file)
    own = robot_asset(name, beside, "prior.safetensors")
    shared = common_asset("common.safetensors")
    if shared is None or (own.exists() and not _only_a_namesake(robot, own)):
        return own
    return shared


def _only_a_namesake(robot: Robot | str, own: Path) -> bool:
    """Return whether weights are shipped for a robot of the same name whose joints or limits are others."""
    shipped = asset_folder("robots").resolve()
    if isinstance(robot, str) or robot.file is None or robot.file.resolve().is_relative_to(shipped):
        return False
    if not own.resolve().is_relative_to(shipped):
        return False
    try:
        kept_prior(own, torch.float32).check(robot)
    except InputError:
        return True
    return False


def load_any_prior(path: Path, *, products: torch.dtype = torch.float32) -> PathPrior:
    """Read the prior of one robot or the common one, whichever the file holds.

    Raises:
        InputError: as `load_prior` and `load_common_prior`.
    """
    tensors, header = read_tensors(path, *_FROM)
    return _FROM[str(header["format"])](tensors, header, path, products)


def kept_prior(path: Path, products: torch.dtype) -> PathPrior:
    """Return the prior of a file, loaded once a process as long as the file holds the same (see `load_any_prior`).

    Raises:
        InputError: as `load_any_prior`.
    """
    return by_content(_priors, path, lambda: load_any_prior(path, products=products), products)
