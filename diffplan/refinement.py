"""Refinement: covariant descent that pushes a batch of B-spline paths out of collision, then draws them tight.

Each step multiplies the cost gradient by the inverse of a smoothness matrix (CHOMP's metric: Zucker et al., "CHOMP",
IJRR 2013, eq. 10), so that a push at one point bends the whole curve, and takes the length at which the linearised
hinge-squared cost vanishes (a Polyak step), capped. Ends never move. Control points stay within the joint limits,
and with them, by the hull property, the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from diffplan.collision.cpu import CollisionModel, Evaluation, Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Float
from diffplan.keeping import Keeper

if TYPE_CHECKING:  # with torch behind it, which takes a second
    from diffplan.costs.cost import Cost

Slope: TypeAlias = Callable[[Float], tuple[Float, Float]]
"""Maps control points to values [batch] and their gradients."""
_HOPE = 0.7
"""A path is not given up whose cost falls to this share of what it was."""
_SECOND = 3.0
"""How many rad of path length a second is worth where both count: what a tight path covers in one."""


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """How paths are pushed and drawn tight.

    `activation` and `self_activation` [m] are the distances at which obstacles and the arm's own links begin to push,
    `clearance` [m] what a path must keep to count as clear, `self_clearance` [m] the same between the arm's own links,
    at most `self_activation`, `excused` the parts of the curve within which an end with
    less room excuses as much, wholly and partly. A path is looked at in `points_per_control` configurations a control
    point. Pushing takes at most `steps` steps, none longer than `max_step` [rad], and ends once `stop_share` of the
    batch is clear. With `patience`, a path is given up whose least cost was not lowered by 0.3 in so many steps.

    Tightening pulls `tighten_steps` times, at first by the share `pull` of the way to the straight line, pushing each
    pulled path out by `tighten_pushes` steps; a path that is to be pulled by less than `least_pull` is tight. The
    shortest of several may then be pulled `tighten_more` times more (planners/picking.py). With costs of the user, it
    goes `weigh_steps` steps down their slope with `weigh_pushes` pushes each; with the learned value, `hasten_steps`
    down the slope of the duration with `hasten_pushes` each.
    """

    activation: float = 0.03
    self_activation: float = 0.01
    clearance: float = 0.0
    self_clearance: float = 0.0
    excused: tuple[float, float] = (0.03, 0.12)
    steps: int = 60
    max_step: float = 0.1
    stop_share: float = 0.25
    patience: int = 0
    pull: float = 0.5
    tighten_steps: int = 9
    tighten_more: int = 0
    tighten_pushes: int = 2
    least_pull: float = 0.0
    weigh_steps: int = 30
    weigh_pushes: int = 6
    hasten_steps: int = 20
    hasten_pushes: int = 3
    points_per_control: int = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """A refined batch: `control` [batch, n, dof], whether each is `clear`, its least slack [m] and length [rad].

    Slack is clearance less what is wanted; negative where a path is not clear. The user's costs count as length.
    """

    control: Float
    clear: np.ndarray
    slack: Float
    length: Float


@lru_cache(maxsize=16)
def metric_inverse(n: int) -> Float:
    """Return the inverse smoothness matrix [n - 2, n - 2] of the inner control points, greatest diagonal 1."""
    second = np.zeros((n, n - 2))
    for i in range(n - 2):
        second[i : i + 3, i] = (1.0, -2.0, 1.0)
    inverse = np.linalg.inv(second.T @ second)
    return inverse / np.diag(inverse).max()


@lru_cache(maxsize=16)
def _fade(points: int, whole: float, none: float) -> Float:
    """Return weights [points] that fall from 1 in the part `whole` of the curve to 0 beyond the part `none`."""
    return np.clip((none - np.linspace(0.0, 1.0, points)) / (none - whole), 0.0, 1.0)


def covariant_step(cost: Float, slope: Float, longest: float, joints: Float) -> Float:
    """Return the step [batch, n - 2, dof] along the metric's gradient at which the linearised cost vanishes, capped.

    `cost` [batch] is a sum of halved squares, so it vanishes at twice cost over steepness; `slope` is its gradient on
    the inner control points; no joint of a control point moves more than `longest` [rad], joints weighted by `joints`
    (`Robot.metric`).
    """
    slope = slope / joints
    direction = metric_inverse(slope.shape[1] + 2) @ slope
    steepness = (slope * direction).sum(axis=(1, 2))
    step = direction * (2 * cost / (steepness + 1e-12))[:, None, None]
    return step * np.minimum(1.0, longest / (np.abs(step).max(axis=(1, 2), keepdims=True) + 1e-12)) / joints


def lengths(control: Float, joints: Float) -> Float:
    """Return the lengths [batch] in rad of the curves of control points [batch, n, dof]."""
    n = control.shape[1]
    return np.linalg.norm(np.diff(spline.basis(n, 4 * n) @ control, axis=1) * joints, axis=2).sum(axis=1)


class Refiner:
    """Refines batches of paths between the same ends in one scene of the packed obstacles.

    What breaks the constraints of a `keeper` is pushed like what collides, and counts as lacking clearance. After
    `deadline` (`time.perf_counter` seconds) whatever goes on ends with what it has by then.
    """

    def __init__(
        self,
        model: CollisionModel,
        world: Obstacles,
        config: RefineConfig,
        *,
        scene: int = 0,
        costs: Sequence[Cost] = (),
        keeper: Keeper | None = None,
        deadline: float = np.inf,
    ) -> None:
        self.model, self.world, self.config, self.scene, self.costs = model, world, config, scene, tuple(costs)
        self.keeper, self.deadline = keeper or None, deadline

    def with_config(self, config: RefineConfig) -> Refiner:
        """Return a refiner of the same paths by another config."""
        return Refiner(
            self.model,
            self.world,
            config,
            scene=self.scene,
            costs=self.costs,
            keeper=self.keeper,
            deadline=self.deadline,
        )

    def evaluate(self, control: Float, *, gradient: bool = True) -> tuple[Float, Float, Float]:
        """Return cost [batch], gradient on the inner control points [batch, n - 2, dof] and least slack [batch]."""
        c, matrix = self.config, self._basis(control)
        q = matrix @ control
        scenes = np.full(len(q), self.scene)
        result = self.model.evaluate(
            self.world,
            q.astype(np.float32),
            scenes,
            activation=c.activation,
            self_activation=c.self_activation,
            gradient=gradient,
        )
        slack = self._slack(result)
        if self.keeper is None:
            least = slack.min(axis=1)
            if not gradient:
                return np.zeros(len(q)), np.zeros(0), least
            cost = result.cost[:, 1:-1].sum(axis=1).astype(np.float64)
            return cost, matrix[1:-1, 1:-1].T @ result.gradient[:, 1:-1].astype(np.float64), least
        broken, down, room = self._broken(q)
        least = np.minimum(slack, self._excused(room)).min(axis=1)
        if not gradient:
            return np.zeros(len(q)), np.zeros(0), least
        cost = (result.cost + broken)[:, 1:-1].sum(axis=1)
        return cost, matrix[1:-1, 1:-1].T @ (result.gradient + down)[:, 1:-1], least

    def _broken(self, q: Float) -> tuple[Float, Float, Float]:
        """Return half the squares [batch, points] by which q [batch, points, dof] break constraints (m^2), the gradient
        [batch, points, dof], and the room that is left [batch, points] (m).
        """
        assert self.keeper is not None
        excess, slope = self.keeper.look(q.reshape(-1, q.shape[2]))
        hinge = np.maximum(excess, 0.0)
        down = (hinge[..., None] * slope).sum(axis=1).reshape(q.shape)
        return (hinge**2).sum(axis=1).reshape(q.shape[:2]) / 2, down, -excess.max(axis=1).reshape(q.shape[:2])

    def slack_along(self, control: Float) -> Float:
        """Return the slack [batch, points] at equal parameters along the curves of control points [batch, n, dof]."""
        q = (self._basis(control) @ control).astype(np.float32)
        slack = self._slack(self.model.evaluate(self.world, q, np.full(len(q), self.scene), gradient=False))
        if self.keeper is None:
            return slack
        return np.minimum(slack, self._excused(self._broken(q.astype(np.float64))[2]))

    def settled(self, control: Float) -> Float:
        """Return paths [batch, n, dof] with places led into the constraints and fitted anew, ends as they are."""
        if self.keeper is None:
            return control
        n, robot = control.shape[1], self.model.robot
        q = spline.basis(n, 3 * n) @ control
        inside, _ = self.keeper.projected(q.reshape(-1, robot.dof))
        inside = inside.reshape(q.shape)
        inside[:, [0, -1]] = q[:, [0, -1]]
        return np.clip(spline.fit(inside, n), robot.lower, robot.upper)

    def push(self, control: Float) -> Refined:
        """Push paths [batch, n, dof] out of collision; those that are clear, or given up, stop moving."""
        c, robot = self.config, self.model.robot
        control = control.copy()
        least = np.full(len(control), -np.inf)
        costs = np.full((c.steps + 1, len(control)), np.inf)  # the least so far, after each step
        active, done = np.arange(len(control)), 0
        for number in range(c.steps):
            cost, slope, least[active] = self.evaluate(control[active])
            keep = least[active] < 0
            done += len(active) - np.count_nonzero(keep)
            if c.patience:
                costs[number, active] = np.minimum(costs[number - 1, active], cost)
                if number >= c.patience:
                    keep &= costs[number, active] <= _HOPE * costs[number - c.patience, active]
            active = active[keep]
            if done >= c.stop_share * len(control) or len(active) == 0 or self._late:
                break
            step = covariant_step(cost[keep], slope[keep], c.max_step, robot.metric)
            control[active, 1:-1] = np.clip(control[active, 1:-1] - step, robot.lower, robot.upper)
        else:
            *_, least[active] = self.evaluate(control[active], gradient=False)
        return self._result(control, least)

    def wishes(self, control: Float) -> tuple[Float, Float]:
        """Return the user's weighted costs [batch] of paths, and a capped covariant step [batch, n - 2, dof] down."""
        if not self.costs:
            return np.zeros(len(control)), np.zeros_like(control[:, 1:-1])
        value, slope = self._weighted(control)
        return value, covariant_step(value, slope, self.config.max_step, self.model.robot.metric)

    def tighten(self, control: Float) -> Refined:
        """Draw clear paths [batch, n, dof] tight: pull towards the straight line, push out again, keep what is clear.

        Each path keeps its own pull, halved whenever the pulled path cannot be cleared. Where the user has costs,
        paths go down the slope of length and costs instead (`_descend`).
        """
        if self.costs:
            return self._descend(control, self._objective, self.config.weigh_steps, self.config.weigh_pushes)
        c, robot = self.config, self.model.robot
        straight = spline.straight(control[:, 0], control[:, -1], control.shape[1])
        best, length = control.copy(), lengths(control, robot.metric)
        *_, least = self.evaluate(best, gradient=False)
        pull, loose = np.full(len(control), c.pull), np.arange(len(control))
        for _ in range(c.tighten_steps):
            if self._late or len(loose) == 0:
                break
            trial = best[loose]
            trial[:, 1:-1] += pull[loose, None, None] * (straight - best)[loose, 1:-1]
            slack, drawn = self._pushed_out(trial, c.tighten_pushes), lengths(trial, robot.metric)
            better = (slack >= 0) & (drawn < length[loose])
            shorter = loose[better]
            best[shorter], least[shorter], length[shorter] = trial[better], slack[better], drawn[better]
            pull[loose[~better]] /= 2
            loose = loose[pull[loose] >= c.least_pull]
        return self._result(best, least)

    def hasten(self, control: Float, duration: Slope) -> Refined:
        """Lead clear paths [batch, n, dof] down the slope of their duration, and of the user's costs, kept clear.

        `duration` returns times [batch] in s and their gradients [batch, n, dof], such as those of the learned value.
        """
        c = self.config
        return self._descend(control, lambda paths: self.haste(paths, duration), c.hasten_steps, c.hasten_pushes)

    def haste(self, control: Float, duration: Slope) -> tuple[Float, Float]:
        """Return duration plus weighted costs [batch] in rad of path length, and the gradient on the inner points."""
        time, slope = duration(control)
        value, down = self._weighted(control) if self.costs else (0.0, 0.0)
        return _SECOND * time + value, _SECOND * slope[:, 1:-1] + down

    def _descend(self, control: Float, objective: Slope, steps: int, pushes: int) -> Refined:
        """Lead clear paths [batch, n, dof] down the covariant slope of an objective, keeping what is clear.

        Each path keeps its own stride: the farthest that a joint of a control point moves in a step, longer after a
        step that served and half as long after one that did not. After a step a path is pushed out `pushes` times.
        """
        c, robot = self.config, self.model.robot
        best = control.copy()
        *_, least = self.evaluate(best, gradient=False)
        total, slope = objective(best)
        stride = np.full((len(best), 1, 1), c.max_step)
        for _ in range(steps):
            if self._late:
                break
            direction = metric_inverse(best.shape[1]) @ (slope / robot.metric)
            trial = best.copy()
            direction /= np.abs(direction).max(axis=(1, 2), keepdims=True) + 1e-12
            trial[:, 1:-1] -= stride * direction / robot.metric
            trial[:, 1:-1] = np.clip(trial[:, 1:-1], robot.lower, robot.upper)
            slack = self._pushed_out(trial, pushes)
            trial_total, trial_slope = objective(trial)
            better = (slack >= 0) & (trial_total < total)
            best[better], least[better] = trial[better], slack[better]
            total[better], slope[better] = trial_total[better], trial_slope[better]
            stride *= np.where(better, 1.5, 0.5)[:, None, None]
        return self._result(best, least)

    def _pushed_out(self, trial: Float, pushes: int) -> Float:
        """Push paths [batch, n, dof] out by at most so many steps, in place; return their slack [batch] then."""
        robot = self.model.robot
        for _ in range(pushes):
            cost, away, slack = self.evaluate(trial)
            if (slack >= 0).all():
                return slack
            step = covariant_step(cost, away, self.config.max_step, robot.metric) * (slack < 0)[:, None, None]
            trial[:, 1:-1] = np.clip(trial[:, 1:-1] - step, robot.lower, robot.upper)
        return self.evaluate(trial, gradient=False)[2]

    @property
    def _late(self) -> bool:
        return perf_counter() > self.deadline

    def _objective(self, control: Float) -> tuple[Float, Float]:
        """Return length plus weighted costs [batch] in rad, and the gradient on the inner control points."""
        value, slope = self._weighted(control)
        n, joints = control.shape[1], self.model.robot.metric
        edges = np.diff(spline.basis(n, 4 * n), axis=0)
        steps = (edges @ control) * joints
        lengths = np.linalg.norm(steps, axis=2, keepdims=True)
        down = edges[:, 1:-1].T @ (steps / (lengths + 1e-12)) * joints
        return lengths.sum(axis=(1, 2)) + value, down + slope

    def _weighted(self, control: Float) -> tuple[Float, Float]:
        """Return the user's weighted costs [batch] and their gradient on the inner control points.

        Costs are smooth: as many places as `push` looks at are enough for them, however finely collisions are sought.
        """
        from diffplan.costs.cost import weighted_sum

        n = control.shape[1]
        matrix = spline.basis(n, RefineConfig.points_per_control * (n - 1) + 1)
        value, gradient = weighted_sum(self.costs, matrix @ control)
        return value, matrix[:, 1:-1].T @ gradient

    def _slack(self, result: Evaluation) -> Float:
        """Return by how much the clearances [batch, points] exceed what is wanted, ends with less room excused."""
        c = self.config
        return self._excused(np.minimum(result.clearance - c.clearance, result.self_clearance - c.self_clearance))

    def _excused(self, slack: Float) -> Float:
        """Return slack [batch, points] less what the ends lack, near them."""
        fade = _fade(slack.shape[1], *self.config.excused)
        return slack - np.minimum(slack[:, :1], 0.0) * fade - np.minimum(slack[:, -1:], 0.0) * fade[::-1]

    def _basis(self, control: Float) -> Float:
        """Return the matrix [points, n] from control points to the configurations that are looked at."""
        n = control.shape[1]
        return spline.basis(n, self.config.points_per_control * (n - 1) + 1)

    def _result(self, control: Float, least: Float) -> Refined:
        length = self._objective(control)[0] if self.costs else lengths(control, self.model.robot.metric)
        return Refined(control=control, clear=least >= 0, slack=least, length=length)
