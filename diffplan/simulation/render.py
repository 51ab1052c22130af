"""Pictures of a plan from PyBullet's software renderer: no window, no graphics card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffplan.errors import InputError
from diffplan.geometry import Float
from diffplan.problem import Plan, Trajectory
from diffplan.robot import Robot
from diffplan.scene import Scene
from diffplan.simulation.bullet import bullet, connection
from diffplan.simulation.camera import Camera, find_camera
from diffplan.simulation.palette import OTHER_PATH
from diffplan.simulation.stage_set import REACH, add_floor, add_tool_path, load_coloured, tool_path
from diffplan.simulation.world import load_robot_body

_STRIP_POSES = 5
_STRIP_SIZE = (480, 480)
_FILM_SIZE = (640, 480)
_FILM_FRAMES = 32
_LEAST_FILM_S = 2.4
_HOLD_S = 0.8
_FLESH = 0.08
_INK = (60, 64, 72)


def render(plan: Plan, file: str | Path) -> None:
    """Draw a plan: `.png` a strip of poses from start to end, `.gif` or `.mp4` a film; the tool's path as a tube.

    The tool's paths of the alternatives are drawn too, in grey.

    Raises:
        InputError: if the plan has no trajectory, or the file's kind is another.
    """
    file = Path(file)
    if plan.trajectory is None:
        raise InputError(f"the plan has no trajectory to draw ({plan.status.value})", file=file)
    writers = {".png": _write_strip, ".gif": _write_gif, ".mp4": _write_mp4}
    if file.suffix.lower() not in writers:
        raise InputError("cannot draw this kind of file", value=file.suffix, file=file, allowed=writers)
    writers[file.suffix.lower()](plan, plan.trajectory, file)


def _write_strip(plan: Plan, trajectory: Trajectory, file: Path) -> None:
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(trajectory.position, axis=0), axis=1))])
    times = np.interp(np.linspace(0, along[-1], _STRIP_POSES), along, trajectory.time)
    times[[0, -1]] = trajectory.time[[0, -1]]
    width, height = _STRIP_SIZE
    strip = Image.new("RGB", (width * _STRIP_POSES, height), "white")
    for i, picture in enumerate(_pictures(plan, trajectory, times, _STRIP_SIZE, finer=2.0)):
        strip.paste(picture, (i * width, 0))
    strip.save(file)


def _film(plan: Plan, trajectory: Trajectory) -> tuple[list[Image.Image], float]:
    """Return the frames and the time each is shown [s]; a short motion is slowed down to 2.4 s."""
    times = np.linspace(trajectory.time[0], trajectory.time[-1], _FILM_FRAMES)
    shown = max(trajectory.duration, _LEAST_FILM_S) / (_FILM_FRAMES - 1)
    return list(_pictures(plan, trajectory, times, _FILM_SIZE, finer=1.5)), shown


def _write_gif(plan: Plan, trajectory: Trajectory, file: Path) -> None:
    frames, shown = _film(plan, trajectory)
    colours = frames[0].quantize(255, method=Image.Quantize.MEDIANCUT)
    indexed = [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in frames]
    durations = [int(1000 * shown)] * len(indexed)
    durations[0] = durations[-1] = int(1000 * _HOLD_S)
    indexed[0].save(file, save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=False)


def _write_mp4(plan: Plan, trajectory: Trajectory, file: Path) -> None:
    import imageio.v2 as imageio

    frames, shown = _film(plan, trajectory)
    hold = int(_HOLD_S / shown)
    held = [frames[0]] * hold + frames + [frames[-1]] * hold
    imageio.mimwrite(file, [np.asarray(frame) for frame in held], fps=1 / shown, macro_block_size=16)


def _pictures(
    plan: Plan, trajectory: Trajectory, times: Float, size: tuple[int, int], *, finer: float
) -> Iterator[Image.Image]:
    """Draw the robot at these times [s], each picture rendered `finer` times as fine and then reduced."""
    q = np.array([np.interp(times, trajectory.time, joint) for joint in trajectory.position.T]).T
    with connection() as client:
        others = [other.trajectory.position for other in plan.alternatives]
        aspect = size[0] / size[1]
        camera = set_up(client, plan.robot, plan.scene, trajectory.position, ways=others, tube=True, aspect=aspect)
        robot = load_robot_body(client, plan.robot, plan.scene.robot_base, visuals=True)
        for time, pose in zip(times, q, strict=True):
            robot.place(pose)
            yield _label(shoot(client, camera, size, finer=finer), f"{time - trajectory.time[0]:.2f} s")


def set_up(
    client: int, robot: Robot, scene: Scene, path: Float, *, ways: Sequence[Float], tube: bool, aspect: float
) -> Camera:
    """Build everything but the robot and find the camera.

    Args:
        client: an empty one.
        robot: whose arm is looked at; it is not loaded.
        scene: the obstacles.
        path: configurations [n, dof] of the arm that shall be seen.
        ways: motions [n, dof] whose tool's paths are drawn in grey.
        tube: whether the tool's path along `path` is drawn too.
        aspect: width over height.
    """
    base = scene.robot_base
    bodies = load_coloured(client, scene)
    centre = np.array(base.xyz)
    low, high = centre - REACH, centre + REACH
    corners = []
    for body in bodies:
        box = bullet.getAABB(body, physicsClientId=client)
        corners += [[x[0], y[1], z[2]] for x in box for y in box for z in box]
    poses = path[np.linspace(0, len(path) - 1, 12).astype(int)]
    frames = base.matrix @ robot.body_poses(poses).reshape(-1, 4, 4)
    arm = frames[:, :3, 3]
    tips = tool_path(robot, base, path)
    others = [tool_path(robot, base, way) for way in ways]
    flesh = _FLESH * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    body = (np.concatenate([[base.xyz], arm, tips, *others])[:, None] + flesh).reshape(-1, 3)
    around = np.concatenate([body, np.array(corners).reshape(-1, 3).clip(low, high)])
    motion = np.concatenate([tips[:: max(1, len(tips) // 24)], arm[robot.dof :: robot.dof + 1]])
    yaw = float(np.arctan2(base.matrix[1, 0], base.matrix[0, 0]))
    camera = find_camera(client, motion=motion, frame=around, base_yaw=yaw, aspect=aspect)
    add_floor(client, base, min([base.xyz[2], *np.array(corners).reshape(-1, 3).clip(low, high)[:, 2]]))
    for other in others:
        add_tool_path(client, other, OTHER_PATH)
    if tube:
        add_tool_path(client, tips)
    return camera


def shoot(client: int, camera: Camera, size: tuple[int, int], *, finer: float) -> Image.Image:
    """Take a picture of this size [pixels], rendered `finer` times as fine and then reduced."""
    width, height = int(size[0] * finer), int(size[1] * finer)
    image = bullet.getCameraImage(
        width,
        height,
        camera.view,
        camera.projection,
        lightDirection=camera.light,
        shadow=1,
        lightDistance=6.0,
        lightAmbientCoeff=0.62,
        lightDiffuseCoeff=0.42,
        lightSpecularCoeff=0.1,
        flags=bullet.ER_NO_SEGMENTATION_MASK,
        renderer=bullet.ER_TINY_RENDERER,
        physicsClientId=client,
    )
    pixels = np.reshape(image[2], (height, width, 4))[:, :, :3].astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)


def _label(picture: Image.Image, text: str) -> Image.Image:
    font = ImageFont.load_default(size=picture.height // 26)
    ImageDraw.Draw(picture).text((picture.height // 30, picture.height // 40), text, fill=_INK, font=font)
    return picture
