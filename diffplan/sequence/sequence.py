"""Sequences: what a person asks (`Sequence`), and the way from there to a `SequencePlan`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Steps
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

from diffplan import arguments
from diffplan.ends import configuration, outside_limits
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.problem import Status
from diffplan.request import MotionRequest, read_robot, read_scene, share
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.sequence.fingers import Fingers
from diffplan.sequence.result import SequencePlan
from diffplan.sequence.search import Search
from diffplan.sequence.setting import Judges, Setting
from diffplan.sequence.steps import STEPS, Attach, Detach, Gripper, Pick, Place, Step
from diffplan.sequence.warm import make_ready
from diffplan.system.exclusive import exclusive
from diffplan.system.progress import working

_MOST_REASONS = 4
_NUMBERS = re.compile(r" \([^()]*\)| at [\d.]+ s|-?\d+(\.\d+)? (mm|%|deg)( \w+)?")

StepLike: TypeAlias = "Step | Steps[StepLike]"


class Sequence:
    """Steps that are planned together: moves, lines, the gripper, and picks and places with their choices.

    Lists among the steps, as `pick` and `place` return them, are flattened.

    Raises:
        InputError: if something is no step, or a step cannot come where it stands (a place with nothing in hand).
    """

    def __init__(self, steps: StepLike) -> None:
        """Check the steps and their order."""
        self.steps: tuple[Step, ...] = tuple(_flat(steps, "steps"))
        if not self.steps:
            raise InputError("no steps", key="steps", allowed="Move, Line, Gripper, Attach, Detach, Pause, pick, place")
        _check_order(self.steps)

    def __repr__(self) -> str:
        return f"Sequence({', '.join(getattr(step, 'kind', 'line') for step in self.steps)})"

    @exclusive
    def plan(
        self,
        robot: Robot | str | Path,
        scene: Scene | str | Path,
        start: str | Steps[float] | Float = "home",
        *,
        seed: int = 0,
        timeout: float = 10.0,
        speed: float = 1.0,
        held_speed: float = 0.5,
        jerk: str | None = None,
        join: bool = True,
    ) -> SequencePlan:
        """Plan all steps together and certify every motion with what the hand holds then.

        Args:
            robot: a robot, the name of a shipped one, or the path of a robot file.
            scene: the world before the first step, the name of a shipped scene or the path of a scene file.
            start: joint positions [dof] (rad or m), or the name of a configuration.
            seed: one seed, one answer (while the time limit is not reached).
            timeout: limit on planning [s]; the last motion may run over it.
            speed: share of the robot's velocity, acceleration and jerk limits that a motion may use, up to 1.
            held_speed: the same while something is held: what fingers hold by friction slips if it is jerked.
            jerk: `limited` keeps the robot's jerk limits in every motion; `off` and None do not.
            join: whether the arm goes on from one motion to the next without a stop where nothing lies between them and
                the path allows it (see `diffplan.sequence.joins`).

        Raises:
            InputError: for a robot without a gripper that shall use it, an object that is not there, or an argument
                that makes no sense.
        """
        begin = perf_counter()
        request = MotionRequest(seed=seed, timeout=timeout, speed=speed, jerk=jerk)
        held_speed, join = share(held_speed, "held_speed"), arguments.flag(join, "join")
        scene, robot = read_scene(scene), read_robot(robot).empty_handed
        q = configuration(robot, start, "start")
        fingers = Fingers.of(robot) if any(isinstance(step, Pick | Place | Gripper) for step in self.steps) else None
        _check_objects(self.steps, scene)
        loaded = perf_counter()
        with Judges() as judges, working("planning a sequence"):
            setting = Setting(robot, scene, judges)
            with working("getting ready to plan"):
                make_ready(robot, q)
                setting.get_ready()
            ready = perf_counter()
            search = Search(
                steps=self.steps,
                fingers=fingers,
                request=request,
                start=q,
                held_speed=held_speed,
            )
            outside = outside_limits(robot, q)
            if outside:
                status = Status.START_OUTSIDE_LIMITS
                search.unfit = status, f"{outside}; {status.advice}"
            if search.unfit is None and search.run(setting):
                assert search.end is not None
                status, message, end = Status.SOLVED, Status.SOLVED.advice, search.end.scene
                steps = search.joined() if join else tuple(step for step, _ in search.done)
            else:
                status, message = search.unfit or _why(search)
                end, steps = scene, ()
        now = perf_counter()
        times = {"load": loaded - begin, "warmup": ready - loaded, "plan": now - ready}
        times |= {**search.spent, "total": now - begin}
        return SequencePlan(
            status=status,
            message=message,
            robot=robot,
            scene=scene,
            end=end,
            start=q,
            seed=request.seed,
            steps=steps,
            timing_s=times,
        )


def _flat(steps: object, key: str) -> Iterable[Step]:
    allowed = "Move, Line, Gripper, Attach, Detach, Pause, or lists of them as pick and place return them"
    if isinstance(steps, STEPS):
        yield steps
        return
    for i, step in enumerate(arguments.items(steps, key, allowed=allowed)):
        if isinstance(step, STEPS):
            yield step
        elif isinstance(step, list | tuple):
            yield from _flat(step, f"{key}[{i}]")
        else:
            raise InputError("not a step", key=f"{key}[{i}]", value=step, allowed=allowed)


def _check_order(steps: tuple[Step, ...]) -> None:
    """Refuse a place or detach of what is not in hand, and a pick or attach of what is."""
    held: list[str | None] = []
    for i, step in enumerate(steps):
        key = f"steps[{i}]"
        if isinstance(step, Pick):
            if held:
                raise InputError("the hand is not empty", key=key, value=step.kind, allowed="a place before it")
            held.append(step.objects[0] if len(step.objects) == 1 else None)
        elif isinstance(step, Place):
            if step.object is None and not held:
                continue  # what the scene says that it holds
            if held and step.object is not None and None not in held and step.object not in held:
                raise InputError("not in hand", key=key, value=step.object, allowed=[str(name) for name in held])
            if held:
                held.pop()
        elif isinstance(step, Attach):
            held.append(step.object)
        elif isinstance(step, Detach) and step.object in held:
            held.remove(step.object)


def _check_objects(steps: tuple[Step, ...], scene: Scene) -> None:
    """Refuse names that are no obstacle of the scene (nor held in it).

    Raises:
        InputError: naming the first; the message lists the names there are.
    """
    held = {body.name for body in scene.attached}
    taken = any(isinstance(step, Pick) for step in steps)
    for i, step in enumerate(steps):
        names = step.objects if isinstance(step, Pick) else (step.object,) if isinstance(step, Attach) else ()
        for name in names:
            if name not in held:
                scene.obstacle(name)
        if isinstance(step, Place | Detach) and step.object is not None and step.object not in held:
            scene.obstacle(step.object)
        if isinstance(step, Place) and step.object is None and not taken and not held:
            raise InputError("nothing is in hand", key=f"steps[{i}]", value="place", allowed="a pick before it")


def _why(search: Search) -> tuple[Status, str]:
    """Return in words which step could not be done, and what was in the way of how many of its choices."""
    if not search.blocked:
        return Status.NO_PATH_FOUND, "the time is up; allow more (timeout)"
    last = max(search.blocked)
    parts = [_step_words(search, i) for i in sorted(search.blocked, reverse=True)]
    all_out = set(search.blocked[last].values()) == {"out of reach"}
    status = Status.GOAL_UNREACHABLE if all_out else Status.NO_PATH_FOUND
    late = "the time is up; so far " if search.late else ""
    return status, f"{late}{'; '.join(parts)}"


def _step_words(search: Search, i: int) -> str:
    step = search.steps[i]
    names = ", ".join(step.objects) if isinstance(step, Pick) else getattr(step, "object", None) or ""
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    for reason in search.blocked[i].values():
        words = reason if isinstance(reason, str) else reason()
        key = _NUMBERS.sub("", words)
        counts[key] += 1
        example.setdefault(key, words)
    total = search.tried(i)
    told = [f"{times} of {total}: {example[key]}" for key, times in counts.most_common(_MOST_REASONS)]
    more = len(counts) - len(told)
    title = f"step {i + 1}, {getattr(step, 'kind', 'line')} {names}".strip()
    return f"{title}: {'; '.join(told)}" + (f"; and {more} further reasons" if more else "")
