"""What every planner offers: candidate paths for a task, best first, and what it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from typing_extensions import Self

from diffplan.errors import InputError
from diffplan.geometry.pose import Float

if TYPE_CHECKING:
    from diffplan.planners.task import Task

Options: TypeAlias = "dict[str, object]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A path that a planner believes in: B-spline control points [n, dof], the goal it ends in, and who found it.

    `round` counts the planner's attempts; it never falls. `first_path_s` is when the planner had its first path [s from
    its beginning], if it tells.
    """

    control: Float
    goal_index: int
    source: str
    round: int = 0
    first_path_s: float | None = None


class Planner(ABC):
    """Turns a task into candidate paths; timing and certificate come later and are the same for all planners.

    What a planner has loaded belongs to the object: one that plans again has it ready.
    """

    name: ClassVar[str]
    weighs_costs: ClassVar[bool] = False
    """Whether it weighs the problem's costs against the path length."""
    reuses_plans: ClassVar[bool] = False
    """Whether it begins with an earlier motion (`Task.previous`)."""
    keeps_constraints: ClassVar[bool] = False
    """Whether it leads paths into the problem's constraints; of others the certificate refuses what breaks one."""
    helper: ClassVar[str] = ""
    """Name of the planner that joins when this one has not solved, unless the caller wants none or another."""

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Return the planner set up with options by name; a planner without options takes none.

        Raises:
            InputError: for an option that it does not have.
        """
        for key, value in options.items():
            raise InputError(f"planner {cls.name} has no option {key!r}", key=key, value=value, allowed="no options")
        return cls()

    def prepare_look(self, task: Task) -> None:  # noqa: B027 (most planners do not look first)
        """Load what `look` needs, outside the planning time."""

    def look(self, task: Task) -> Iterator[Candidate]:
        """Yield candidates that are found without what `prepare` loads: where one passes, that is never loaded."""
        return iter(())

    def after_look(self, task: Task) -> Iterator[Candidate]:
        """Yield the candidates that come after those of `look`."""
        return self.candidates(task)

    def prepare(self, task: Task) -> None:  # noqa: B027 (most planners need nothing)
        """Load what does not depend on the scene (weights, compiled code), outside the planning time."""

    def remarks(self, task: Task) -> tuple[str, ...]:
        """Return what should be known of the planner and this task: that it was trained on other things, say.

        It is asked where the first look was not enough.
        """
        return ()

    @abstractmethod
    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield all candidates, best first, until the task's deadline; one seed, one answer."""
