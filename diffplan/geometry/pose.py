"""Rigid transforms: `Pose`, and the rotations behind it.

`T_world_link` maps points in the link frame to the world frame: `p_world = T_world_link @ p_link`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffplan import arguments
from diffplan.errors import InputError
from diffplan.system.computed import computed

Float = NDArray[np.float64]
_UNIT_TOLERANCE = 1e-3
LARGEST_ANGLE = 2 * math.pi + 1e-3
"""Largest angle [rad] that is taken where a person writes radians: what is beyond was meant in degrees."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A rigid transform: translation `xyz` [m] and unit quaternion `quat_xyzw` (PyBullet's and ROS's order)."""

    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        xyz, quat = arguments.vector(self.xyz, 3, "xyz", unit="m"), arguments.vector(self.quat_xyzw, 4, "quat_xyzw")
        norm = math.hypot(*quat)
        if abs(norm - 1.0) > _UNIT_TOLERANCE:
            allowed = "a norm of 1, within 0.001"
            raise InputError(f"quaternion has norm {norm:.4f}", key="quat_xyzw", value=quat, allowed=allowed)
        object.__setattr__(self, "xyz", xyz)  # plain numbers, whatever they were given as
        object.__setattr__(self, "quat_xyzw", quat)

    @staticmethod
    def of(value: object, key: str) -> Pose:
        """Return a pose, or three numbers x, y, z [m] as the pose there without rotation.

        Raises:
            InputError: naming `key`, if the value is neither.
        """
        if isinstance(value, Pose):
            return value
        allowed = "a Pose, or x, y, z [m] alone"
        found = arguments.items(value, key, allowed=allowed)
        if len(found) != 3:
            raise InputError("not a pose", key=key, value=arguments.plain(value), allowed=allowed)
        x, y, z = arguments.vector(found, 3, key, unit="m")
        return Pose(xyz=(x, y, z))

    @staticmethod
    def from_rpy(xyz: tuple[float, float, float], rpy: tuple[float, float, float]) -> Pose:
        """Return the pose with fixed-axis roll, pitch, yaw [rad]: R = Rz(yaw) Ry(pitch) Rx(roll) (URDF's order).

        Raises:
            InputError: for an angle beyond 2 pi: it was meant in degrees.
        """
        angles = arguments.vector(rpy, 3, "rpy", unit="rad")
        if max(map(abs, angles)) > LARGEST_ANGLE:
            allowed = "radians up to 2 pi; degrees are numpy.radians(...)"
            raise InputError("an angle beyond 2 pi", key="rpy", value=angles, allowed=allowed)
        return Pose.turned(xyz, angles)

    @staticmethod
    def turned(xyz: tuple[float, ...], rpy: tuple[float, ...]) -> Pose:
        """Return the pose of `from_rpy` for any angles [rad]."""
        roll, pitch, yaw = rpy
        x, y, z = arguments.vector(xyz, 3, "xyz", unit="m")
        return _pose(rotation_from_rpy(roll, pitch, yaw), (x, y, z))

    @staticmethod
    def from_matrix(matrix: Float) -> Pose:
        """Return the pose of a homogeneous matrix [4, 4].

        Raises:
            InputError: if it is none: another shape, not finite, scaled, sheared or mirrored.
        """
        allowed = "a homogeneous matrix [4, 4] with a rotation"
        m = arguments.array(matrix, "matrix", 4, allowed=allowed)
        size = float(np.abs(m[:3, :3]).max()) if m.shape == (4, 4) else np.inf
        off = np.abs(m[:3, :3] @ m[:3, :3].T - np.eye(3)).max() if size < 2 else np.inf
        if off > _UNIT_TOLERANCE or np.linalg.det(m[:3, :3]) < 0 or np.abs(m[3] - (0, 0, 0, 1)).max() > 1e-6:
            raise InputError("no rigid transform", key="matrix", value=m.tolist(), allowed=allowed)
        return _pose(m[:3, :3], m[:3, 3])

    @property
    def matrix(self) -> Float:
        """The homogeneous matrix [4, 4]."""
        return self._matrix.copy()

    @computed
    def _matrix(self) -> Float:
        return _translated(rotation_from_quat_xyzw(self.quat_xyzw), self.xyz)

    def inverse(self) -> Pose:
        """Return the pose that undoes this one."""
        inverse = np.linalg.inv(self.matrix).astype(np.float64)
        return _pose(inverse[:3, :3], inverse[:3, 3])

    def __matmul__(self, other: Pose) -> Pose:
        product = self.matrix @ other.matrix
        return _pose(product[:3, :3], product[:3, 3])


def _pose(rotation: Float, xyz: Sequence[float] | Float) -> Pose:
    x, y, z = xyz
    return Pose(xyz=(float(x), float(y), float(z)), quat_xyzw=quat_xyzw_from_rotation(rotation))


def _translated(rotation: Float, xyz: tuple[float, float, float]) -> Float:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, xyz
    return matrix


def rotation_from_rpy(roll: float, pitch: float, yaw: float) -> Float:
    """Return R = Rz(yaw) Ry(pitch) Rx(roll) [3, 3] of angles in rad."""
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def rotation_from_quat_xyzw(quat_xyzw: tuple[float, float, float, float]) -> Float:
    """Return the rotation [3, 3] of a quaternion, normalised first."""
    x, y, z, w = (np.asarray(quat_xyzw, dtype=np.float64) / np.linalg.norm(quat_xyzw)).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_xyzw_from_rotation(rotation: Float) -> tuple[float, float, float, float]:
    """Return the unit quaternion with w >= 0 of a rotation [3, 3] (largest-component method)."""
    m = np.asarray(rotation, dtype=np.float64)
    squares = np.array(
        [
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
            1 + m[0, 0] + m[1, 1] + m[2, 2],
        ]
    )
    i = int(np.argmax(squares))
    s = 2.0 * np.sqrt(squares[i])
    if i == 3:
        quat = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]])
    elif i == 0:
        quat = np.array([squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]])
    elif i == 1:
        quat = np.array([m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]])
    else:
        quat = np.array([m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]])
    quat /= s
    quat = quat if quat[3] >= 0 else -quat
    x, y, z, w = (quat / np.linalg.norm(quat)).tolist()
    return x, y, z, w
