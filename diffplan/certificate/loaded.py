"""Whether PyBullet holds what we read: names, frames and every collision shape of a body, meshes corner by corner."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from diffplan.certificate.body_shapes import alike, corners_in_link, shapes_in_link
from diffplan.certificate.bullet import bullet
from diffplan.certificate.frames import joint_indices, link_frame, link_indices
from diffplan.certificate.hull_match import differing_part, missing_corners
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.geometry.shapes import Shape
from diffplan.robot.urdf import UrdfModel
from diffplan.system.kept import Kept
from diffplan.system.third_party import trimesh

MARGIN = 0.001
"""What PyBullet adds around every convex hull of a URDF or mesh file [m]."""
_LEAST = 1e-5
_MOST_MISSING = 0.9 * MARGIN
_NEAR_ORIGIN = 2e-6  # of the distance from the origin, for single precision
_compared: Kept[tuple[str, list[float]]] = Kept(1000)


def check_loaded(client: int, body: int, model: UrdfModel) -> None:
    """Compare a body that PyBullet loaded from a URDF with our reading of it, its joints where they are now.

    Raises:
        InputError: naming the link that differs.
    """
    links, joints = link_indices(client, body), joint_indices(client, body)
    if set(links) != set(model.collisions) or set(joints) != set(model.joints):
        raise _differs(model.file, model.name, f"other links or joints: {', '.join([*links, *joints])}")
    values = {name: bullet.getJointState(body, index, physicsClientId=client)[0] for name, index in joints.items()}
    expected = model.link_poses(values)
    T_world_root = link_frame(client, body, -1).matrix
    for link, index in links.items():
        frame = link_frame(client, body, index).matrix
        away = np.abs(frame - T_world_root @ expected[link]).max()
        if away > _LEAST + _NEAR_ORIGIN * np.abs(frame[:3, 3]).max():
            raise _differs(model.file, link, f"its frame is {1000 * away:.3g} mm (or thousandths) off")
        _check_shapes(client, body, index, model.collisions[link], file=model.file, name=link)


def check_mesh(
    client: int, body: int, meshes: list[trimesh.Trimesh], *, convex: bool, file: Path | None, name: str
) -> None:
    """Compare the base of a body with the mesh that it was made of (m): hulls by their corners.

    Of a hollow mesh PyBullet tells no corners, only its box.

    Raises:
        InputError: naming the obstacle, if it differs.
    """
    if convex:
        parts = [np.asarray(mesh.vertices) for mesh in meshes]
        _check_corners(parts, corners_in_link(client, body, -1), file=file, name=name)
        return
    pose = link_frame(client, body, -1).matrix
    corners = np.concatenate([mesh.vertices for mesh in meshes]) @ pose[:3, :3].T + pose[:3, 3]
    low, high = bullet.getAABB(body, -1, physicsClientId=client)
    beyond = max(np.max(np.array(low) - corners.min(axis=0)), np.max(corners.max(axis=0) - np.array(high)))
    if beyond > MARGIN + _NEAR_ORIGIN * np.abs(corners).max():
        raise _differs(file, name, f"{1000 * beyond:.3g} mm of it are missing")


def _check_shapes(client: int, body: int, link: int, shapes: tuple[Shape, ...], *, file: Path, name: str) -> None:
    """Compare the shapes of a link, in their order."""
    found = shapes_in_link(client, body, link, name)
    if len(found) != len(shapes):
        raise _differs(file, name, f"{len(found)} collision shapes in place of {len(shapes)}")
    parts: list[Float] = []
    for shape, other in zip(shapes, found, strict=True):
        if other.is_mesh:
            parts += shape.corners()
        if not alike(other, shape, within=1e-6, share=1e-6):
            raise _differs(file, name, f"kind {other.kind} and sizes {other.sizes} in place of a {shape.kind}")
        local, expected = other.pose.matrix, shape.pose.matrix
        if np.abs(local - expected).max() > _LEAST * max(1.0, float(np.abs(expected[:3, 3]).max())):
            raise _differs(file, name, f"its {shape.kind} stands at {local[:3, 3].round(5).tolist()}")
    if parts:
        _check_corners(parts, corners_in_link(client, body, link), file=file, name=name)


def _check_corners(parts: list[Float], corners: Float, *, file: Path | None, name: str) -> None:
    """Refuse unless the corners [n, 3] are those of the convex parts [m, 3] (m).

    What PyBullet's rounding cuts off a part must stay below its margin, or clearances would be told too large. Fine
    meshes take seconds: what was found is kept by the corners themselves.
    """
    digest = hashlib.sha256(corners.tobytes())
    for part in parts:
        digest.update(repr(part.shape).encode() + part.tobytes())
    difference, missing = _compared.get(digest.digest(), lambda: _compare(parts, corners), lambda found: 1)
    if difference:
        raise _differs(file, name, difference)
    if max(missing) > _MOST_MISSING:
        across = float(np.ptp(parts[int(np.argmax(missing))], axis=0).max())
        raise InputError(
            f"PyBullet rounds the corners of this convex mesh, {across:.3g} m across, by {1000 * max(missing):.2f} mm",
            file=file,
            key=name,
            allowed=f"up to {1000 * _MOST_MISSING:.1f} mm: smaller parts, or a mesh obstacle without `convex`",
        )


def _compare(parts: list[Float], corners: Float) -> tuple[str, list[float]]:
    """Say how the corners differ from the parts, and how much of each part they miss (m)."""
    difference = "no corners" if len(corners) == 0 else differing_part(parts, corners)
    return difference, [] if difference else [missing for missing, _ in missing_corners(parts, corners)]


def _differs(file: Path | None, name: str, problem: str) -> InputError:
    return InputError(f"PyBullet does not hold what the file says: {problem}", file=file, key=name)
