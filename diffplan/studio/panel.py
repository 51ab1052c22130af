"""The studio's panel: what is asked, obstacles, joints, layers, curves and files."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Primitive
from diffplan.planners import PLANNERS
from diffplan.problem import Plan
from diffplan.studio.curves import curves
from diffplan.studio.results_tab import ResultsTab
from diffplan.studio.session import KINDS, History, Setting

if TYPE_CHECKING:
    from viser import GuiEvent

    from diffplan.studio.view import View

_NONE = "(none)"
_FOLDER = "studio_out"
_H = TypeVar("_H")


class Panel:
    """The controls of one browser; what they are turned to goes to the view."""

    def __init__(self, view: View) -> None:
        """Add the controls, at the view's setting."""
        self.view = view
        gui = view.client.gui
        self.status = gui.add_markdown("getting ready")
        self._moves = gui.add_button_group("edits", ("undo", "redo"))
        self.on_click(self._moves, self._travel)
        self.playing = self.on_turn(gui.add_checkbox("play", False), view.play)
        self.time = self.on_turn(gui.add_slider("time [s]", 0.0, 1.0, 0.01, 0.0), lambda: view.seek(self.time.value))
        tabs = gui.add_tab_group()
        with tabs.add_tab("Ask"):
            self._add_question()
        with tabs.add_tab("Obstacles"):
            self._add_obstacles()
        with tabs.add_tab("Joints"):
            self._add_joints()
        with tabs.add_tab("Layers"):
            self._add_layers()
        with tabs.add_tab("Curves"):
            self.plot = gui.add_plotly(curves(None, None), aspect=0.9, config={"displayModeBar": False})
        with tabs.add_tab("Save"):
            self._add_files()
        if view.opening.results is not None:
            with tabs.add_tab("Results"):
                self.results = ResultsTab(self, view.opening.results)

    def on_turn(self, handle: _H, do: Callable[[], None]) -> _H:
        """Let a control do something in the view's thread when a person turns it; returns it."""
        handle.on_update(self._posting(do, id(handle)))  # pyright: ignore[reportAttributeAccessIssue]
        return handle

    def on_click(self, handle: _H, do: Callable[[], None]) -> _H:
        """Let a button do something in the view's thread when a person clicks it; returns it."""
        handle.on_click(self._posting(do, None))  # pyright: ignore[reportAttributeAccessIssue]
        return handle

    def _posting(self, do: Callable[[], None], key: int | None) -> Callable[..., Coroutine[None, None, None]]:
        async def turned(event: GuiEvent) -> None:  # pyright: ignore[reportMissingTypeArgument]
            if event.client is not None:  # not by the program
                self.view.actor.post(do, key)

        return turned

    def _travel(self) -> None:
        history = self.view.history
        self.view.travel(history.undo if self._moves.value == "undo" else history.redo)

    # Ask

    def _add_question(self) -> None:
        gui, setting = self.view.client.gui, self.view.setting
        items = self.view.opening.items
        if items:
            self._item = gui.add_dropdown("problem", tuple(items))
            self.on_turn(self._item, lambda: self.view.show(items[self._item.value]()))
        if setting.scene.queries:
            self._query = gui.add_dropdown("query", (_NONE, *setting.queries), initial_value=self._first(setting))
            self.on_turn(self._query, self._ask_query)
        self.planner = self.on_turn(
            gui.add_dropdown("planner", tuple(PLANNERS), initial_value=setting.planner), self._ask
        )
        self.seed = self.on_turn(gui.add_number("seed", setting.seed, min=0, step=1), self._ask)
        self.timeout = self.on_turn(gui.add_number("time limit [s]", setting.timeout, min=0.01, step=0.1), self._ask)
        self.alternatives = self.on_turn(gui.add_slider("alternatives", 0, 4, 1, setting.alternatives), self._ask)
        about = "a cost a line, as `diffplan plan --cost` takes it: upright, avoid:xyz=0.4,0.3,0.5:radius=0.2"
        self.costs = self.on_turn(gui.add_text("costs", "", multiline=True, hint=about), self._ask)
        about = "a constraint a line, as `diffplan plan --constraint` takes it: upright:degrees=10, speed:limit=0.25"
        self.constraints = self.on_turn(gui.add_text("constraints", "", multiline=True, hint=about), self._ask)

    @staticmethod
    def _first(setting: Setting) -> str:
        """Return the query that a scene is opened with."""
        return "default" if "default" in setting.queries else next(iter(setting.queries), _NONE)

    def _ask_query(self) -> None:
        if self._query.value != _NONE:
            self.view.edit(self.view.setting.asked(self.view.setting.scene.query(self._query.value)))

    def _ask(self) -> None:
        self.view.edit(
            self.view.setting.asking(
                planner=self.planner.value,
                seed=int(self.seed.value),
                timeout=self.timeout.value,
                alternatives=self.alternatives.value,
                costs=self.costs.value.split("\n"),
                kept=self.constraints.value.split("\n"),
            )
        )

    # Obstacles

    def _add_obstacles(self) -> None:
        gui = self.view.client.gui
        self.obstacle = gui.add_dropdown("obstacle", (_NONE,))
        self.on_turn(
            self.obstacle, lambda: self.view.select(None if self.obstacle.value == _NONE else self.obstacle.value)
        )
        self._sizes = {
            key: self.on_turn(gui.add_number(f"{key} [m]", 0.1, min=0.001, step=0.005, visible=False), self._resize)
            for key in ("size x", "size y", "size z", "radius", "height")
        }
        self.copy = self.on_click(gui.add_button("copy"), self._copy)
        self.delete = self.on_click(gui.add_button("delete"), self._delete)
        self.kind = gui.add_dropdown("kind", tuple(KINDS))
        self.add = self.on_click(gui.add_button("add"), self._add)

    def _chosen(self) -> str | None:
        return None if self.obstacle.value == _NONE else self.obstacle.value

    def _resize(self) -> None:
        name = self._chosen()
        if name is not None:
            sizes = [box.value for box in self._sizes.values() if box.visible]
            self.view.edit(self.view.setting.resized(name, sizes))

    def _copy(self) -> None:
        name = self._chosen()
        if name is not None:
            setting, new = self.view.setting.copied(name)
            self.view.edit(setting)
            self.view.select(new)

    def _delete(self) -> None:
        name = self._chosen()
        if name is not None:
            self.view.edit(self.view.setting.removed(name))

    def _add(self) -> None:
        """Add an obstacle halfway between the tool at start and goal, above them, so that it is in sight."""
        setting = self.view.setting
        a, b = setting.tool_pose(setting.start).xyz, setting.goal_pose().xyz
        x, y, z = ((u + v) / 2 for u, v in zip(a, b, strict=True))
        setting, new = setting.added(self.kind.value, Pose(xyz=(x, y, z + 0.2)))
        self.view.edit(setting)
        self.view.select(new)

    # Joints

    def _add_joints(self) -> None:
        gui, robot = self.view.client.gui, self.view.setting.robot
        self._joints = {}
        for which in ("start", "goal"):
            with gui.add_folder(which, expand_by_default=which == "goal"):
                self._joints[which] = [
                    self.on_turn(
                        gui.add_slider(name, float(low), float(high), 0.001, float(min(max(0.0, low), high))),
                        lambda which=which: self._turn(which),
                    )
                    for name, low, high in zip(robot.joint_names, robot.lower, robot.upper, strict=True)
                ]

    def _turn(self, which: str) -> None:
        q = [slider.value for slider in self._joints[which]]
        setting = self.view.setting
        self.view.edit(setting.starting_at(q) if which == "start" else setting.ending_at(q), joined=f"{which} joints")

    # Layers

    def _add_layers(self) -> None:
        gui, view = self.view.client.gui, self.view
        layers = view.show_layers
        self.start_ghost = self.on_turn(gui.add_checkbox("start", False), layers)
        self.goal_ghost = self.on_turn(gui.add_checkbox("goal", True), layers)
        self.start_handle = self.on_turn(gui.add_checkbox("handle of the start", False), layers)
        self.alternatives_shown = self.on_turn(gui.add_checkbox("ways of the alternatives", True), layers)
        self.spheres = self.on_turn(gui.add_checkbox("collision spheres of the planner", False), layers)
        self.hulls = self.on_turn(gui.add_checkbox("hulls of the certificate", False), layers)
        self.samples = self.on_turn(gui.add_checkbox("samples of the reverse process", False), layers)
        self.step = self.on_turn(gui.add_dropdown("step", (_NONE,), visible=False), view.show_samples)

    # Save

    def _add_files(self) -> None:
        gui = self.view.client.gui
        self.folder = gui.add_text("folder", _FOLDER)
        self.save = self.on_click(gui.add_button("save scene, query and plan"), self._save)
        self.command = gui.add_markdown("")

    def _save(self) -> None:
        folder = Path(self.folder.value)
        words = self.view.save(folder)
        self.command.content = f"{words}\n```\n{self.view.setting.command(folder)}\n```"

    # What the view tells

    def show(
        self, setting: Setting, selected: str | None, goal_q: Float, history: History, *, light: bool = False
    ) -> None:
        """Show a setting; while something is dragged (`light`) nothing but what depends on it."""
        if light:
            return
        _set(self.planner, setting.planner)
        _set(self.seed, setting.seed)
        _set(self.timeout, setting.timeout)
        _set(self.alternatives, setting.alternatives)
        _set(self.costs, "\n".join(setting.costs))
        _set(self.constraints, "\n".join(setting.constraints))
        names = (_NONE, *(one.name for one in setting.scene.obstacles))
        if tuple(self.obstacle.options) != names:
            self.obstacle.options = names  # pyright: ignore[reportAttributeAccessIssue]
        _set(self.obstacle, selected or _NONE)
        self._show_sizes(setting, selected)
        self.show_joints(setting, goal_q)

    def _show_sizes(self, setting: Setting, selected: str | None) -> None:
        obstacle = None if selected is None else setting.scene.obstacle(selected)
        lengths = obstacle.lengths if isinstance(obstacle, Primitive) else {}
        keys = [
            name for key, many in lengths.items() for name in ([f"{key} {a}" for a in "xyz"] if many > 1 else [key])
        ]
        sizes = dict(zip(keys, obstacle.sizes, strict=True)) if isinstance(obstacle, Primitive) else {}
        for key, box in self._sizes.items():
            if box.visible != (key in sizes):
                box.visible = key in sizes
            if key in sizes:
                _set(box, sizes[key])

    def show_joints(self, setting: Setting, goal_q: Float) -> None:
        """Show the joints of start and goal."""
        for which, q in (("start", setting.start), ("goal", goal_q.tolist())):
            for slider, value in zip(self._joints[which], q, strict=True):
                _set(slider, min(max(round(value, 3), slider.min), slider.max))

    def show_time(self, plan: Plan) -> None:
        """Let the time line go as far as a motion."""
        if plan.trajectory is not None:
            self.time.max = max(round(plan.trajectory.duration, 2), 0.01)

    def show_samples(self, names: list[str]) -> None:
        """Offer the steps of the reverse process."""
        options = tuple(names) or (_NONE,)
        if tuple(self.step.options) != options:
            self.step.options = options  # pyright: ignore[reportAttributeAccessIssue]
            self.step.visible = bool(names)

    def forget_files(self) -> None:
        """Say nothing more of files that hold another question."""
        self.command.content = ""


def _set(handle: object, value: object) -> None:
    """Set a control, if it is not so already."""
    if handle.value != value:  # pyright: ignore[reportAttributeAccessIssue]
        handle.value = value  # pyright: ignore[reportAttributeAccessIssue]
