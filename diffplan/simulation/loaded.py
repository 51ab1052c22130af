"""Whether PyBullet holds what we read: names, frames and every collision shape of a body, meshes corner by corner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from scipy.spatial import ConvexHull

from diffplan.errors import InputError
from diffplan.geometry import Float, Pose
from diffplan.simulation.bullet import bullet, silence
from diffplan.simulation.frames import inertial_offset, joint_indices, link_frame, link_indices
from diffplan.simulation.shapes import convex_parts
from diffplan.urdf import CollisionShape, UrdfModel

MARGIN = 0.001
"""What PyBullet adds around every convex hull of a URDF or mesh file [m]."""
_LEAST = 1e-5
_ROUNDED = 2e-4  # of a hull's size: PyBullet rounds the corners of its hulls to a grid of that order
_MOST_MISSING = 0.9 * MARGIN
_NEAR_ORIGIN = 2e-6  # of the distance from the origin, for single precision
_KINDS = {
    "box": bullet.GEOM_BOX,
    "sphere": bullet.GEOM_SPHERE,
    "cylinder": bullet.GEOM_CYLINDER,
    "capsule": bullet.GEOM_CAPSULE,
    "mesh": bullet.GEOM_MESH,
}


def check_loaded(client: int, body: int, model: UrdfModel, *, scale: float = 1.0) -> None:
    """Compare a body that PyBullet loaded from a URDF with our reading of it, its joints where they are now.

    Raises:
        InputError: naming the link that differs.
    """
    links, joints = link_indices(client, body), joint_indices(client, body)
    if set(links) != set(model.collisions) or set(joints) != set(model.joints):
        raise _differs(model.file, model.name, f"other links or joints: {', '.join([*links, *joints])}")
    values = {name: bullet.getJointState(body, index, physicsClientId=client)[0] for name, index in joints.items()}
    expected = model.link_poses(values, scale)
    T_world_root = link_frame(client, body, -1).matrix
    for link, index in links.items():
        frame = link_frame(client, body, index).matrix
        away = np.abs(frame - T_world_root @ expected[link]).max()
        if away > _LEAST + _NEAR_ORIGIN * np.abs(frame[:3, 3]).max():
            raise _differs(model.file, link, f"its frame is {1000 * away:.3g} mm (or thousandths) off")
        _check_shapes(client, body, index, model.collisions[link], scale=scale, file=model.file, name=link)


def check_mesh(client: int, body: int, meshes: list[trimesh.Trimesh], *, convex: bool, file: Path, name: str) -> None:
    """Compare the base of a body with the mesh that it was made of (m): hulls by their corners.

    Of a hollow mesh PyBullet tells no corners, only its box.

    Raises:
        InputError: naming the obstacle, if it differs.
    """
    if convex:
        parts = [np.asarray(mesh.vertices) for mesh in meshes]
        _check_corners(parts, _corners(client, body, -1, Pose()), file=file, name=name)
        return
    pose = link_frame(client, body, -1).matrix
    corners = np.concatenate([mesh.vertices for mesh in meshes]) @ pose[:3, :3].T + pose[:3, 3]
    low, high = bullet.getAABB(body, -1, physicsClientId=client)
    beyond = max(np.max(np.array(low) - corners.min(axis=0)), np.max(corners.max(axis=0) - np.array(high)))
    if beyond > MARGIN + _NEAR_ORIGIN * np.abs(corners).max():
        raise _differs(file, name, f"{1000 * beyond:.3g} mm of it are missing")


def rounded_off(client: int, body: int, corners: Float) -> float:
    """Return how far corners [n, 3] (m) stick out of what PyBullet made of them: it rounds the corners of hulls."""
    return max(0.0, float(_beyond(_corners(client, body, -1, Pose()), corners).max()))


def _check_shapes(
    client: int, body: int, link: int, shapes: tuple[CollisionShape, ...], *, scale: float, file: Path, name: str
) -> None:
    """Compare the shapes of a link, in their order."""
    with silence():
        entries = bullet.getCollisionShapeData(body, link, physicsClientId=client)
    if len(entries) != len(shapes):
        raise _differs(file, name, f"{len(entries)} collision shapes in place of {len(shapes)}")
    T_link_inertia = inertial_offset(client, body, link)
    parts: list[Float] = []
    for shape, entry in zip(shapes, entries, strict=True):
        if shape.kind == "mesh":
            parts += [scale * part for part in convex_parts(shape)]
        local = (T_link_inertia @ Pose(xyz=entry[5], quat_xyzw=entry[6])).matrix
        expected = shape.pose.matrix.copy()
        expected[:3, 3] *= scale
        if entry[2] != _KINDS[shape.kind] or not _same_sizes(shape, entry[3], scale):
            raise _differs(file, name, f"a shape of kind {entry[2]} and sizes {entry[3]} in place of a {shape.kind}")
        if np.abs(local - expected).max() > _LEAST * max(1.0, float(np.abs(expected[:3, 3]).max())):
            raise _differs(file, name, f"its {shape.kind} stands at {local[:3, 3].round(5).tolist()}")
    if parts:
        _check_corners(parts, _corners(client, body, link, T_link_inertia), file=file, name=name)


def _same_sizes(shape: CollisionShape, found: tuple[float, ...], scale: float) -> bool:
    """Compare the sizes of all but meshes: box edges, (length, radius), or the radius."""
    sizes = scale * np.array(shape.size[::-1] if shape.kind in ("cylinder", "capsule") else shape.size)
    return bool(np.all(np.abs(np.array(found[: len(sizes)]) - sizes) <= 1e-6 + 1e-6 * sizes))


def _corners(client: int, body: int, link: int, T_link_inertia: Pose) -> Float:
    """Return the corners [n, 3] of all hulls of a link, in its frame."""
    with silence():
        count, corners = bullet.getMeshData(body, link, physicsClientId=client)
    points = np.array(corners, dtype=np.float64).reshape(-1, 3)[:count]
    return points @ T_link_inertia.matrix[:3, :3].T + T_link_inertia.matrix[:3, 3]


def _check_corners(parts: list[Float], corners: Float, *, file: Path, name: str) -> None:
    """Refuse unless every corner [n, 3] lies in a convex part [m, 3], and the corners in each part span it (m).

    What PyBullet's rounding cuts off a part must stay below its margin, or clearances would be told too large.
    """
    bounds = [_LEAST + _ROUNDED * float(np.ptp(part, axis=0).max()) for part in parts]
    beyond = np.stack([_beyond(part, corners) for part in parts])
    if (beyond - np.array(bounds)[:, None]).min(axis=0).max(initial=0.0) > 0:
        raise _differs(file, name, "a corner that it does not have")
    for part, far, bound in zip(parts, beyond, bounds, strict=True):
        inside = corners[far <= bound]
        spans = len(inside) > 3 and np.linalg.matrix_rank(inside - inside.mean(axis=0), tol=1e-9) == 3
        missing = float(_beyond(inside, part).max()) if spans else np.inf
        if missing > bound:
            raise _differs(file, name, f"{1000 * missing:.3g} mm of it are missing")
        if missing > _MOST_MISSING:
            across = float(np.ptp(part, axis=0).max())
            raise InputError(
                f"PyBullet rounds the corners of this convex mesh, {across:.3g} m across, by {1000 * missing:.2f} mm",
                file=file,
                key=name,
                allowed=f"up to {1000 * _MOST_MISSING:.1f} mm: smaller parts, or a mesh obstacle without `convex`",
            )


def _beyond(corners: Float, points: Float) -> Float:
    """Return how far points [n, 3] lie beyond the planes of the faces of the corners' convex hull [n]; < 0 inside."""
    planes = ConvexHull(corners).equations
    return (points @ planes[:, :3].T + planes[:, 3]).max(axis=1)


def _differs(file: Path, name: str, problem: str) -> InputError:
    return InputError(f"PyBullet does not hold what the file says: {problem}", file=file, key=name)
