"""What every planner offers: candidate paths for a problem, best first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Self

from diffplan.errors import InputError
from diffplan.geometry import Float
from diffplan.problem import Problem

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
    """Turns a problem into candidate paths; timing and certificate come later and are the same for all planners."""

    name: str

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Return the planner set up with options by name; a planner without options takes none.

        Raises:
            InputError: for an option that it does not have.
        """
        for key, value in options.items():
            raise InputError(f"planner {cls.name} has no option {key!r}", key=key, value=value, allowed="no options")
        return cls()

    def prepare(self, problem: Problem) -> None:  # noqa: B027 (most planners need nothing)
        """Load what does not depend on the scene (weights, compiled code), outside the planning time."""

    @abstractmethod
    def candidates(self, problem: Problem, *, seed: int, deadline: float) -> Iterator[Candidate]:
        """Yield candidates, best first, until `deadline` (`time.perf_counter` seconds); one seed, one answer."""
