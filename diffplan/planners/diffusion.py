"""The diffusion planner: samples of the prior, guided, refined, drawn tight, shortest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import Self

from diffplan.curves import spline
from diffplan.errors import InputError
from diffplan.geometry.pose import Float, Pose
from diffplan.geometry.shapes import Sphere
from diffplan.planners.base import Candidate, Options, Planner
from diffplan.planners.options import configured
from diffplan.planners.picking import nearly_clear, tight
from diffplan.planners.reuse import WARM_START, adapted, bent, colliding_stretch
from diffplan.planners.task import Task
from diffplan.planners.threads import threads
from diffplan.planners.walks import Walks
from diffplan.problem import Problem, Trajectory
from diffplan.refinement import RefineConfig, Refined, Refiner, lengths
from diffplan.robot.model import Robot
from diffplan.scene import Scene

if TYPE_CHECKING:  # all with torch behind it, which takes a second and which the first look does without
    import torch
    from torch import Tensor

    from diffplan.prior.coordinates import Coordinates
    from diffplan.prior.path_prior import PathPrior
    from diffplan.prior.samplers import Denoiser
    from diffplan.prior.value import Value
    from diffplan.prior.wrappers import Inpainted


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """Options of the diffusion planner.

    Each of at most `rounds` rounds samples a batch, twice as large as the last (`batch` to `largest_batch`), of paths
    of `horizon` control points, refines it until a share is clear, tightens the `tighten_best` shortest, and offers
    them. The prior takes `steps` reverse steps with the share `eta` of fresh noise (0: DDIM, 1: DDPM); what the scene
    says is weighed by `weight` (classifier-free guidance, 1: as trained). `seeds`: `prior` samples the trained prior,
    `unconditioned` the same prior blind to the scene, `random` takes smooth random curves instead (the control without
    learning). `threads` are those of torch and the kernel: batches are small, and a second thread waits long beside any
    busy process. `guidance_steps` move the clean estimate inside every reverse step (user costs get one at least).
    `first_look`: before the first round the straight line is pushed clear by a few steps and drawn tight; the path is
    offered if it is at most so many times as long as the straight line to the nearest goal (0: no first look).
    `value` ranks a round's paths by their learned traversal time, and leads the first down its slope; `value_guidance`
    is how strongly it guides inside the reverse process (0: not at all). `repair` has the best failures of a round
    tried again before the next: the stretch that collides is bent by smooth noise, the rest kept. `walkers` leave
    start and goals each before every round but the first (planners/walks.py), before that too where the prior's samples
    are much alike, twice: where they meet are seeds (0: none).
    """

    seeds: str = "prior"
    batch: int = 4
    largest_batch: int = 64
    rounds: int = 1000
    horizon: int = 16
    steps: int = 2
    eta: float = 0.7
    weight: float = 2.0
    guidance_steps: int = 0
    tighten_best: int = 4
    threads: int = 1
    value: bool = False
    value_guidance: float = 0.0
    repair: bool = True
    first_look: float = 1.1
    walkers: int = 16

    def __post_init__(self) -> None:
        if self.seeds not in _SEEDS:
            raise InputError("unknown kind of seeds", key="seeds", value=self.seeds, allowed=_SEEDS)
        for key in ("batch", "largest_batch", "rounds", "horizon", "steps", "tighten_best", "threads"):
            if getattr(self, key) < 1:
                raise InputError("must be positive", key=key, value=getattr(self, key), allowed=">= 1")
        for key, most in (("batch", _LARGEST_BATCH), ("largest_batch", _LARGEST_BATCH), ("threads", _MOST_THREADS)):
            if getattr(self, key) > most:
                raise InputError("too many", key=key, value=getattr(self, key), allowed=f"<= {most}")
        if self.walkers < 0 or self.walkers > _LARGEST_BATCH:
            raise InputError(
                "not a number of walkers", key="walkers", value=self.walkers, allowed=f"0 to {_LARGEST_BATCH}"
            )
        if self.value_guidance < 0:
            raise InputError("negative", key="value_guidance", value=self.value_guidance, allowed=">= 0")
        if self.first_look < 0:
            raise InputError("negative", key="first_look", value=self.first_look, allowed=">= 0")
        if self.horizon < spline.DEGREE + 1:
            raise InputError("too few control points", key="horizon", value=self.horizon, allowed=">= 4")


_LARGEST_BATCH, _MOST_THREADS = 16384, 1024
_SEEDS = ("prior", "unconditioned", "random")
_NARROW = {
    "activation": 0.015,
    "pull": 0.25,
    "tighten_steps": 3,
    "tighten_more": 12,
    "tighten_pushes": 6,
    "least_pull": 1 / 32,
}
"""Obstacles push from near only, so that paths stay short; few samples are drawn tight, but those for long."""
DEMANDS = tuple(
    RefineConfig(clearance=clearance, excused=excused, **_NARROW)
    for clearance, excused in ((0.005, (0.03, 0.12)), (0.002, (0.03, 0.12)), (0.008, (0.02, 0.06)), (0.0, (0.1, 0.3)))
)
"""What successive rounds ask of a path where spheres leave up to 8 mm (`_UNCOVERED`) of the links uncovered: as much or
less, since some places are narrow. Clearances are in proportion for other robots."""
_UNCOVERED = 0.008
_RANDOM_AMPLITUDE = 1.5  # rad
_BEND = 0.5
"""By how much more [rad] each further round bends its samples: where the prior is sure and wrong, variety helps."""
_ALTERNATIVES_SHARE = 0.75
_LOOK_GOALS = 4
"""To so many goals, the nearest, the first look goes."""
_LOOK = {"steps": 40, "patience": 8, "tighten_steps": 6, "tighten_more": 0, "tighten_pushes": 2}
"""How the first look pushes and draws tight: where more would help, samples help more."""
_REPAIRED, _REPAIR_COPIES = 2, 4
_REPAIR_WIDEN = 2  # control points
_REPAIR_AMPLITUDE = (0.5, 1.5)  # rad
_WAVES, _WALKED = 2, 3
"""How often walks are tried before samples that are much alike, and how many of their pairs become seeds at most."""
_PUSHES = (2, 3)
"""How often the walks' steps are pushed at most, the very first time and later: two are quicker, three get farther."""
_WALKED_DEMAND, _WALKED_ACTIVATION = 1, 0.015  # which of `DEMANDS`; m
_APART = 0.9
"""How far own links can be asked to keep apart at most, over the distance at which they begin to push each other."""
_warm: set[tuple[str, DiffusionConfig, str]] = set()  # robots, by fingerprints, options, and what ran in this process


