"""Pictures of a plan from PyBullet's software renderer: no window, no graphics card."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffplan import arguments
from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.world import RobotBody, at_origin, load_robot_body
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.problem import Contact, Plan, Trajectory
from diffplan.pybullet.camera import Camera, find_camera
from diffplan.pybullet.failure import Arm, Failure, contact_point, contact_words, failure, motion_contact
from diffplan.pybullet.palette import OTHER_PATH, TOUCHING, held_colours
from diffplan.pybullet.stage_set import REACH, add_tool_path, load_coloured, tool_path
from diffplan.robot.held import HeldBody
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.exclusive import exclusive
from diffplan.system.files import check_writable, write_bytes
from diffplan.system.progress import working

_STRIP_POSES = 5
_STRIP_SIZE = (480, 480)
_FILM_SIZE = (640, 480)
_FILM_FRAMES = 32
_LEAST_FILM_S = 2.4
_HOLD_S = 0.8
_FLESH = 0.08
_CLOSE = 0.18
_FINGER_WIDTH = 0.02
_SKIN, _DEEP = 0.01, 0.08  # m, how far a point lies below the surface that shows it
_INK = (60, 64, 72)


@exclusive
def render(plan: Plan, file: str | Path) -> None:
    """Draw a plan: `.png` a strip of poses from start to end, `.gif` or `.mp4` a film; the tool's path as a tube.

    The tool's paths of the alternatives are drawn too, in grey. A refused motion is drawn with what touches in red, at
    the moment when it touches; a plan without a motion as the start or goal that is in contact, from afar and near by,
    or else as its start and goal.

    Raises:
        InputError: if the file's kind is another, or a file of the robot or the scene cannot be read.
    """
    file, plan = arguments.path(file, "file"), arguments.instance(plan, Plan, "plan", allowed="a Plan")
    writers = {".png": _strip_png, ".gif": _film_gif, ".mp4": _film_mp4}
    if file.suffix.lower() not in writers:
        raise InputError("cannot draw this kind of file", value=file.suffix, file=file, allowed=writers)
    check_writable(file)
    with working(f"drawing {file.name}"):
        write_bytes(file, writers[file.suffix.lower()](plan))


def _strip_png(plan: Plan) -> bytes:
    return strip_bytes(strip_pictures(plan, size=_STRIP_SIZE, poses=_STRIP_POSES, finer=2.0))


def strip_bytes(pictures: Sequence[Image.Image]) -> bytes:
    """Return a PNG file of pictures of one size side by side."""
    content = io.BytesIO()
    strip(pictures).save(content, format="png")
    return content.getvalue()


def strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures of one size side by side."""
    width, height = pictures[0].size
    whole = Image.new("RGB", (width * len(pictures), height), "white")
    for i, picture in enumerate(pictures):
        whole.paste(picture, (i * width, 0))
    return whole


def strip_pictures(plan: Plan, *, size: tuple[int, int], poses: int, finer: float) -> list[Image.Image]:
    """Return pictures of this size [pixels]: poses along the motion, or what is wrong with a start or goal.

    Raises:
        InputError: if a file of the robot or the scene cannot be read.
    """
    trajectory = plan.trajectory
    if trajectory is None:
        return still_pictures(plan, size)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(trajectory.position, axis=0), axis=1))])
    times = np.interp(np.linspace(0, along[-1], poses), along, trajectory.time)
    times[[0, -1]] = trajectory.time[[0, -1]]
    contact = None if plan.solved else motion_contact(plan, trajectory)
    return list(_pictures(plan, trajectory, _with(times, contact), size, contact=contact, finer=finer))


def still_pictures(plan: Plan, size: tuple[int, int]) -> list[Image.Image]:
    """Return the picture of a plan without a motion, and where something touches, one of that place."""
    found, plan = failure(plan), replace(plan, scene=at_origin(plan.scene))
    if found.contact is None:
        return [label(_still(plan, found, size)[0], found.text)]
    touch = contact_point(plan.robot, plan.scene, found.contact)
    whole, _ = _still(plan, found, size, touch=touch)
    near, camera = _still(plan, found, size, touch=touch, close=True)
    if found.contact.obstacle:  # half transparent, so that a link inside it is seen
        without = replace(plan, scene=plan.scene.remove(found.contact.obstacle))
        near = Image.blend(near, _still(without, found, size, camera=camera)[0], 0.5)
    return [label(whole, found.text), near]


