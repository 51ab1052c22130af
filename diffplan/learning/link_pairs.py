"""Which pairs of links can touch, truly and in the sphere model: found by sampling configurations.

PyBullet is asked only where spheres come close and it is not plain that links touch: links keep at least the gap of
their spheres less what those leave uncovered, and touch where balls that lie within them overlap.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from diffplan.certificate.pairs import SIGHT_M, pair_distances
from diffplan.geometry.pose import Float
from diffplan.geometry.sphere_fit import SphereFit
from diffplan.learning.sphere_contacts import Balls
from diffplan.robot.link_solid import LinkSolid
from diffplan.robot.model import Robot

ALWAYS_SHARE, NEVER_DISTANCE = 0.98, 0.002
_UNCLEAR_SHARE = 0.5
_FIRST, _KNOWN = 4000, (0.01, 0.96)
_ROOM = 0.002
"""What is added to the reach of PyBullet's questions [m]: its margin, and what lies between samples of surfaces.

Balls within links overlap by as much where PyBullet is not asked.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairContacts:
    """Two links in the configurations that were looked at [n]: whether they touch, and whether their spheres do.

    `least_distance` [m] is up to `SIGHT_M`.
    """

    links: tuple[str, str]
    touching: np.ndarray
    spheres_touching: np.ndarray
    least_distance: float

    @property
    def touching_share(self) -> float:
        """Share of the configurations in which they touch."""
        return float(self.touching.mean())

    @property
    def false_share(self) -> float:
        """Share of the configurations in which their spheres touch and they do not."""
        return float((self.spheres_touching & ~self.touching).mean())

    @property
    def ignored(self) -> str | None:
        """Why planning need not check the pair, None if it must (see `ignored_pairs`)."""
        if self.touching_share > ALWAYS_SHARE:
            return "always"
        if self.least_distance > NEVER_DISTANCE:
            return "never"
        return "unclear" if self.false_share > _UNCLEAR_SHARE * (1 - self.touching_share) else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Configurations q [n, dof] of an arm that holds its held joints somewhere, and what was found in them."""

    robot: Robot
    q: Float
    distance: list[Float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contacts:
    """Which pairs touch: of each pair the first configurations of every sample were looked at, as many as needed."""

    samples: list[Sample]
    pairs: list[PairContacts]

    @property
    def false_share(self) -> float:
        """Share of the configurations in which spheres of links touch and no links do, as planning would see it.

        Counted are those in which all pairs were looked at.
        """
        counted = [p for p, pair in enumerate(self.pairs) if pair.ignored is None]
        links, spheres = np.zeros((2, sum(min(len(sample.q), _FIRST) for sample in self.samples)), dtype=bool)
        for p in counted:
            links |= self._first(p, self.pairs[p].touching)
            spheres |= self._first(p, self.pairs[p].spheres_touching)
        return float((spheres & ~links).mean())

    def _first(self, p: int, found: np.ndarray) -> np.ndarray:
        """Return what was found of a pair in the first configurations of each sample, in which all were looked at."""
        ends = np.cumsum([len(sample.distance[p]) for sample in self.samples])[:-1]
        return np.concatenate([some[:_FIRST] for some in np.split(found, ends)])

    def with_spheres(self, spheres: Mapping[str, SphereFit], changed: Container[str] | None = None) -> Contacts:
        """Return the same with other spheres of the links that are `changed` (None: all)."""
        own = [p for p, pair in enumerate(self.pairs) if changed is None or any(link in changed for link in pair.links)]
        balls, found = _balls(spheres), list(self.pairs)
        touching = [self._touching(sample, balls, own) for sample in self.samples]
        for k, p in enumerate(own):
            found[p] = replace(found[p], spheres_touching=np.concatenate([touch[k] for touch in touching]))
        return replace(self, pairs=found)

    def _touching(self, sample: Sample, balls: Balls, own: Sequence[int]) -> list[np.ndarray]:
        """Return for some pairs in which configurations of a sample their spheres touch, as many as were looked at."""
        names = [self.pairs[p].links for p in own]
        rare = [k for k, p in enumerate(own) if len(sample.distance[p]) > _FIRST]
        first = balls.near(sample.robot, sample.q[:_FIRST], names, 0.0)
        rest = balls.near(sample.robot, sample.q[_FIRST:], [names[k] for k in rare], 0.0)
        found = list(first.T)
        for n, k in enumerate(rare):
            found[k] = np.concatenate([found[k], rest[:, n]])
        return found

    def falsely(self, spheres: Mapping[str, SphereFit], pairs: Sequence[tuple[str, str]]) -> dict[str, Float]:
        """Return for each sphere [s] of the links the share of configurations in which it touches falsely.

        Only these pairs count.
        """
        balls, names = _balls(spheres), [pair.links for pair in self.pairs]
        chosen, counts, looked = [names.index(pair) for pair in pairs], np.zeros(len(balls.radius)), 0
        for sample in self.samples:
            of = np.zeros((len(sample.q), len(chosen)), dtype=bool)
            for k, p in enumerate(chosen):
                of[: len(sample.distance[p]), k] = sample.distance[p] > 0
            counts += balls.touching(sample.robot, sample.q, pairs, of)
            looked += min(len(sample.distance[p]) for p in chosen)
        return {link: counts[balls.first[i] : balls.first[i + 1]] / looked for i, link in enumerate(balls.links)}


def sample_contacts(robot: Robot, spheres: Mapping[str, SphereFit], samples: int, seed: int = 0) -> Contacts:
    """Look which links touch that a planning joint moves against each other and that are not adjacent.

    Configurations are uniform within the joint limits, the held joints at either of their limits (at 0 and half a turn
    where they have none), so many for each. Pairs that touch often are looked at in the first 4000 only.
    """
    pairs = [pair for pair in combinations(robot.links, 2) if not adjacent(robot, *pair)]
    balls, inner, rng = _balls(spheres), _inner(robot, spheres), np.random.default_rng(seed)
    reach = np.array([SIGHT_M + _ROOM + sum(spheres[link].uncovered for link in pair) for pair in pairs])
    found = []
    for values in _held(robot):
        held, q = robot.with_held(values), rng.uniform(robot.lower, robot.upper, (samples, robot.dof))
        touching = inner.near(held, q, pairs, -_ROOM)
        unclear = balls.near(held, q, pairs, reach) & ~touching
        with pair_distances(held) as distances:
            first = distances.at(q[:_FIRST], pairs, unclear[:_FIRST])
            first[touching[:_FIRST]] = 0.0
            share = (first <= 0).mean(axis=0)
            rare = (share < _KNOWN[0]) | (share > _KNOWN[1])
            rest = distances.at(q[_FIRST:], pairs, unclear[_FIRST:] & rare)
            rest[touching[_FIRST:]] = 0.0
        distance = [np.concatenate([first[:, p], rest[:, p]]) if rare[p] else first[:, p] for p in range(len(pairs))]
        found.append(Sample(robot=held, q=q, distance=distance))
    distances = [np.concatenate([sample.distance[p] for sample in found]) for p in range(len(pairs))]
    contacts = [
        PairContacts(
            links=pair,
            touching=distance <= 0,
            spheres_touching=np.zeros(len(distance), dtype=bool),
            least_distance=float(distance.min(initial=SIGHT_M)),
        )
        for pair, distance in zip(pairs, distances, strict=True)
    ]
    return Contacts(samples=found, pairs=contacts).with_spheres(spheres)


def ignored_pairs(robot: Robot, contacts: Contacts) -> dict[tuple[str, str], str]:
    """Return the link pairs that planning need not check, with the reason: adjacent, always, never or unclear.

    *adjacent*: neighbours in the kinematic tree, or carried by the same body, so that no planning joint moves them
    against each other. *always*: touching in nearly all sampled configurations. *never*: farther than 2 mm apart in all
    of them. *unclear*: of the configurations in which they are apart, their spheres touch in more than half, however
    fine, so that planners would find hardly a free one. The certificate still checks pairs that never touch or are
    unclear.
    """
    ignored = {pair: "adjacent" for pair in combinations(robot.links, 2) if adjacent(robot, *pair)}
    return ignored | {pair.links: pair.ignored for pair in contacts.pairs if pair.ignored is not None}


def adjacent(robot: Robot, one: str, other: str) -> bool:
    """Return whether two links are neighbours in the kinematic tree, or carried by the same body."""
    placement = robot.chain.placement
    same_body = placement[one][0] == placement[other][0]
    return same_body or _carrier(robot, one) == other or _carrier(robot, other) == one


def _balls(spheres: Mapping[str, SphereFit]) -> Balls:
    return Balls.of({link: (fit.centre, fit.radius) for link, fit in spheres.items()})


def _inner(robot: Robot, spheres: Mapping[str, SphereFit]) -> Balls:
    """Return balls that lie within the links, about the centres of their spheres: where they overlap, links touch."""
    found = {}
    for link, fit in spheres.items():
        depth = LinkSolid.from_shapes(robot.model.collisions[link]).solid.within_parts(fit.centre)
        found[link] = (fit.centre, np.where(depth > 0, depth, -np.inf))  # those outside of it overlap nothing
    return Balls.of(found)


def _held(robot: Robot) -> list[dict[str, float]]:
    """Return where held joints stand at both ends of what they may do; those without limits that do not turn stay."""
    ends = {}
    for name, stands in robot.held_joints.items():
        joint = robot.model.joints[name]
        if joint.mimic is None:
            turns = (0.0, np.pi) if joint.kind == "continuous" else (stands, stands)
            ends[name] = (joint.lower, joint.upper) if joint.limited else turns
    return [{name: values[i] for name, values in ends.items()} for i in (0, 1)] if ends else [{}]


def _carrier(robot: Robot, link: str) -> str | None:
    """Return the nearest link with geometry on the way to the base."""
    parents = [joint.parent for joint in reversed(robot.model.chain(link))]
    return next((parent for parent in parents if robot.model.collisions[parent]), None)
