"""Rigid transforms: `Pose`, and the rotations behind it.

`T_world_link` maps points in the link frame to the world frame: `p_world = T_world_link @ p_link`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffplan.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A rigid transform: translation `xyz` [m] and unit quaternion `quat_xyzw` (PyBullet's and ROS's order)."""

    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if not np.all(np.isfinite([*self.xyz, *self.quat_xyzw])):
            raise InputError("a pose has a value that is not finite", value=(*self.xyz, *self.quat_xyzw))
        norm = float(np.linalg.norm(self.quat_xyzw))
        if abs(norm - 1.0) > 1e-3:
            allowed = "a norm of 1, within 0.001"
            raise InputError(f"quaternion has norm {norm:.4f}", key="quat_xyzw", value=self.quat_xyzw, allowed=allowed)

    @staticmethod
    def from_rpy(xyz: tuple[float, float, float], rpy: tuple[float, float, float]) -> Pose:
        """Return the pose with fixed-axis roll, pitch, yaw [rad]: R = Rz(yaw) Ry(pitch) Rx(roll) (URDF's order)."""
        return Pose.from_matrix(_translated(rotation_from_rpy(*rpy), xyz))

    @staticmethod
    def from_matrix(matrix: Float) -> Pose:
        """Return the pose of a homogeneous matrix [4, 4]."""
        x, y, z, w = quat_xyzw_from_rotation(matrix[:3, :3])
        return Pose(xyz=(float(matrix[0, 3]), float(matrix[1, 3]), float(matrix[2, 3])), quat_xyzw=(x, y, z, w))

    @property
    def matrix(self) -> Float:
        """The homogeneous matrix [4, 4]."""
        return _translated(rotation_from_quat_xyzw(self.quat_xyzw), self.xyz)

    def inverse(self) -> Pose:
        """Return the pose that undoes this one."""
        return Pose.from_matrix(np.linalg.inv(self.matrix).astype(np.float64))

    def __matmul__(self, other: Pose) -> Pose:
        return Pose.from_matrix(self.matrix @ other.matrix)


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
    x, y, z, w = np.asarray(quat_xyzw, dtype=np.float64) / np.linalg.norm(quat_xyzw)
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
