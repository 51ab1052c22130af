"""Where to look from: a camera that sees the motion past the obstacles and fills the picture with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.geometry import Float
from diffplan.simulation.bullet import bullet

FIELD_OF_VIEW_DEG = 36.0
_BORDER = 1.06
_AZIMUTHS_DEG = (-50.0, -25.0, -75.0, 0.0, 50.0, 25.0, 75.0, -100.0, 100.0, -130.0, 130.0, -160.0, 160.0)
_ELEVATIONS_DEG = (24.0, 40.0)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """PyBullet's view and projection matrices, and where the light comes from."""

    view: tuple[float, ...]
    projection: tuple[float, ...]
    light: tuple[float, float, float]


def find_camera(client: int, *, motion: Float, frame: Float, base_yaw: float, aspect: float) -> Camera:
    """Choose among directions around the robot the one that shows most of the motion.

    Args:
        client: with the obstacles in it, but not the robot, which would hide itself.
        motion: points of the arm along its way [m, 3]; as many as possible shall be seen.
        frame: points that shall lie in the picture [n, 3].
        base_yaw: direction the robot faces [rad].
        aspect: width over height.
    """
    best, best_score = None, -np.inf
    for elevation in _ELEVATIONS_DEG:
        for rank, azimuth in enumerate(_AZIMUTHS_DEG):
            yaw, pitch = base_yaw + np.radians(azimuth), np.radians(elevation)
            towards_eye = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
            eye, target = _place(frame, towards_eye, aspect)
            hits = bullet.rayTestBatch([eye.tolist()] * len(motion), motion.tolist(), physicsClientId=client)
            seen = float(np.mean([hit[0] < 0 for hit in hits]))
            score = seen - 0.012 * rank - (0.05 if elevation > 30 else 0.0)
            if score > best_score:
                best, best_score = (eye, target), score
    assert best is not None
    eye, target = best
    far = 4 * float(np.linalg.norm(eye - target))
    sideways = np.cross(eye - target, [0.0, 0.0, 1.0])
    light = (eye - target) - 0.8 * sideways
    light[2] += 1.2 * np.linalg.norm(eye - target)
    x, y, z = (light / np.linalg.norm(light)).tolist()
    return Camera(
        view=tuple(bullet.computeViewMatrix(eye.tolist(), target.tolist(), [0, 0, 1])),
        projection=tuple(bullet.computeProjectionMatrixFOV(FIELD_OF_VIEW_DEG, aspect, 0.05, far)),
        light=(x, y, z),
    )


def _place(points: Float, towards_eye: Float, aspect: float) -> tuple[Float, Float]:
    """Return eye and target of the closest camera in a direction that has all points in its picture."""
    right = np.cross([0.0, 0.0, 1.0], towards_eye)
    right /= np.linalg.norm(right)
    up = np.cross(towards_eye, right)
    tangents = np.tan(np.radians(FIELD_OF_VIEW_DEG) / 2) * np.array([aspect, 1.0]) / _BORDER
    target = points.mean(axis=0)
    distance = 1.0
    for _ in range(8):
        offsets = points - target
        depth = -offsets @ towards_eye
        across = np.stack([offsets @ right, offsets @ up], axis=1)
        distance = float((np.abs(across) / tangents - depth[:, None]).max())
        seen = across / (distance + depth)[:, None]
        shift = (seen.max(axis=0) + seen.min(axis=0)) / 2 * distance
        target = target + shift[0] * right + shift[1] * up
    return target + distance * towards_eye, target
