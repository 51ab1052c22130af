"""Forward kinematics by pytorch-kinematics: batched, differentiable, and independent of our own chain."""

from __future__ import annotations

from functools import lru_cache

import pytorch_kinematics as pk
import torch
from pytorch_kinematics.frame import Frame, Joint, Link

from diffplan.robot.urdf import Joint as UrdfJoint
from diffplan.robot.urdf import UrdfModel


@lru_cache(maxsize=16)
def reference_chain(model: UrdfModel, dtype: torch.dtype, device: torch.device) -> pk.Chain:
    """Return the kinematic tree of a URDF with transforms of this dtype.

    Built from our reading of the file: the package's own parser rounds rotations to single precision.
    """
    root = Frame(model.root, Link(model.root), Joint(dtype=dtype))
    root.children = _children(model, model.root)
    return pk.Chain(root.to(dtype=dtype, device=device), dtype=dtype, device=str(device))


@lru_cache(maxsize=64)
def reference_serial_chain(
    model: UrdfModel, dtype: torch.dtype, device: torch.device, base: str, link: str
) -> pk.SerialChain:
    """Return the serial part of the tree from `base` to `link`, for Jacobians."""
    return pk.SerialChain(reference_chain(model, dtype, device), link, base, dtype=dtype, device=str(device))


def _children(model: UrdfModel, parent: str) -> list[Frame]:
    return [_frame(model, joint) for joint in model.joints.values() if joint.parent == parent]


def _frame(model: UrdfModel, joint: UrdfJoint) -> Frame:
    kind = "revolute" if joint.kind == "continuous" else joint.kind
    offset = pk.Transform3d(matrix=torch.from_numpy(joint.origin.matrix), dtype=torch.float64)
    axis = joint.axis if kind != "fixed" else None
    frame = Frame(
        joint.child,
        Link(joint.child),
        Joint(joint.name, offset, kind, axis, dtype=torch.float64, limits=(joint.lower, joint.upper)),
    )
    frame.children = _children(model, joint.child)
    return frame
