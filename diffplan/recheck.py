"""A plan file certified again: the motions that stand in it, with the robot and the files that are there now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffplan.certificate.certifier import Certifier
from diffplan.errors import InputError
from diffplan.formats.stored_plan import read_stored
from diffplan.problem import Certificate, Plan
from diffplan.robot.model import Robot


@dataclass(frozen=True, kw_only=True, eq=False)
class RecheckedMotion:
    """A motion of a plan file: what the file says of it, and the verdict of now."""

    name: str
    recorded: Certificate | None
    now: Certificate


@dataclass(frozen=True, kw_only=True, eq=False)
class Recheck:
    """The plan of a file, its motions judged anew, and what is not as it was when the plan was made."""

    plan: Plan
    motions: tuple[RecheckedMotion, ...]
    changed: tuple[str, ...]
    intact: bool

    @property
    def holds(self) -> bool:
        """Whether the file is as it was written, has a motion, and every motion is certified now."""
        return self.intact and bool(self.motions) and all(motion.now.valid for motion in self.motions)


def recheck(path: str | Path, *, robot: Robot | None = None) -> Recheck:
    """Certify the motions of a plan file again, from its start to its goals in its scene.

    What the file's certificate says was allowed of the start is allowed again, and jerk limited where it was.

    Args:
        path: the plan file.
        robot: the robot, where it is not the one that the file names.

    Raises:
        InputError: if the plan file is wrong or does not hold its scene, or a file of robot or scene cannot be read.
    """
    stored = read_stored(path, robot=robot)
    plan = stored.plan
    asked = [] if plan.trajectory is None else [("plan", plan.trajectory, plan.certificate)]
    asked += [(f"alternative {i}", a.trajectory, a.certificate) for i, a in enumerate(plan.alternatives, start=1)]
    if len(plan.goals) == 0 and asked:
        raise InputError("a motion without a goal", file=path, key="goals")
    motions = []
    with Certifier(plan.robot, plan.scene) as certifier:
        for name, trajectory, recorded in asked:
            now = certifier.certify(
                trajectory,
                start=plan.start,
                goals=plan.goals,
                start_tolerance=recorded.start_tolerance if recorded else 0.0,
                start_contact_m=recorded.start_contact_m if recorded else 0.0,
                constraints=plan.constraints,
                jerk_limited=recorded is not None and recorded.jerk_share is not None,
                from_rest=recorded is None or recorded.from_rest,
                to_rest=recorded is None or recorded.to_rest,
            )
            motions.append(RecheckedMotion(name=name, recorded=recorded, now=now))
    return Recheck(plan=plan, motions=tuple(motions), changed=stored.changed, intact=stored.intact)
