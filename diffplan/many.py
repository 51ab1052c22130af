"""Many questions at once, shared out to the cores: each gets the plan that `plan` or `solve` gives it alone."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from inspect import Parameter, signature
from typing import TypeAlias, cast

from diffplan import arguments
from diffplan.errors import DiffplanError, InputError, did_you_mean
from diffplan.planning import plan, solve
from diffplan.problem import Plan, Problem
from diffplan.system.executor import Work, usable_cores
from diffplan.system.jobs import Lost, run_jobs
from diffplan.system.progress import working

_MOST_AT_ONCE = 16
_TURNS = 4
"""How many times a worker is given queries, if there are few: the last ones are shared out evenly."""
_GUARD = "in a script, plan_many is called below `if __name__ == '__main__':`, or with jobs=1"

Arguments: TypeAlias = dict[str, object]
"""Those of `plan`, or of `solve` if there is a `problem`, by name."""


def plan_many(
    queries: Sequence[Problem | Mapping[str, object]], *, jobs: int | None = None, **common: object
) -> list[Plan]:
    """Plan many motions and certify each; the processes that do so have one thread each.

    A script calls this below ``if __name__ == "__main__":``, as everything that starts processes: each of them loads
    the script.

    Args:
        queries: what is asked, one motion each: arguments of `plan` by name, such as ``{"goal": q}``, or a `Problem`,
            which is given to `solve`.
        jobs: how many processes plan (default: one for each core); 1 plans in this one.
        common: arguments of `plan` for all queries that do not name them themselves (`robot`, `scene`, `start`,
            `planner`, `seed`, `timeout`, ...).

    Returns:
        A plan for each query, in their order: the one that `plan` gives alone with the same arguments.

    Raises:
        InputError: for a query that makes no sense (named by its number, counted from 0), or one that cannot be sent to
            a process (a cost that is no function of a module; with jobs=1 it can be planned).
        DiffplanError: if processes die, or do not start.
    """
    asked = [_arguments(query, common, f"queries[{i}]") for i, query in enumerate(_listed(queries))]
    jobs = min(usable_cores() if jobs is None else arguments.whole(jobs, "jobs", 1, None), len(asked))
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise DiffplanError(f"a process that was started to plan loads the script, which starts it again: {_GUARD}")
    with working("planning", len(asked)) as task:
        if jobs <= 1:
            plans = []
            for i, query in enumerate(asked):
                plans.append(_answer(i, query))
                task.advance()
            return plans
        step = max(min(len(asked) // (_TURNS * jobs), _MOST_AT_ONCE), 1)
        firsts = range(0, len(asked), step)
        found: dict[int, Plan] = {}
        with closing(run_jobs(_worker, [_sent(asked, i, step) for i in firsts], workers=jobs)) as messages:
            for number, message in messages:
                if isinstance(message, Lost):
                    last = min(firsts[number] + step, len(asked)) - 1
                    raise DiffplanError(f"processes died at queries {firsts[number]} to {last} ({message.problem})")
                done = pickle.loads(message)
                found.update(enumerate(done, firsts[number]))
                task.advance(len(done))
    return [found[i] for i in range(len(asked))]


def _listed(queries: object) -> list[object]:
    return arguments.items(queries, "queries", allowed="a list of Problems, or of arguments of plan by name")


def _arguments(query: object, common: Arguments, key: str) -> Arguments:
    """Return the arguments of a query.

    Raises:
        InputError: if one is missing or unknown.
    """
    if isinstance(query, Problem):
        query, asks = {"problem": query}, solve
    else:
        query, asks = arguments.mapping(query, key, allowed="a Problem, or arguments of plan by name"), plan
    given = {**common, **query}
    known = signature(asks).parameters
    for name in given:
        if name not in known:
            where = f"{key}.{name}" if name in query else name
            raise InputError(f"unknown argument{did_you_mean(name, known)}", key=where, allowed=known)
    missing = [name for name, one in known.items() if one.default is Parameter.empty and name not in given]
    if missing:
        raise InputError(f"missing: {', '.join(missing)}", key=key, allowed=known)
    return given


def _answer(number: int, query: Arguments) -> Plan:
    try:
        return cast("Plan", solve(**query) if "problem" in query else plan(**query))  # pyright: ignore[reportArgumentType]
    except InputError as error:
        if error.file is not None or len(error.errors) > 1:
            raise
        key = ".".join(filter(None, (f"queries[{number}]", error.key)))
        raise InputError(error.problem, key=key, value=error.value, allowed=error.allowed) from error


def _sent(asked: list[Arguments], first: int, step: int) -> tuple[int, bytes]:
    """Return queries as a process is sent them: what several of them name, such as the robot, is packed once.

    Raises:
        InputError: naming the query that cannot be packed.
    """
    try:
        return first, pickle.dumps(asked[first : first + step])
    except Exception as error:
        if step > 1:
            for i in range(first, min(first + step, len(asked))):
                _sent(asked, i, 1)
        allowed = "what pickle can pack, such as functions of a module; or jobs=1"
        problem = f"cannot be sent to another process ({error})"
        raise InputError(problem, key=f"queries[{first}]", allowed=allowed) from error


def _worker() -> Work[tuple[int, bytes], bytes]:
    def work(job: tuple[int, bytes]) -> Iterator[bytes]:
        first, packed = job
        yield pickle.dumps([_answer(i, query) for i, query in enumerate(pickle.loads(packed), first)])

    return work