def _still(
    plan: Plan,
    found: Failure,
    size: tuple[int, int],
    *,
    touch: Float | None = None,
    close: bool = False,
    camera: Camera | None = None,
) -> tuple[Image.Image, Camera]:
    """Return a picture of the arms of a failure, by this camera or one that is chosen, and the camera."""
    red = frozenset({found.contact.obstacle} if found.contact else ())
    path, aspect = np.stack([arm.q for arm in found.arms]), size[0] / size[1]
    with connection() as client:
        if close:  # near by, the arm itself may stand before the contact
            for arm in found.arms:
                place_arm(client, plan.robot, plan.scene, arm)
        chosen = set_up(
            client, plan.robot, plan.scene, path, ways=(), tube=False, aspect=aspect, red=red, touch=touch, close=close
        )
        for arm in () if close else found.arms:
            place_arm(client, plan.robot, plan.scene, arm)
        return shoot(client, camera or chosen, size, finer=2.0), camera or chosen


def place_arm(client: int, robot: Robot, scene: Scene, arm: Arm) -> RobotBody:
    """Put an arm into the picture, in its colours, with what it holds."""
    own = zip(robot.attached, held_colours(), strict=False)
    held = [arm.links.get(body.name, arm.colour or colour) for body, colour in own]
    body = load_robot_body(client, robot, scene.robot_base, visuals=True, colours=held)
    body.place(arm.q)
    for name, link in body.links.items():
        colour = arm.links.get(name, None if name == robot.base_link else arm.colour)
        if colour is not None:
            bullet.changeVisualShape(body.body, link, rgbaColor=colour, physicsClientId=client)
    return body


def _with(times: Float, contact: Contact | None) -> Float:
    """Return times [n] of which one, not the first or last if there are more, is that of the contact."""
    if contact is None or contact.time_s is None:
        return times
    inner = times[1:-1] if len(times) > 2 else times
    inner[np.argmin(np.abs(inner - contact.time_s))] = contact.time_s
    return np.sort(times)


def _film(plan: Plan) -> tuple[list[Image.Image], float]:
    """Return the frames and the time each is shown [s]; a short motion is slowed down to 2.4 s."""
    trajectory = plan.trajectory
    if trajectory is None:
        return still_pictures(plan, _FILM_SIZE), _LEAST_FILM_S
    times = np.linspace(trajectory.time[0], trajectory.time[-1], _FILM_FRAMES)
    shown = max(trajectory.duration, _LEAST_FILM_S) / (_FILM_FRAMES - 1)
    contact = None if plan.solved else motion_contact(plan, trajectory)
    return list(_pictures(plan, trajectory, _with(times, contact), _FILM_SIZE, contact=contact, finer=1.5)), shown


def film_bytes(frames: Sequence[Image.Image], shown: float, kind: str) -> bytes:
    """Return a film (`.gif` or `.mp4`) of pictures of one size, each shown so long [s]; first and last stay a while.

    Raises:
        InputError: if no film can be written here.
    """
    return _gif(frames, shown, still=False) if kind == ".gif" else _mp4(frames, shown)


def _film_gif(plan: Plan) -> bytes:
    return _gif(*_film(plan), still=plan.trajectory is None)


def _gif(frames: Sequence[Image.Image], shown: float, *, still: bool) -> bytes:
    colours = frames[0].quantize(255, method=Image.Quantize.MEDIANCUT)
    indexed = [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in frames]
    durations = [int(1000 * shown)] * len(indexed)
    if not still:
        durations[0] = durations[-1] = int(1000 * _HOLD_S)
    content, rest = io.BytesIO(), indexed[1:]
    indexed[0].save(
        content, format="gif", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False
    )
    return content.getvalue()


def _film_mp4(plan: Plan) -> bytes:
    return _mp4(*_film(plan))


def _mp4(frames: Sequence[Image.Image], shown: float) -> bytes:
    import imageio.v2 as imageio
    from imageio_ffmpeg import count_frames_and_secs

    hold = int(_HOLD_S / shown)
    held = [frames[0]] * hold + list(frames) + [frames[-1]] * hold
    with tempfile.TemporaryDirectory(prefix="diffplan-") as folder:
        file = Path(folder) / "film.mp4"
        try:
            imageio.mimwrite(file, [np.asarray(frame) for frame in held], fps=1 / shown, macro_block_size=16)
            written, _ = count_frames_and_secs(file)  # ffmpeg tells nobody when it could not write the end
        except (OSError, RuntimeError):
            written = 0
        if written != len(held):
            raise InputError("no film can be made here: is the disk full?", file=folder)
        return file.read_bytes()


