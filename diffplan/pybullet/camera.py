"""Where to look from: a camera that sees the motion past the obstacles and fills the picture with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffplan.certificate.bullet import bullet
from diffplan.geometry.pose import Float

FIELD_OF_VIEW_DEG = 36.0
_BORDER = 1.06
_AZIMUTHS_DEG = (-50.0, -25.0, -75.0, 0.0, 50.0, 25.0, 75.0, -100.0, 100.0, -130.0, 130.0, -160.0, 160.0)
_ELEVATIONS_DEG = {24.0: 0.0, 40.0: 0.05, 62.0: 0.15}
"""Of each elevation, the share of the motion that it must show more than the first one to be chosen."""
_MUST = 0.5  # what a place that must be seen counts, the whole motion counting 1


@dataclass(frozen=True, kw_only=True)
class Camera:
    """PyBullet's view and projection matrices, and where the light comes from."""

    view: tuple[float, ...]
    projection: tuple[float, ...]
    light: tuple[float, float, float]


def find_camera(
    client: int,
    *,
    motion: Float,
    ends: Float,
    must: Float,
    things: Float,
    frame: Float,
    base_yaw: float,
    aspect: float,
    slack: float = 0.01,
    weight: float = 0.15,
) -> Camera:
    """Choose among directions around the robot the one that shows most of the motion.

    Args:
        client: with the obstacles in it; with the robot only where it shall count that it hides itself.
        motion: points of the arm along its way [m, 3]; as many as possible shall be seen.
        ends: points along the whole arm at its start and goal [l, 3]; together they count as much as the motion.
        must: points that matter most [k, 3]: the tool at start and goal, a contact; each counts as half of the motion.
        things: corners of the obstacles [j, 3]; all together they count `weight`.
        frame: points that shall lie in the picture [n, 3].
        base_yaw: direction the robot faces [rad].
        aspect: width over height.
        slack: how deep [m] a point may lie in what it belongs to and still be seen.
        weight: what seeing all obstacles counts, seeing the whole motion counting 1.
    """
    best, best_score = None, -np.inf
    for elevation, handicap in _ELEVATIONS_DEG.items():
        for rank, azimuth in enumerate(_AZIMUTHS_DEG):
            yaw, pitch = base_yaw + np.radians(azimuth), np.radians(elevation)
            towards_eye = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
            eye, target = _place(frame, towards_eye, aspect)
            seen = [_seen(client, eye, points, slack) for points in (motion, ends, things, must)]
            shares = [float(each.mean()) if len(each) else 0.0 for each in seen]
            score = shares[0] + shares[1] + weight * shares[2] + _MUST * float(seen[3].sum())
            score -= 0.012 * rank + handicap
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


def _seen(client: int, eye: Float, points: Float, slack: float) -> np.ndarray:
    """Return which points [n, 3] are seen from the eye: nothing stands farther before them than `slack`."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    hits = bullet.rayTestBatch([eye.tolist()] * len(points), points.tolist(), physicsClientId=client)
    away = np.linalg.norm(points - eye, axis=1)
    return np.array([hit[0] < 0 or (1 - hit[2]) * far < slack for hit, far in zip(hits, away, strict=True)])


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
