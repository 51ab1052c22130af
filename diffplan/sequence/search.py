"""The search over all steps of a sequence at once: depth first, quick tests before motions, choices taken back.

A step's choices are tried in order. One is taken up only if quick tests find ways for it and for the steps after it
(`_feasible`); then the move to its ways, nearest first, is planned and its lines are certified. If a later step cannot
be done after it, its other ways and then the other choices follow. Moves get little time at first, and more in a second
round if one of them ran out of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from diffplan.constraints.line import Line
from diffplan.geometry.pose import Float
from diffplan.line_planning import certified_line, line_from
from diffplan.lines import LinePath
from diffplan.planning import plan
from diffplan.problem import Plan, Status
from diffplan.request import MotionRequest
from diffplan.sequence.choices import Choice, Maker, Offer, Reason, Way, offers
from diffplan.sequence.closing import width_between
from diffplan.sequence.fingers import Fingers, joint_values
from diffplan.sequence.joins import join_steps
from diffplan.sequence.result import SequenceStep
from diffplan.sequence.setting import Setting
from diffplan.sequence.steps import Attach, Detach, Gripper, Move, Pause, Pick, Place, Step

_AT_ONCE = 2  # ways that one move may end in
_MOVES = 3  # moves planned for one choice
_SHARES = (0.08, 0.3)  # of the time limit for one move, in the first round and in the second
_LEAST_S = 0.5
_NO_START = (Status.START_IN_COLLISION, Status.START_OUTSIDE_LIMITS)


@dataclass(kw_only=True, eq=False)
class Search:
    """One search; `done` are the steps of the way that is being tried, all of them when `run` returns True."""

    steps: Sequence[Step]
    fingers: Fingers | None
    request: MotionRequest
    start: Float
    held_speed: float = 1.0
    done: list[tuple[SequenceStep, Setting]] = field(default_factory=list)
    end: Setting | None = None
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    blocked: dict[int, dict[tuple[int, str], Reason]] = field(default_factory=lambda: defaultdict(dict))
    late: bool = False
    unfit: tuple[Status, str] | None = None
    _begin: float = field(default_factory=perf_counter)
    _share: float = _SHARES[0]
    _cut_short: bool = False
    _choices: dict[tuple[int, int, str], tuple[Setting, Choice | None]] = field(default_factory=dict)
    _offers: dict[tuple[int, int], tuple[Setting, list[Offer]]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """The time that is left [s]."""
        return self._begin + self.request.timeout - perf_counter()

    def run(self, setting: Setting) -> bool:
        """Do all steps from the start; False if that cannot be done, or not in time."""
        for share in _SHARES:
            self._share, self._cut_short = share, False
            if self._run(0, self.start, setting):
                return True
            if self._is_over() or not self._cut_short:
                break
        return False

    def joined(self) -> tuple[SequenceStep, ...]:
        """Return the steps that are done, motions joined where nothing lies between them, as far as there is time."""
        begin = perf_counter()
        found = join_steps(self.done, lambda: self.left)
        self.spent["joins"] += perf_counter() - begin
        return found

    def _run(self, i: int, q: Float, setting: Setting) -> bool:
        """Do the steps from number i on, the arm at q [dof] in this setting."""
        if i == len(self.steps):
            self.end = setting
            return True
        step, mark = self.steps[i], len(self.done)
        if isinstance(step, Pick | Place | Move):
            for offer in self._offered(i, setting):
                if self._is_over():
                    return False
                choice = self._choice(i, setting, offer)
                if choice and self._feasible(i + 1, choice.end) and self._go(i, choice, q, setting):
                    return True
                del self.done[mark:]
            return False
        after = self._primitive(i, step, q, setting)
        if after and self._run(i + 1, *after):
            return True
        del self.done[mark:]
        return False

    def tried(self, i: int) -> int:
        """Return how many choices of a step were looked at or left out."""
        return len(set(self.blocked[i]) | {(key[1], key[2]) for key in self._choices if key[0] == i})

    def block(self, i: int, setting: Setting, title: str, reason: Reason) -> None:
        """Note why a choice of step i could not be made in a setting."""
        self.blocked[i][id(setting), title] = reason

    def _is_over(self) -> bool:
        """Whether there is no use in going on: the time is up, or the arm cannot even begin."""
        self.late = self.late or self.left <= 0
        return self.late or self.unfit is not None

    def _offered(self, i: int, setting: Setting) -> list[Offer]:
        """Return what there is to choose from at a step in a setting."""
        key, step = (i, id(setting)), self.steps[i]
        if key not in self._offers:
            assert isinstance(step, Pick | Place | Move)
            found, left_out = offers(step, setting, self.fingers)
            for number, (title, reason) in enumerate(left_out):
                self.block(i, setting, f"{title} {number}", reason)
            self._offers[key] = setting, found
        return self._offers[key][1]

    def _choice(self, i: int, setting: Setting, offer: Offer) -> Choice | None:
        """Return what comes of an offer; made once."""
        key, step = (i, id(setting), offer.title), self.steps[i]
        if key not in self._choices:
            assert isinstance(step, Pick | Place | Move)
            begin = perf_counter()
            maker = Maker(
                fingers=self.fingers,
                seed=self.request.seed,
                near=self.start,
                blocked=lambda reason: self.block(i, setting, offer.title, reason),
            )
            self._choices[key] = setting, maker.made(step, setting, offer)
            self.spent["choices"] += perf_counter() - begin
        return self._choices[key][1]

    def _feasible(self, i: int, setting: Setting) -> bool:
        """Whether quick tests find a way for the steps from number i on, as far as they can be tested."""
        if i == len(self.steps) or self._is_over():
            return i == len(self.steps)
        if not isinstance(self.steps[i], Pick | Place | Move):
            return True
        for offer in self._offered(i, setting):
            choice = self._choice(i, setting, offer)
            if choice and self._feasible(i + 1, choice.end):
                return True
        return False

    def _go(self, i: int, choice: Choice, q: Float, setting: Setting) -> bool:
        """Move to the ways of a choice, nearest first, and do what it says and all steps after it."""
        step = self.steps[i]
        assert isinstance(step, Pick | Place | Move)
        what = f"{step.kind} {choice.object}".strip()
        if choice.move.scene.hold != setting.scene.hold:
            self._add("gripper", f"{what}: open", choice.move)
        robot, mark = choice.move.robot, len(self.done)
        waiting = sorted(choice.ways, key=lambda way: float(robot.distance(q, way.q)))
        for _ in range(_MOVES):
            ready = self._finished(choice, waiting)
            if not ready or self._is_over():
                return False
            moved = self._moved(i, choice.move, q, [_entry(way, lines) for way, lines in ready])
            if not moved.solved or moved.trajectory is None or moved.certificate is None:
                self.block(i, setting, choice.name, f"the way there: {moved.message}")
                if moved.status is not Status.GOAL_IN_COLLISION:
                    return False
                waiting = [way for way in waiting if all(way is not tried for tried, _ in ready)]
                continue
            way, lines = ready[moved.certificate.goal_index]
            waiting = [other for other in waiting if other is not way]
            self._add("move", _THERE[step.kind].format(what), choice.move, plan=moved)
            reached = moved.trajectory.position[-1]
            if self._tail(i, choice, setting, what, lines):
                exit_q = lines[-1].control[-1] if lines else reached
                if self._run(i + 1, exit_q, choice.end):
                    return True
            del self.done[mark:]
        return False

    def _finished(self, choice: Choice, waiting: list[Way]) -> list[tuple[Way, list[LinePath]]]:
        """Return the first few ways whose lines are smooth enough, with these."""
        begin, ready = perf_counter(), []
        for way in waiting:
            if len(ready) == _AT_ONCE:
                break
            lines = []
            for setting, followed in zip((choice.before, choice.after), way.lines, strict=False):
                assert setting is not None
                lines.append(setting.finder.finished(followed))
            if all(line is not None for line in lines):
                ready.append((way, lines))
        self.spent["lines"] += perf_counter() - begin
        return ready

    def _moved(self, i: int, setting: Setting, q: Float, goals: list[Float]) -> Plan:
        """Plan a move from q [dof] to any of these joint positions."""
        begin, step = perf_counter(), self.steps[i]
        limit = min(max(self.left, 1e-3), max(_LEAST_S, self._share * self.request.timeout))
        found = plan(
            setting.bare,
            setting.scene,
            q,
            goals,
            seed=self.request.seed,
            timeout=limit,
            speed=self._speed(setting.held),
            jerk=self.request.jerk,
            constraints=step.constraints if isinstance(step, Move) else (),
        )
        self.spent["moves"] += perf_counter() - begin
        self._cut_short = self._cut_short or found.status in (Status.NO_PATH_FOUND, Status.NOT_CERTIFIED)
        if found.status in _NO_START and not any(one.plan for one, _ in self.done):
            self.unfit = found.status, found.message
        return found

    def _tail(self, i: int, choice: Choice, origin: Setting, what: str, lines: list[LinePath]) -> bool:
        """Certify the lines of a pick or place and note its steps; False if one is refused."""
        if not lines:
            return True
        assert choice.before is not None
        assert choice.after is not None
        step, (first, second) = self.steps[i], lines
        picks = isinstance(step, Pick)
        one = self._certified(choice.before, first)
        if not one.solved:
            self.block(i, origin, choice.name, f"{'going in' if picks else 'lowering'}: {one.message}")
            return False
        self._add("line", f"{what}: {'go in' if picks else 'lower'}", choice.before, plan=one)
        other = self._certified(choice.after, second)
        if not other.solved:
            self.block(i, origin, choice.name, f"{'lifting' if picks else 'going back'}: {other.message}")
            return False
        if picks:
            self._add("gripper", f"{what}: close", choice.before, fingers=choice.after, closing=True)
            self._add("attach", f"{what}: hold", choice.after, object=choice.object)
        else:
            self._add("gripper", f"{what}: open", choice.before, fingers=choice.after)
            self._add("detach", f"{what}: let go", choice.after, object=choice.object)
        self._add("line", f"{what}: {'lift' if picks else 'go back'}", choice.after, plan=other)
        return True

    def _speed(self, held: Sequence[str]) -> float:
        """Return the share of the limits that a motion may use with this in hand."""
        return min(self.request.speed, self.held_speed) if held else self.request.speed

    def _certified(self, setting: Setting, path: LinePath) -> Plan:
        begin = perf_counter()
        request = replace(self.request, speed=self._speed(setting.held))
        found = certified_line(path, setting.finder, setting.certifier, request)
        self.spent["lines"] += perf_counter() - begin
        return replace(found, fingerprint=setting.sums)

    def _primitive(self, i: int, step: Step, q: Float, setting: Setting) -> tuple[Float, Setting] | None:
        """Do a step that leaves no choice; None if it cannot be done."""
        scene, robot = setting.scene, setting.robot
        if isinstance(step, Line):
            found = self._line(step, q, setting)
            if not found.solved or found.trajectory is None:
                self.block(i, setting, "line", found.message)
                return None
            self._add("line", "line", setting, plan=found)
            return found.trajectory.position[-1], setting
        if isinstance(step, Gripper):
            after = setting.changed(replace(scene, hold={**scene.hold, **self._fingers(step, setting, q)}))
            self._add("gripper", f"gripper {step.to}", setting, fingers=after, closing=step.to == "close")
            return q, after
        if isinstance(step, Pause):
            self._add("pause", f"pause {step.seconds:g} s", setting, seconds=step.seconds)
            return q, setting
        if isinstance(step, Attach):
            after = setting.changed(scene.attach(step.object, robot=robot, q=q))
        else:
            assert isinstance(step, Detach)
            after = setting.changed(scene.detach(step.object, robot=robot, q=q))
        self._add(step.kind, f"{step.kind} {step.object}", after, object=step.object)
        return q, after

    def _line(self, step: Line, q: Float, setting: Setting) -> Plan:
        """Plan a line from q [dof]."""
        begin = perf_counter()
        request = replace(self.request, speed=self._speed(setting.held), timeout=max(self.left, 1e-3))
        found = line_from(q, step, setting.finder_at(q), setting.certifier, request)
        self.spent["lines"] += perf_counter() - begin
        return replace(found, fingerprint=setting.sums)

    def _fingers(self, step: Gripper, setting: Setting, q: Float) -> dict[str, float]:
        """Return the gripper's joint values after a gripper step [rad or m]."""
        assert self.fingers is not None
        if isinstance(step.to, float):
            return self.fingers.values(step.to)
        if step.to == "open":
            return joint_values(setting.robot, 0.0)
        width = width_between(self.fingers, setting.scene, setting.tool(q))
        return joint_values(setting.robot, 1.0) if width is None else self.fingers.values(width)

    def _add(
        self,
        kind: str,
        label: str,
        setting: Setting,
        *,
        plan: Plan | None = None,
        object: str = "",
        fingers: Setting | None = None,
        closing: bool = False,
        seconds: float = 0.0,
    ) -> None:
        holds = (fingers or setting).scene.hold
        step = SequenceStep(
            kind=kind,
            label=label,
            plan=plan,
            object=object,
            held=setting.held,
            fingers=dict(holds),
            closing=closing,
            seconds=seconds,
        )
        self.done.append((step, setting))


_THERE = {"pick": "{}: come near", "place": "{}: carry", "move": "move"}


def _entry(way: Way, lines: list[LinePath]) -> Float:
    return lines[0].control[0] if lines else way.q