def _pictures(
    plan: Plan, trajectory: Trajectory, times: Float, size: tuple[int, int], *, contact: Contact | None, finer: float
) -> Iterator[Image.Image]:
    """Draw the robot at these times [s], each picture rendered `finer` times as fine and then reduced."""
    q = np.array([np.interp(times, trajectory.time, joint) for joint in trajectory.position.T]).T
    red = frozenset({contact.obstacle} if contact else ())
    scene = at_origin(plan.scene)
    touch = contact_point(plan.robot, scene, contact) if contact else None
    with connection() as client, working("", len(times)) as task:
        others = [other.trajectory.position for other in plan.alternatives]
        path, aspect = trajectory.position, size[0] / size[1]
        camera = set_up(client, plan.robot, scene, path, ways=others, tube=True, aspect=aspect, red=red, touch=touch)
        body = place_arm(client, plan.robot, scene, Arm(q=q[0]))
        for time, pose in zip(times, q, strict=True):
            now = contact is not None and time == contact.time_s
            if contact and now:
                body.remove()
                red_arm = Arm(q=pose, links=dict.fromkeys(contact.links, TOUCHING))
                body = place_arm(client, plan.robot, scene, red_arm)
            body.place(pose)
            text = contact_words(contact) if contact and now else f"{time - trajectory.time[0]:.2f} s"
            yield label(shoot(client, camera, size, finer=finer), text)
            task.advance()
            if now:  # its own colours again
                body.remove()
                body = place_arm(client, plan.robot, scene, Arm(q=pose))


def set_up(
    client: int,
    robot: Robot,
    scene: Scene,
    path: Float,
    *,
    ways: Sequence[Float],
    tube: bool,
    aspect: float,
    red: Collection[str] = (),
    touch: Float | None = None,
    close: bool = False,
    survey: bool = False,
) -> Camera:
    """Build everything but the robot and find the camera.

    Args:
        client: an empty one, or, close by, one with the arms in it.
        robot: whose arm is looked at; it is not loaded here.
        scene: the obstacles.
        path: configurations [n, dof] of the arm that shall be seen.
        ways: motions [n, dof] whose tool's paths are drawn in grey.
        tube: whether the tool's path along `path` is drawn too.
        aspect: width over height.
        red: names of obstacles that are red.
        touch: a place [3] that shall be seen (world, m).
        close: whether the picture is of that place alone.
        survey: whether the obstacles matter as much as the arm.
    """
    base = scene.robot_base
    bodies = load_coloured(client, scene, red)
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
    held = [_corners_held(robot, base, body, poses) for body in robot.attached]
    flesh = _FLESH * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    body = (np.concatenate([[base.xyz], arm, tips, *others])[:, None] + flesh).reshape(-1, 3)
    around = np.concatenate([body, *held, np.array(corners).reshape(-1, 3).clip(low, high)])
    motion = np.concatenate([tips[:: max(1, len(tips) // 24)], arm[robot.dof :: robot.dof + 1]])
    ends = arm.reshape(len(poses), -1, 3)[[0, -1]].reshape(-1, 3)
    yaw = float(np.arctan2(base.matrix[1, 0], base.matrix[0, 0]))
    must = tips[[0, -1]] if touch is None else np.stack([tips[0], tips[-1], touch])
    if close and touch is not None:
        must, ends = touch[None], touch[None]
        motion = touch + _FINGER_WIDTH * np.concatenate([np.eye(3), -np.eye(3)])
        around = touch + _CLOSE * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    camera = find_camera(
        client,
        motion=motion,
        ends=ends,
        must=must,
        things=np.array(corners).reshape(-1, 3),
        frame=around,
        base_yaw=yaw,
        aspect=aspect,
        slack=_DEEP if close else _SKIN,
        weight=1.0 if survey else 0.15,
    )
    for other in others:
        add_tool_path(client, other, OTHER_PATH)
    if tube:
        add_tool_path(client, tips)
    return camera


def _corners_held(robot: Robot, base: Pose, held: HeldBody, poses: Float) -> Float:
    """Return the corners [n, 3] of the box around what is held, at joint positions [k, dof] (world)."""
    centre, radius = held.spheres.centre, held.spheres.radius[:, None]
    ends = np.stack([(centre - radius).min(axis=0), (centre + radius).max(axis=0)])
    corners = np.array([[ends[i, 0], ends[j, 1], ends[k, 2], 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return (base.matrix @ robot.link_pose(poses, held.name) @ corners.T).transpose(0, 2, 1).reshape(-1, 4)[:, :3]


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


def label(picture: Image.Image, text: str) -> Image.Image:
    """Write words into a picture's corner, in letters as small as they have to be."""
    size = picture.height // 26
    font = ImageFont.load_default(size=size)
    while font.getlength(text) > 0.95 * picture.width and size > 8:
        size -= 1
        font = ImageFont.load_default(size=size)
    ImageDraw.Draw(picture).text((picture.height // 30, picture.height // 40), text, fill=_INK, font=font)
    return picture