class DiffusionPlanner(Planner):
    """Diffuser's planning (Janner et al., 2022) on B-splines: inpainted ends, cost guidance, batch and pick."""

    name = "diffusion"
    weighs_costs = True
    reuses_plans = True
    keeps_constraints = True
    helper = "rrtconnect"

    def __init__(
        self,
        config: DiffusionConfig | None = None,
        *,
        demands: Sequence[RefineConfig] = DEMANDS,
        prior: PathPrior | None = None,
        value: Value | None = None,
    ) -> None:
        """Plan with these options.

        Args:
            config: the options.
            demands: what is asked of a path in one round after the other, again from the first after the last.
            prior: the prior, instead of the one that is shipped for the robot.
            value: the learned value, likewise.
        """
        self.config = config or DiffusionConfig()
        self._demands, self._prior, self._value = demands, prior, value
        self._priors: dict[str, PathPrior] = {}  # by the robot's fingerprint
        self._values: dict[str, Value] = {}

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Return the planner with options of `DiffusionConfig`.

        Raises:
            InputError: for an unknown option, or a value of the wrong type.
        """
        return cls(configured(DiffusionConfig(), options, cls.name))

    def prior(self, robot: Robot) -> PathPrior:
        """Return the prior for a robot, loaded when this planner first asks for it.

        Raises:
            InputError: if there is none, or its file is wrong.
        """
        if self._prior is not None:
            return self._prior
        if robot.fingerprint not in self._priors:
            from diffplan.prior.choice import kept_prior, prior_file
            from diffplan.prior.unet import chosen_products

            self._priors[robot.fingerprint] = kept_prior(prior_file(robot), chosen_products())
        return self._priors[robot.fingerprint]

    def value(self, robot: Robot) -> Value:
        """Return the learned value for a robot, loaded when this planner first asks for it.

        Raises:
            InputError: if there is none, or its file is wrong.
        """
        if self._value is not None:
            return self._value
        if robot.fingerprint not in self._values:
            from diffplan.prior.value import kept_value, value_file

            self._values[robot.fingerprint] = kept_value(value_file(robot))
        return self._values[robot.fingerprint]

    def prepare_look(self, task: Task) -> None:
        """Run the compiled code once a process."""
        self._warm_up(task.problem.robot, "look")

    def look(self, task: Task) -> Iterator[Candidate]:
        """Yield what the first look finds; nothing where an earlier motion comes before it."""
        return iter(() if task.previous is not None else self._at_first_look(task))

    def prepare(self, task: Task) -> None:
        """Load the prior and, once a process, the compiled code."""
        robot = task.problem.robot
        if self.config.seeds != "random":
            prior = self.prior(robot)
            prior.check(robot)
            if self.config.horizon % prior.multiple:
                allowed = f"multiples of {prior.multiple}"
                raise InputError("does not fit the prior", key="horizon", value=self.config.horizon, allowed=allowed)
        if self.config.value or self.config.value_guidance > 0:
            self.value(robot).check(robot)
        self._warm_up(robot, "candidates")
        if self.config.seeds == "prior":
            from diffplan.prior.tokens import SceneTokens

            SceneTokens.describe(task.world)

    def remarks(self, task: Task) -> tuple[str, ...]:
        """Return where the task is far from what the prior was trained on, if it tells."""
        if self.config.seeds == "random":
            return ()
        problem = task.problem
        nearest = problem.goals[int(np.argmin(problem.robot.distance(problem.start, problem.goals)))]
        return self.prior(problem.robot).remarks(task.model, task.world, problem.start, nearest)

    def candidates(self, task: Task) -> Iterator[Candidate]:
        """Yield what the first look finds and then, of each round, the shortest clear paths and those almost clear."""
        yield from self.look(task)
        yield from self.after_look(task)

    def after_look(self, task: Task) -> Iterator[Candidate]:
        """Yield the same without what `look` does; an earlier motion comes before that."""
        import torch

        c, problem, deadline = self.config, task.problem, task.deadline
        generator = torch.Generator().manual_seed(task.seed)
        if task.previous is not None:
            yield from self._reused(task, task.previous, self._refiner(task, 0), generator)
            yield from self._at_first_look(task)
        batch, apart, first_walks = c.batch, False, _WAVES if self._walks_first(task) else 0
        for number in range(c.rounds):
            if time.perf_counter() > deadline:
                return
            for wave in range((first_walks or min(number, 1)) if c.walkers else 0):
                for control, goal_of in self._walked(task, number, wave):
                    for asked in (False, True):
                        if asked and not apart:
                            break
                        found = self._along_walks(task, control, goal_of, asked)
                        yield from (replace(candidate, round=number + 1) for candidate in found)
                        apart = apart or _too_close(task, found)
            refiner = self._refiner(task, number, apart and number % 2 == 1)
            goal_of = self.share_out(problem, batch)
            with threads(c.threads):
                control = self.sample(problem, refiner, problem.goals[goal_of], generator)
                if number > 0:
                    amplitude = min(number * _BEND, _RANDOM_AMPLITUDE)
                    control = bent(control, problem.robot, generator, (0.0, amplitude))
                pushed = refiner.push(refiner.settled(control))
                found = self._tight(task, refiner, pushed, goal_of, self._source)
                found += nearly_clear(pushed, goal_of, source=self._source, uncovered=problem.robot.spheres.uncovered)
            yield from (replace(candidate, round=number + 1) for candidate in found)
            if not apart and _too_close(task, found):
                apart, refiner = True, self._refiner(task, number, True)
            if c.repair and time.perf_counter() < deadline:
                found = self._repaired(task, refiner, pushed, goal_of, generator)
                yield from (replace(candidate, round=number + 1) for candidate in found)
            batch = min(2 * batch, c.largest_batch)

    def _refiner(self, task: Task, number: int, apart: bool = False) -> Refiner:
        """Return the refiner of round `number`; alternatives want more than the paths that are clear soonest.

        If own links are to keep `apart`, then by what spheres leave uncovered, in rounds that ask for clearance.
        """
        config = self._demands[number % len(self._demands)]
        if apart and config.clearance > 0:
            own = min(task.problem.robot.spheres.uncovered, _APART * config.self_activation)
            config = replace(config, self_clearance=own)
        if self._demands is DEMANDS:
            share = task.problem.robot.spheres.uncovered / _UNCOVERED
            config = replace(config, clearance=config.clearance * share)
        if task.alternatives:
            config = replace(config, stop_share=_ALTERNATIVES_SHARE)
        return Refiner(
            task.model, task.world, config, costs=task.problem.costs, keeper=task.keeper, deadline=task.deadline
        )

    def _at_first_look(self, task: Task) -> list[Candidate]:
        """Return straight lines pushed clear and drawn tight, those that are about as short as a path can be.

        Nothing where more is asked than a short path (other ways, the user's costs, the learned value), or where the
        control without learning or without a scene is asked for.
        """
        c, problem = self.config, task.problem
        if not c.first_look or not self._wants_short_path(task):
            return []
        if time.perf_counter() > task.deadline:
            return []
        away = problem.robot.distance(problem.start, problem.goals)
        nearest = np.argsort(away, kind="stable")[:_LOOK_GOALS]
        refiner = self._refiner(task, 0)
        refiner = refiner.with_config(replace(refiner.config, **_LOOK))
        with threads(c.threads):
            straight = spline.straight(problem.start, problem.goals[nearest], c.horizon)
            pushed = refiner.push(refiner.settled(straight))
            found = self._tight(task, refiner, pushed, nearest, self._source)
        most = c.first_look * away.min()
        return [some for some in found if lengths(some.control[None], problem.robot.metric)[0] <= most]

    def _wants_short_path(self, task: Task) -> bool:
        """Whether no more is asked than one short path by the prior: neither the user's costs nor learned values."""
        c = self.config
        return c.seeds == "prior" and not (task.alternatives or task.problem.costs or c.value or c.value_guidance)

    def _walks_first(self, task: Task) -> bool:
        """Whether walks come before the first samples: where those are much alike (`PathPrior.variety`)."""
        return self._wants_short_path(task) and not task.keeper and self.prior(task.problem.robot).variety > 0

    def _reused(
        self, task: Task, previous: Trajectory, refiner: Refiner, generator: torch.Generator
    ) -> Iterator[Candidate]:
        """Yield an earlier motion adapted to the new ends and refined; then repaired where it still collides."""
        control, goal = adapted(previous, task.problem, self.config.horizon)
        goal_of = np.array([goal])
        with threads(self.config.threads):
            pushed = refiner.push(refiner.settled(control[None]))
            found = self._tight(task, refiner, pushed, goal_of, WARM_START)
        yield from found
        yield from self._repaired(task, refiner, pushed, goal_of, generator)

    def _repaired(
        self, task: Task, refiner: Refiner, pushed: Refined, goal_of: np.ndarray, generator: torch.Generator
    ) -> list[Candidate]:
        """Return candidates from the paths nearest to clear: the stretch that collides is bent, the rest is kept."""
        bad = np.flatnonzero(~pushed.clear)
        if len(bad) == 0:
            return []
        nearest = bad[np.argsort(-pushed.slack[bad], kind="stable")][:_REPAIRED]
        chosen = np.resize(nearest, _REPAIRED * _REPAIR_COPIES)
        control = pushed.control[chosen]
        stretch = colliding_stretch(refiner, control, _REPAIR_WIDEN)
        with threads(self.config.threads):
            control = bent(control, task.problem.robot, generator, _REPAIR_AMPLITUDE, stretch)
            return self._tight(task, refiner, refiner.push(refiner.settled(control)), goal_of[chosen], "repair")

    def _walked(self, task: Task, number: int, wave: int) -> Iterator[tuple[Float, np.ndarray]]:
        """Yield control points [1, n, dof] along walks out of both ends, and their goal; none once time is up.

        Such a path is longer than samples are, so it has half as many control points again.
        """
        with threads(self.config.threads):
            goal_of, seed = self.share_out(task.problem, self.config.walkers), (task.seed, number, wave)
            walks = Walks(task, goal_of, seed, pushes=_PUSHES[min(number + wave, 1)])
            if not walks.go_on() and time.perf_counter() > task.deadline:
                return
        yield from islice(walks.seeds(self.config.horizon * 3 // 2), _WALKED)

    def _along_walks(self, task: Task, control: Float, goal_of: np.ndarray, apart: bool) -> list[Candidate]:
        """Return candidates from walks [m, n, dof], which are clear or nearly so, but narrowly.

        So obstacles push them from nearer than they push samples.
        """
        if time.perf_counter() > task.deadline:
            return []
        refiner = self._refiner(task, _WALKED_DEMAND, apart)
        near = replace(refiner.config, activation=_WALKED_ACTIVATION)
        refiner = Refiner(task.model, task.world, near, costs=task.problem.costs, deadline=task.deadline)
        with threads(self.config.threads):
            return self._tight(task, refiner, refiner.push(control), goal_of, "walks")

    def _tight(
        self, task: Task, refiner: Refiner, pushed: Refined, goal_of: np.ndarray, source: str
    ) -> list[Candidate]:
        value = self.value(task.problem.robot) if self.config.value else None
        best, different = self.config.tighten_best, task.alternatives > 0
        return tight(refiner, pushed, goal_of, most=best, source=source, different=different, value=value)

    def share_out(self, problem: Problem, batch: int) -> np.ndarray:
        """Return which goal each sample of the batch aims at: all in turn, nearest first."""
        nearest = np.argsort(problem.robot.distance(problem.start, problem.goals), kind="stable")
        return nearest[np.arange(batch) % len(nearest)]

    def sample(
        self,
        problem: Problem,
        refiner: Refiner,
        goals: Float,
        generator: torch.Generator,
        *,
        watch: Callable[[Float], None] | None = None,
    ) -> Float:
        """Return control points [batch, K, dof] towards goals [batch, dof].

        `watch` is shown the prior's clean estimate [batch, K, dof] of every reverse step, guided if guidance is on.
        """
        c, robot = self.config, problem.robot
        if c.seeds == "random":
            return bent(spline.straight(problem.start, goals, c.horizon), robot, generator, (0.0, _RANDOM_AMPLITUDE))
        import torch

        from diffplan.prior.samplers import ddim

        noise = torch.randn((len(goals), c.horizon, robot.dof), generator=generator)
        schedule = self.prior(robot).schedule
        coordinates = self._coordinates(problem, refiner, goals)
        denoiser = self._denoiser(problem, refiner, coordinates)

        def watched(x_t: Tensor, t: Tensor) -> Tensor:
            x0 = denoiser(x_t, t)
            if watch is not None:
                watch(coordinates.paths(x0))
            return x0

        x0 = ddim(watched, noise, schedule, schedule.times(c.steps), eta=c.eta, generator=generator)
        control, variety = coordinates.paths(x0), self.prior(robot).variety
        return bent(control, robot, generator, (0.0, variety)) if variety > 0 else control

    def _coordinates(self, problem: Problem, refiner: Refiner, goals: Float) -> Coordinates:
        """Return what the prior diffuses for paths from the start to goals [batch, dof]."""
        prior = self.prior(problem.robot)
        return prior.coordinates(refiner.model, problem.start, goals, self.config.horizon)

    def _denoiser(self, problem: Problem, refiner: Refiner, coordinates: Coordinates) -> Inpainted:
        """Return the guided prior between the ends."""
        from diffplan.prior.guidance import GuidanceConfig, Guided, ValueGuided
        from diffplan.prior.wrappers import Inpainted

        c, prior = self.config, self.prior(problem.robot)
        denoiser = prior.denoiser(refiner.model, refiner.world, coordinates, sees=c.seeds == "prior", weight=c.weight)
        steps = max(c.guidance_steps, 1 if problem.costs else 0)
        config = GuidanceConfig(steps=steps)
        guided: Denoiser = Guided(denoiser, refiner, prior.schedule, config, coordinates, denoiser)
        if c.value_guidance > 0:
            value = self.value(problem.robot)
            guided = ValueGuided(guided, value, prior.schedule, coordinates, denoiser, scale=c.value_guidance)
        return Inpainted(guided, *coordinates.ends)

    def _warm_up(self, robot: Robot, part: str) -> None:
        """Run every compiled function of `look` or `candidates` once a process, lest loading it counts as planning."""
        if (robot.fingerprint, self.config, part) in _warm:
            return
        scene = Scene(obstacles=(Sphere(name="far", radius=0.1, pose=Pose(xyz=(0.0, 0.0, 3.0))),))
        middle = (robot.lower + robot.upper) / 2
        problem = Problem(robot=robot, scene=scene, start=middle, goals=middle[None] + 0.1)
        short = replace(self.config, batch=2, rounds=1)
        planner = DiffusionPlanner(short, prior=self._prior, value=self._value)
        task = Task.of(problem)
        for _ in planner.look(task) if part == "look" else planner.candidates(task):
            pass
        if part == "candidates" and self.config.walkers:
            Walks(task, np.zeros(1, dtype=np.int64), (0,)).warm_up()
        _warm.add((robot.fingerprint, self.config, part))

    @property
    def _source(self) -> str:
        return "random-seeds" if self.config.seeds == "random" else self.name


def _too_close(task: Task, refused: list[Candidate]) -> bool:
    """Whether own links may touch on one of these paths, for what their spheres leave uncovered."""
    if task.alternatives:
        return False
    own = task.problem.robot.spheres.uncovered
    for path in refused:
        q = spline.basis(len(path.control), 4 * len(path.control)) @ path.control
        if task.model.clearance(task.world, q, cap=own)[1].min() < own:
            return True
    return False
