"""A studio in a browser, driven as a person does: with the mouse, on what is seen."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from playwright.sync_api import Page

from diffplan.studio.server import Studio
from diffplan.studio.view import View

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # draws without a graphics card
    *("--disable-background-networking", "--disable-component-update"),
)
GRIP = 0.8  # of a handle's length: where its arrow is taken
PATIENCE_S = 90.0


def wait_until(page: Page, holds: Callable[[], bool], what: str, patience: float = PATIENCE_S) -> None:
    """Let the page go on until something holds."""
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"waited {patience:g} s for: {what}"
        page.wait_for_timeout(20)


def open_studio(page: Page, studio: Studio, dots: float = 0.25) -> View:
    """Open the page and return its view once its first motion is there, and the camera stands.

    `dots` are drawn for each pixel's edge: few, where the processor draws.
    """
    before = set(studio.views)
    page.goto(f"{studio.url}/?fixedDpr={dots}")
    wait_until(page, lambda: bool(set(studio.views) - before), "a view")
    view = studio.views[max(set(studio.views) - before)]
    wait_until(page, lambda: view.settled, "the first answer")
    wait_until(page, lambda: np.allclose(view.client.camera.look_at, view.looked_at, atol=1e-3), "the camera")
    page.wait_for_timeout(1000)  # for what is drawn to follow the camera
    return view


def on_screen(page: Page, view: View, point: np.ndarray) -> tuple[float, float]:
    """Return where a point (world, m) is on the page [pixels]."""
    camera, size = view.client.camera, page.viewport_size
    assert size is not None
    ahead = camera.look_at - camera.position
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, camera.up_direction)
    right /= np.linalg.norm(right)
    away = point - camera.position
    depth = float(away @ ahead)
    scale = size["height"] / 2 / np.tan(camera.fov / 2) / depth
    x = size["width"] / 2 + scale * float(away @ right)
    y = size["height"] / 2 - scale * float(away @ np.cross(right, ahead))
    return x, y


def arrow(page: Page, view: View, which: str, axis: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where an arrow of a handle is taken on the page, and where that would be a centimetre further on."""
    handle = view.handles[which]
    w, x, y, z = handle.wxyz
    column = {
        0: (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)),
        1: (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)),
        2: (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)),
    }[axis]
    along = np.array(column)
    grip = np.array(handle.position) + GRIP * handle.scale * along
    return on_screen(page, view, grip), on_screen(page, view, grip + 0.01 * along)


def best_axis(page: Page, view: View, which: str) -> int:
    """Return the axis of a handle whose arrow is longest on the page."""

    def length(axis: int) -> float:
        (x, y), (u, v) = arrow(page, view, which, axis)
        return float(np.hypot(u - x, v - y))

    return max(range(3), key=length)


def drag(page: Page, view: View, which: str, axis: int, centimetres: float, steps: int = 5) -> None:
    """Drag a handle along one of its axes with the mouse."""
    (x, y), (u, v) = arrow(page, view, which, axis)
    page.mouse.move(x, y)
    page.wait_for_timeout(100)
    page.mouse.down()
    for step in range(1, steps + 1):
        share = centimetres * step / steps
        page.mouse.move(x + share * (u - x), y + share * (v - y))
        page.wait_for_timeout(60)
    page.mouse.up()
