"""What a link holds: an object of one or more shapes that moves with it, and the spheres that planners see of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Capsule, Mesh, Shape, Sphere
from diffplan.system.kept import Kept

if TYPE_CHECKING:  # with Numba behind it, which takes a while; most robots hold nothing
    from diffplan.geometry.sphere_fit import SphereFit

_covers: Kept[SphereFit] = Kept(8 << 20)
_CAPSULE = 0.004  # m, by how much the spheres of a capsule may be too thick, and too thin between two


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldBody:
    """A body that a link holds; to a robot it is one more link, with this name.

    `pose` is T_link_body; `shapes` are solids in the body's own frame, and so are the `spheres` that planners see. A
    mesh counts as the convex hulls of its parts; `drawn` are the shapes as they were given, for pictures. `may_touch`
    are the links whose contact with it does not count. `key` says all that it depends on: two bodies with the same key
    are the same.
    """

    name: str
    link: str
    pose: Pose
    shapes: tuple[Shape, ...]
    drawn: tuple[Shape, ...]
    may_touch: tuple[str, ...]
    spheres: SphereFit = field(repr=False)
    key: str = field(repr=False)

    @staticmethod
    def of(name: str, link: str, pose: Pose, shapes: tuple[Shape, ...], may_touch: tuple[str, ...]) -> HeldBody:
        """Return a body with these shapes [body frame], covered by spheres.

        Raises:
            InputError: if a mesh file cannot be read.
        """
        from diffplan.geometry.mesh_files import content_key

        solid = tuple(replace(shape, convex=True) if isinstance(shape, Mesh) else shape for shape in shapes)
        content = repr([(shape, [content_key(file) for file in shape.files]) for shape in solid])
        spheres = _covers.get(content, lambda: _cover(solid), lambda fit: fit.centre.nbytes + fit.radius.nbytes)
        key = hashlib.sha256(repr((name, link, pose, may_touch, content)).encode()).hexdigest()
        return HeldBody(
            name=name,
            link=link,
            pose=pose,
            shapes=solid,
            drawn=shapes,
            may_touch=may_touch,
            spheres=spheres,
            key=key,
        )


def _cover(shapes: tuple[Shape, ...]) -> SphereFit:
    """Return spheres around shapes in the frame of their poses; round ones need no search."""
    from diffplan.geometry.convex import ConvexUnion
    from diffplan.geometry.quick_cover import quick_cover
    from diffplan.geometry.sphere_fit import SphereFit

    fits = [_round(shape) for shape in shapes if isinstance(shape, Sphere | Capsule)]
    parts = []
    for shape in shapes:
        for hull in () if isinstance(shape, Sphere | Capsule) else shape.hulls():
            parts.append(hull.copy())
            parts[-1].apply_transform(shape.pose.matrix)
    fits += [quick_cover(ConvexUnion(parts=tuple(parts)))] if parts else []
    return SphereFit(
        centre=np.concatenate([fit.centre for fit in fits]),
        radius=np.concatenate([fit.radius for fit in fits]),
        uncovered=max(fit.uncovered for fit in fits),
        outside=max(fit.outside for fit in fits),
    )


def _round(shape: Sphere | Capsule) -> SphereFit:
    """Return the spheres of a sphere (itself) or a capsule (along its axis, a little thicker)."""
    from diffplan.geometry.sphere_fit import SphereFit

    if isinstance(shape, Sphere):
        heights, radius, off = np.zeros(1), shape.radius, 0.0
    else:
        # Between two spheres of radius r + m, d apart, the capsule's surface is sqrt(d^2 / 4 + r^2) - r - m outside.
        step = 2 * np.sqrt((shape.radius + 2 * _CAPSULE) ** 2 - shape.radius**2)
        count = max(2, int(np.ceil(shape.height / step)) + 1)
        heights = np.linspace(-shape.height / 2, shape.height / 2, count)
        radius, off = shape.radius + _CAPSULE, _CAPSULE
    matrix = shape.pose.matrix
    centre = matrix[:3, 3] + heights[:, None] * matrix[:3, 2]
    return SphereFit(centre=centre, radius=np.full(len(centre), radius), uncovered=off, outside=off)
