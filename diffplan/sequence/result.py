"""What comes back of a sequence: its steps with their plans, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan import arguments
from diffplan.geometry.pose import Float
from diffplan.problem import Plan, Status, Trajectory
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.higher import higher
from diffplan.words import count, one_line

if TYPE_CHECKING:
    from diffplan.sequence.play import PlayReport


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceStep:
    """One step as it was planned: `kind` is move, line, gripper, attach, detach or pause, `label` what it is for.

    `plan` is the certified motion of a move or line. `held` names what the robot holds during it, for attach and detach
    after it. `fingers` are the gripper's joint values after it [rad or m]; `closing` says that it closes on something.
    `seconds` is how long a pause lasts.
    """

    kind: str
    label: str
    plan: Plan | None = None
    object: str = ""
    held: tuple[str, ...] = ()
    fingers: dict[str, float] = field(default_factory=dict)
    closing: bool = False
    seconds: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether the arm goes on from here to the next step without a stop."""
        return bool(self.plan and self.plan.certificate and not self.plan.certificate.to_rest)

    @property
    def status(self) -> Status:
        """That of its plan; solved where the arm stands still."""
        return self.plan.status if self.plan else Status.SOLVED


@dataclass(frozen=True, kw_only=True, eq=False)
class SequencePlan:
    """The plan of a sequence: all steps, each motion certified with what the hand holds then, or none.

    `scene` is the world before the first step, `end` after the last (of an unsolved one the same). `message` says which
    step could not be done and what was in the way. True, as in `if plan:`, only if it is solved.
    """

    status: Status
    message: str
    robot: Robot
    scene: Scene
    end: Scene
    start: Float
    seed: int
    steps: tuple[SequenceStep, ...] = ()
    timing_s: dict[str, float] = field(default_factory=dict)

    @property
    def solved(self) -> bool:
        """Whether every motion passed its certificate."""
        return self.status is Status.SOLVED

    def __bool__(self) -> bool:
        return self.solved

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The motions, in order."""
        return tuple(step.plan for step in self.steps if step.plan)

    @property
    def motions(self) -> tuple[Trajectory, ...]:
        """What the arm does from rest to rest: the motions of steps that are joined as one."""
        found: list[Trajectory] = []
        joined = False
        for step in self.steps:
            if step.plan and step.plan.trajectory:
                found.append(found.pop().then(step.plan.trajectory) if joined else step.plan.trajectory)
            joined = step.goes_on
        return tuple(found)

    @property
    def moved(self) -> tuple[str, ...]:
        """The names of the objects that are taken, in order."""
        return tuple(dict.fromkeys(step.object for step in self.steps if step.kind == "attach"))

    @property
    def duration(self) -> float:
        """How long all motions take [s], without what the gripper takes."""
        return sum(plan.trajectory.duration for plan in self.plans if plan.trajectory)

    def __repr__(self) -> str:
        about = f"{one_line(self.robot.name, 40)} in {one_line(self.scene.name, 40)}, seed {self.seed}"
        if not self.solved:
            return f"SequencePlan(not solved: {self.status.value}: {about}\n             {one_line(self.message)})"
        steps = f"{count(len(self.steps), 'step')}, {count(len(self.plans), 'motion')} of {self.duration:.2f} s"
        return f"SequencePlan(solved: {about}\n             {steps}, moves {', '.join(self.moved) or 'nothing'})"

    def save(self, folder: str | Path) -> None:
        """Write `task.json` (format `diffplan/task-result@1`) and a plan file for each motion into a folder.

        Raises:
            InputError: if a file cannot be written.
        """
        higher("sequence.files:save_sequence")(self, arguments.path(folder, "folder"))

    def play(self, client: int, body: int, *, bodies: Mapping[str, int] | None = None) -> PlayReport:
        """Follow the sequence in a running PyBullet world; see `diffplan.sequence.play.play_sequence`.

        Raises:
            InputError: if it is not solved, or the world is not the one that it was planned in.
        """
        return higher("sequence.play:play_sequence")(self, client, body, bodies=bodies)

    def render(self, file: str | Path) -> None:
        """Draw it: `.gif` or `.mp4` a film in which what is held moves along, `.png` a strip of it.

        Raises:
            InputError: if it is not solved, or the file's kind is another.
        """
        higher("sequence.film:render_sequence")(self, arguments.path(file, "file"))
