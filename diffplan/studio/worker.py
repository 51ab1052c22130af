"""A planning process for one browser: the newest request wins, and none is ever queued.

The process is an interpreter of its own with a pipe, so that neither a script nor a notebook is loaded again in it. It
keeps robot and stage warm, and ends with its pipe.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from time import perf_counter

import numpy as np

from diffplan.certificate.certifier import Certifier
from diffplan.costs.reader import parse_cost
from diffplan.errors import DiffplanError
from diffplan.formats.constraints import parse_constraint
from diffplan.geometry.pose import Float
from diffplan.planning import plan
from diffplan.problem import Plan, Problem
from diffplan.studio.session import Setting

_CLEARANCES = 60
_SAMPLES = 24
DRAG_LIMIT_S = 1.0
"""How long is planned at most while something is dragged [s]: the pose after it is waiting."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A question to the planning process; `draft` while something is dragged, `samples` if those are to be shown.

    `number` counts the requests of a browser.
    """

    number: int
    setting: Setting
    draft: bool = False
    samples: bool = False
    asked: float = field(default_factory=perf_counter)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What came of a request: a plan, or the `error` that kept it from being planned."""

    plan: Plan | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Details:
    """What is shown of a plan once nothing is dragged.

    `clearance` are times [k] (s) and least clearances there [k] (m) of its motion, `samples` the tool's ways
    [batch, points, 3] (world, m) after each step of the reverse process, by name.
    """

    clearance: tuple[Float, Float] | None = None
    samples: tuple[tuple[str, Float], ...] = ()


class PlanningProcess:
    """Asks a process of its own, from a thread of its own; answers are told from that thread."""

    def __init__(self, tell: Callable[[Request, Answer | Details], None]) -> None:
        """Start the process; it gets ready while the first request is made."""
        self.dropped = 0
        self._tell = tell
        self._changed = threading.Condition()
        self._waiting: Request | None = None
        self._closed = False
        self.process, self._pipe = _start()
        threading.Thread(target=self._serve, daemon=True, name="diffplan studio planning").start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    def ask(self, request: Request) -> None:
        """Plan this next; a request that still waits is dropped for it."""
        with self._changed:
            self.dropped += self._waiting is not None
            self._waiting = request
            self._changed.notify()

    def close(self) -> None:
        """End the process, whatever it is at."""
        with self._changed:
            self._closed, self._waiting = True, None
            self._changed.notify()
        _end(self.process)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                request, self._waiting = self._waiting, None
            if request is None:
                self._pipe.close()
                return
            try:
                self._pipe.send_bytes(pickle.dumps(request))
                while (answer := pickle.loads(self._pipe.recv_bytes())) is not None:
                    self._tell(request, answer)
            except (EOFError, OSError):
                if self._closed:
                    self._pipe.close()
                    return
                self._pipe.close()
                _end(self.process)
                self.process, self._pipe = _start()
                self._tell(request, Answer(error="the planning process died; a new one was started"))


def _start() -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = Pipe()
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    code = f"from diffplan.studio.worker import serve; serve({theirs.fileno()})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the studio, which ends its processes
    )
    theirs.close()
    return process, ours


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def serve(descriptor: int) -> None:
    """Answer requests that come through a pipe until its other end is closed."""
    pipe = Connection(descriptor)
    with suppress(EOFError, OSError):
        while True:
            for answer in _answers(pickle.loads(pipe.recv_bytes())):
                pipe.send_bytes(pickle.dumps(answer))
            pipe.send_bytes(pickle.dumps(None))


def _answers(request: Request) -> Iterator[Answer | Details]:
    try:
        found = plan_setting(request.setting, limit=DRAG_LIMIT_S if request.draft else None)
        yield Answer(plan=found)
        if not request.draft:
            yield Details(clearance=_clearance(found), samples=_samples(found) if request.samples else ())
    except DiffplanError as error:
        yield Answer(error=str(error))


def plan_setting(setting: Setting, limit: float | None = None) -> Plan:
    """Plan a setting as its command does; within `limit` [s] if that is less than its own limit.

    Raises:
        InputError: if something in it makes no sense.
    """
    robot, scene = setting.robot, setting.scene
    return plan(
        robot,
        scene,
        setting.start,
        setting.goal,
        planner=setting.planner,
        seed=setting.seed,
        timeout=setting.timeout if limit is None else min(limit, setting.timeout),
        alternatives=setting.alternatives,
        costs=tuple(parse_cost(word, robot, scene) for word in setting.costs),
        constraints=tuple(parse_constraint(word) for word in setting.constraints),
    )


def _clearance(found: Plan) -> tuple[Float, Float] | None:
    """Return times and the least clearance from obstacles at each, by PyBullet; None without a motion or obstacles."""
    motion = found.trajectory
    if motion is None or not found.scene.obstacles:
        return None
    times = np.linspace(motion.time[0], motion.time[-1], _CLEARANCES)
    with Certifier(found.robot, found.scene) as certifier:
        return times, np.array([certifier.clearance(q) for q in found.at(times).position])


def _samples(found: Plan) -> tuple[tuple[str, Float], ...]:
    """Return the tool's ways after each reverse step of a batch of the prior."""
    from diffplan.planners.diffusion import DiffusionConfig
    from diffplan.viewer.samples import stages, tool_traces

    if not len(found.goals):
        return ()
    problem = Problem(robot=found.robot, scene=found.scene, start=found.start, goals=found.goals)
    base = found.scene.robot_base.matrix
    return tuple(
        (one.name, tool_traces(found.robot, one.control) @ base[:3, :3].T + base[:3, 3])
        for one in stages(problem, DiffusionConfig(), batch=_SAMPLES, seed=found.seed)
    )
