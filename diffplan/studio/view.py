"""What one browser shows and does: the scene with its handles, the panel, and the motions that come back."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from diffplan.errors import DiffplanError
from diffplan.geometry.pose import Float, Pose
from diffplan.problem import Contact, Plan, Status, Trajectory
from diffplan.pybullet.failure import motion_contact
from diffplan.pybullet.palette import GOAL, OTHER_PATH, PATH, START
from diffplan.studio.actor import Actor
from diffplan.studio.curves import curves
from diffplan.studio.looks import link_looks, solid_look, sphere_looks
from diffplan.studio.nodes import RED, ArmNodes, ObstacleNodes, pose_of, rgb, segments, wxyz
from diffplan.studio.opening import Opening, Shown, of_plan
from diffplan.studio.panel import Panel
from diffplan.studio.session import History, Setting
from diffplan.studio.words import status_words
from diffplan.studio.worker import Answer, Details, PlanningProcess, Request

if TYPE_CHECKING:
    from viser import (
        ClientHandle,
        LineSegmentsHandle,
        SceneClickEvent,
        TransformControlsEvent,
        TransformControlsHandle,
    )

_FRAME_S = 0.04
_PATH_POINTS = 64
_HANDLE, _SMALL_HANDLE = 0.22, 0.18  # [m]
_SPHERES, _HULLS = (240, 160, 40), (60, 130, 220)
_ALTERNATIVES = ((46, 134, 171), (241, 143, 1), (102, 155, 63), (140, 90, 170))
_SAMPLE = (120, 126, 135)
_FIELD = np.radians(45)  # of the camera
_AWAY, _ABOVE = 2.1, 0.95  # [m] where the camera stands, as seen from what it looks at
_PANEL = 0.3  # [m] by which more is seen at the right, where the panel is
_X = np.array([1.0, 0.0, 0.0])
_ASIDE = np.radians(62)  # between the way from goal to base and that to the camera


class View:
    """One browser: its history of settings, its planning process, its scene and panel.

    All but the constructor and `close` runs in the thread of its actor.
    """

    def __init__(self, client: ClientHandle, opening: Opening) -> None:
        """Show what the studio was opened with."""
        self.client, self.opening = client, opening
        self.history = History(opening.first.setting)
        self.motion: Plan | None = None
        """The last certified motion."""
        self.found: Plan | None = None
        """The last answer; None while the newest request is not answered."""
        self.settled = False
        """Whether the newest request is answered, within the whole time limit."""
        self.number, self.shown_number, self.last_shown_s = 0, 0, 0.0
        self._dragging: str | None = None
        self._selected: str | None = None
        self._ghost_q: Float = np.array(opening.first.setting.start)
        self._begun, self._time = perf_counter(), 0.0
        self._samples: tuple[tuple[str, Float], ...] = ()
        self._lines: dict[str, LineSegmentsHandle] = {}
        self.planning = PlanningProcess(self._told)
        self.actor = Actor(self._tick, self._failed)
        self.actor.post(self._open)

    @property
    def dropped(self) -> int:
        """How many requests were dropped for newer ones."""
        return self.planning.dropped

    def close(self) -> None:
        """End the planning process."""
        self.actor.close()
        self.planning.close()

    def _open(self) -> None:
        self.panel = Panel(self)
        self._start_robot()
        self.handles = {
            "start": self._handle("start", 0.8 * _HANDLE, self._drag_start),
            "goal": self._handle("goal", _HANDLE, self._drag_goal),
            "obstacle": self._handle("obstacle", _SMALL_HANDLE, self._drag_obstacle),
        }
        self.handles["start"].visible = False
        self.ghosts["start"].root.visible = False
        self.client.scene.on_click()(self._clicked)
        self._look()
        self.show(self.opening.first)

    def _look(self) -> None:
        """Put the camera behind the arm and aside, so that it looks into what stands before the arm."""
        base = np.array(self.setting.scene.robot_base.xyz)
        middle = base + np.array([0.0, 0.0, 0.45])
        places = [np.array(one.pose.xyz) - base for one in self.setting.scene.obstacles]
        x, y, _ = np.sum([place / max(np.linalg.norm(place) ** 2, 0.1) for place in places], axis=0) if places else _X
        turned = np.arctan2(-y, -x) + _ASIDE
        middle += 0.25 * np.array([np.cos(np.arctan2(y, x)), np.sin(np.arctan2(y, x)), 0.0])
        middle += _PANEL * np.array([-np.sin(turned), np.cos(turned), 0.0])
        camera = self.client.camera
        with self.client.atomic():
            camera.fov = _FIELD
            camera.position = middle + np.array([_AWAY * np.cos(turned), _AWAY * np.sin(turned), _ABOVE])
            self.looked_at = middle
            camera.look_at = middle  # after the position, which moves it as well

    @property
    def setting(self) -> Setting:
        """The setting that holds."""
        return self.history.now

    def _start_robot(self) -> None:
        """Add the nodes of the robot, its ghosts and its layers."""
        scene, arm = self.client.scene, self.setting.arm
        self._arm_of = self.setting.robot, self.setting.scene.attached
        looks = link_looks(arm)
        solids = {link: [solid_look(arm.shapes(link), hulls=True)] for link in arm.links}
        moving = {link: look for link, look in solids.items() if arm.chain.placement[link][0] > 0}
        with self.client.atomic():
            scene.add_grid("/grid", width=4.0, height=4.0, cell_size=0.2, plane="xy")
            self.obstacles = ObstacleNodes(scene)
            self.arm = ArmNodes(scene, "/robot", looks)
            self.ghosts = {
                "start": ArmNodes(scene, "/start_ghost", moving, colour=rgb(START), opacity=0.3),
                "goal": ArmNodes(scene, "/goal_ghost", moving, colour=rgb(GOAL), opacity=0.35),
            }
            spheres = {link: [look] for link, look in sphere_looks(arm, _SPHERES).items()}
            self.layers = {
                "spheres": ArmNodes(scene, "/layer_spheres", spheres, opacity=0.5),
                "hulls": ArmNodes(scene, "/layer_hulls", solids, colour=_HULLS, opacity=0.5),
            }
            for layer in self.layers.values():
                layer.root.visible = False

    # What is shown

    def show(self, shown: Shown) -> None:
        """Show another question, and the plan that answers it, or plan it."""
        self.edit(shown.setting, ask=shown.plan is None)
        if shown.plan is not None:
            self.number += 1
            self._answered(Answer(plan=shown.plan), Request(number=self.number, setting=shown.setting))

    def show_finds(self, plans: list[Plan]) -> None:
        """Show a problem and the first plan of it, with the ways that all plans found, in a colour each."""
        self.show(of_plan(plans[0]))
        moving = [plan for plan in plans if plan.trajectory is not None]
        shades = [_ALTERNATIVES[i % len(_ALTERNATIVES)] for i in range(len(moving))]
        self._line("alternatives", [_tool_way(plan, plan.trajectory) for plan in moving], shades, 0.008)

    def edit(self, setting: Setting, *, joined: object = None, ask: bool = True) -> None:
        """Take a new setting, show it, and plan it."""
        self.history.edit(setting, joined=joined)
        self._changed(ask=ask)

    def travel(self, step: Callable[[], None]) -> None:
        """Undo or redo."""
        step()
        self._changed()

    def _changed(self, *, ask: bool = True) -> None:
        setting = self.setting
        if (setting.robot, setting.scene.attached) != self._arm_of:
            self._start_robot()
        with self.client.atomic():
            self.obstacles.show(setting.scene)
            if self._selected not in {one.name for one in setting.scene.obstacles}:
                self._selected = None
            self._place_handles()
            if isinstance(setting.goal[0] if isinstance(setting.goal, tuple) else None, float):
                self._ghost_q = np.array(setting.goal)
            self._place_ghosts()
        self.panel.show(setting, self._selected, self._ghost_q, self.history, light=self._dragging is not None)
        if ask:
            self.ask()

    def ask(self) -> None:
        """Plan the present setting; while something is dragged, for a short time."""
        self.number += 1
        self.settled, self.found = False, None
        draft = self._dragging is not None
        samples = self.panel.samples.value and not draft
        self.planning.ask(Request(number=self.number, setting=self.setting, draft=draft, samples=samples))

    def select(self, name: str | None) -> None:
        """Give an obstacle the handle, or none."""
        self._selected = name
        with self.client.atomic():
            self._place_handles()
        self.panel.show(self.setting, name, self._ghost_q, self.history)

    def _clicked(self, event: SceneClickEvent) -> None:
        origin, direction = np.array(event.ray_origin), np.array(event.ray_direction)

        def pick() -> None:
            name = self.obstacles.at(origin, direction)
            if name is not None:
                self.select(name)

        self.actor.post(pick)

    def _place_handles(self) -> None:
        setting = self.setting
        places = {"start": setting.tool_pose(setting.start), "goal": setting.goal_pose()}
        if self._selected is not None:
            places["obstacle"] = setting.scene.obstacle(self._selected).pose
        self.handles["obstacle"].visible = self._selected is not None
        for which, pose in places.items():
            if which != self._dragging:  # the browser knows better where it is
                self.handles[which].position = np.array(pose.xyz)
                self.handles[which].wxyz = np.array(wxyz(pose))

    def _place_ghosts(self) -> None:
        arm, base = self.setting.arm, self.setting.scene.robot_base
        self.ghosts["start"].place(arm, base, np.array(self.setting.start))
        self.ghosts["goal"].place(arm, base, self._ghost_q)

    # Dragging

    def _handle(self, which: str, size: float, moved: Callable[[Pose], Setting | None]) -> TransformControlsHandle:
        handle = self.client.scene.add_transform_controls(f"/handle_{which}", scale=size, depth_test=False)

        async def update(event: TransformControlsEvent) -> None:  # in the order of the events
            pose, phase = pose_of(event.target.position, event.target.wxyz), event.phase
            key = (which, "update") if phase == "update" else None
            self.actor.post(lambda: self._dragged(which, phase, pose, moved), key)

        handle.on_update(update)
        return handle

    def _dragged(self, which: str, phase: str, pose: Pose, moved: Callable[[Pose], Setting | None]) -> None:
        self._dragging = which if phase != "end" else None
        if phase == "start":
            self.history.settle()
            return
        setting = moved(pose)
        if setting is not None:
            self.edit(setting, joined=which)
        if phase == "end":
            self.history.settle()

    def _drag_goal(self, pose: Pose) -> Setting:
        return self.setting.to_pose(pose)

    def _drag_start(self, pose: Pose) -> Setting:
        return self.setting.starting_near(pose)

    def _drag_obstacle(self, pose: Pose) -> Setting | None:
        return None if self._selected is None else self.setting.moved(self._selected, pose)

    # Answers

    def _told(self, request: Request, answer: Answer | Details) -> None:
        if isinstance(answer, Details):
            self.actor.post(lambda: self._detailed(answer, request))
        else:
            self.actor.post(lambda: self._answered(answer, request))

    def _answered(self, answer: Answer, request: Request) -> None:
        plan = answer.plan
        newest = request.number == self.number
        with self.client.atomic():
            if plan is not None:
                self._show_plan(plan, newest)
            if newest:
                self.found, self.settled = plan, not request.draft
                self._paint(None if plan is None else self._contact(plan))
            shown = self.last_shown_s = perf_counter() - request.asked
            self.panel.status.content = status_words(
                answer.plan, answer.error, self.shown_number, shown, self.dropped, old=self.motion is not plan
            )
        if newest and not request.draft:
            self.panel.show_joints(self.setting, self._ghost_q)
            self.panel.forget_files()

    def _show_plan(self, plan: Plan, newest: bool) -> None:
        if plan.solved:
            self.motion = plan
            self.shown_number += 1
            self._begun = perf_counter()
            self._play_at(0.0)
            self.panel.show_time(plan)
        self._show_ways(plan if plan.solved else self.motion, current=plan.solved)
        q = _goal_of(plan)
        if newest and q is not None:
            self._ghost_q = q
            self._place_ghosts()

    def _show_ways(self, plan: Plan | None, *, current: bool) -> None:
        """Draw the tool's way of a plan, grey where it answers an earlier question, and the alternatives."""
        ways = [] if plan is None else [_tool_way(plan, plan.trajectory)]
        others = [] if plan is None or not current else [_tool_way(plan, one.trajectory) for one in plan.alternatives]
        self._line("way", ways, [rgb(PATH if current else OTHER_PATH)], 0.012)
        shades = [_ALTERNATIVES[i % len(_ALTERNATIVES)] for i in range(len(others))]
        self._line("alternatives", others if self.panel.alternatives_shown.value else [], shades, 0.008)

    def _line(self, name: str, ways: list[Float], colours: list[tuple[int, int, int]], thickness: float) -> None:
        points = segments(np.stack(ways)) if ways else np.zeros((1, 2, 3), np.float32)
        each = np.repeat(np.array(colours or [(0, 0, 0)], np.uint8), len(points) // max(1, len(ways)), axis=0)
        shades = np.repeat(each[:, None], 2, axis=1)
        node = self._lines.get(name)
        if node is None:
            self._lines[name] = self.client.scene.add_line_segments(f"/{name}", points, shades, thickness=thickness)
        else:
            node.points, node.colors = points, shades
        self._lines[name].visible = bool(ways)

    def _contact(self, plan: Plan) -> Contact | None:
        """Return what touches; of a motion that was refused, with the arm put to where it touches first."""
        if plan.solved or plan.trajectory is None:
            return plan.contact
        contact = plan.contact or motion_contact(plan, plan.trajectory)
        if contact is not None:
            self._line("way", [_tool_way(plan, plan.trajectory)], [RED], 0.012)
            self.arm.place(plan.robot, plan.scene.robot_base, np.array(contact.q))
        return contact

    def _paint(self, contact: Contact | None) -> None:
        """Show what touches in red: the links of the ghost at that end, the obstacle."""
        links = () if contact is None else contact.links
        self.obstacles.paint([] if contact is None or not contact.obstacle else [contact.obstacle])
        at = "" if contact is None else contact.at
        for which, arm in (("start", self.ghosts["start"]), ("goal", self.ghosts["goal"]), ("motion", self.arm)):
            arm.paint(links if which == at else ())

    def _detailed(self, details: Details, request: Request) -> None:
        if request.number != self.number:
            return
        self.panel.plot.figure = curves(self.motion, details.clearance)
        self._samples = details.samples
        self.panel.show_samples([name for name, _ in self._samples])
        self.show_samples()

    # Layers and playing

    def show_samples(self) -> None:
        """Draw the tool's ways of the samples after the chosen step of the reverse process."""
        ways = dict(self._samples).get(self.panel.step.value, np.zeros((0, 2, 3)))
        self._line("samples", list(ways) if self.panel.samples.value else [], [_SAMPLE] * len(ways), 0.003)

    def show_layers(self) -> None:
        """Show the layers that are ticked."""
        panel = self.panel
        with self.client.atomic():
            self.layers["spheres"].root.visible = panel.spheres.value
            self.layers["hulls"].root.visible = panel.hulls.value
            self.ghosts["start"].root.visible = panel.start_ghost.value
            self.ghosts["goal"].root.visible = panel.goal_ghost.value
            self.handles["start"].visible = panel.start_handle.value
            if self.motion is not None:
                self._show_ways(self.motion, current=self.motion is self.found)
                self._play_at(self._time)
        self.show_samples()
        if panel.samples.value and not self._samples:
            self.ask()

    def play(self) -> None:
        """Begin or stop to play the motion."""
        self._begun = perf_counter() - self._time
        self.actor.every = _FRAME_S if self.panel.playing.value else None

    def seek(self, time: float) -> None:
        """Show the motion at a time [s], and stop playing."""
        self.panel.playing.value = False
        self.actor.every = None
        self._play_at(time)

    def _tick(self) -> None:
        plan = self.motion
        if plan is None or plan.trajectory is None or self._dragging is not None:
            return
        over = plan.trajectory.duration + 0.6  # a rest at the end
        self._play_at(min((perf_counter() - self._begun) % over, plan.trajectory.duration))
        self.panel.time.value = round(self._time, 2)

    def _play_at(self, time: float) -> None:
        plan = self.motion
        if plan is None or plan.trajectory is None:
            return
        self._time = min(time, plan.trajectory.duration)
        q, base = plan.at(float(plan.trajectory.time[0]) + self._time).position, plan.scene.robot_base
        with self.client.atomic():
            self.arm.place(plan.robot, base, q)
            for layer in self.layers.values():
                if layer.root.visible:
                    layer.place(plan.robot, base, q)

    def save(self, folder: Path) -> str:
        """Write scene and plan; returns in words what was written and how to plan it again."""
        if not self.settled:
            return "the answer is not there yet"
        files = self.setting.saved(folder, self.found)
        return f"wrote {', '.join(map(str, files))}"

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, DiffplanError):
            traceback.print_exception(error, file=sys.stderr)
        words = str(error) if isinstance(error, DiffplanError) else f"a fault of diffplan's own: {error!r}"
        self.panel.status.content = status_words(None, words, self.shown_number, 0.0, self.dropped, old=True)


def _goal_of(plan: Plan) -> Float | None:
    """Return where the goal's ghost stands: where the motion ends, or what touches there, or the first goal."""
    if plan.trajectory is not None:
        return plan.trajectory.position[-1]
    if plan.contact is not None and plan.contact.at == "goal":
        return np.array(plan.contact.q)
    return plan.goals[0] if len(plan.goals) and plan.status is not Status.GOAL_UNREACHABLE else None


def _tool_way(plan: Plan, motion: Trajectory | None) -> Float:
    """Return where the tool goes [64, 3] (world, m) in the motion of a plan or of one of its alternatives."""
    assert motion is not None
    times = np.linspace(motion.time[0], motion.time[-1], _PATH_POINTS)
    frame = plan.robot.tool_frame
    poses = plan.robot.link_pose(motion.at(times).position, frame.link) @ frame.pose.matrix
    return (plan.scene.robot_base.matrix @ poses)[:, :3, 3]
