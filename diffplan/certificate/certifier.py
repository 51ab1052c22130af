"""The one independent judge of every plan: PyBullet's distances on real collision meshes, along the whole path.

`bisection` decides where to look, `motion_bound` bounds how far links move between two looks, `limits` checks the
samples themselves. Nothing here knows the planner's sphere model.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from diffplan import arguments
from diffplan.certificate import limits, moves, planes
from diffplan.certificate.bisection import SIGHT, TOUCH, Measure, Sweep, bisect
from diffplan.certificate.bounding import Bounds, Boxes, Hulls, PathBounds
from diffplan.certificate.bullet import bullet
from diffplan.certificate.constraint_bounds import broken, kept_bounds
from diffplan.certificate.interpolation import swerve
from diffplan.certificate.least import refine
from diffplan.certificate.leaving import Leaving, leaving
from diffplan.certificate.motion_bound import body_poses, farthest, kept_cover, length, travel
from diffplan.certificate.overlap import Parts, depth
from diffplan.certificate.pair_table import Pairs, allowed_depths
from diffplan.certificate.reach import FAR, judged
from diffplan.certificate.solid import Solid
from diffplan.certificate.world import WHOLE, Stage, content_of, in_base_frame
from diffplan.constraints.kinds import Constraint
from diffplan.curves import hermite
from diffplan.errors import InputError
from diffplan.geometry.pose import Float
from diffplan.problem import Certificate, Closest, Exempt, Trajectory, holding
from diffplan.robot.model import Robot
from diffplan.scene import Scene, bodies
from diffplan.system.exclusive import exclusive

MOUNT_DEPTH = 0.005
"""How deep [m] a link that cannot move may stand in an obstacle: a robot touches what it is mounted on."""
_NEAR = 0.03
_AT_ONCE = 8  # pairs that are measured before it is asked whether others can be nearer
_MEANT = 2  # the group of pairs that may touch, beside those with obstacles (0) and between links (1)
_METHOD = (
    "adaptive bisection by motion bounds (Schwarzer, Saha, Latombe 2005) on the linear interpolation, "
    "with room for the cubic one"
)


@dataclass(frozen=True, kw_only=True)
class ConfigurationCheck:
    """Least clearances of one configuration [m]: `link` to `obstacle`, and between `self_links`.

    Infinite (and names empty) where there is nothing within 0.25 m; negative where bodies overlap. Links that no joint
    moves are left out unless they stand deeper than 5 mm in an obstacle, and so are contacts that the scene allows, but
    where they are deeper than that: then `allowed_m` and `self_allowed_m` tell the allowed depth.
    """

    clearance_m: float
    link: str
    obstacle: str
    self_clearance_m: float
    self_links: tuple[str, str]
    allowed_m: float = 0.0
    self_allowed_m: float = 0.0

    @property
    def free(self) -> bool:
        """Whether nothing touches."""
        return not self.contact

    @property
    def contact(self) -> str:
        """What touches, in words; empty if nothing does."""
        if self.clearance_m <= TOUCH:
            return _contact(self.link, self.obstacle, self.clearance_m, self.allowed_m)
        if self.self_clearance_m <= TOUCH:
            return _contact(*self.self_links, self.self_clearance_m, self.self_allowed_m)
        return ""


class Certifier:
    """Checks configurations and trajectories of one robot in one scene, in a PyBullet client of its own.

    A context manager; good for any number of candidates, until it is closed; threads that share it take turns. Pairs
    are numbered: first the links that can move times the obstacles, link by link, then `robot.certified_pairs`. The
    robot holds what the scene says (`attached`), each object with its real shape. `sums` are the digests of the mesh
    files (robot's and obstacles') that it judges, of the content that they had then.

    Raises:
        InputError: if a file of the robot or the scene cannot be read, a hollow mesh is not closed, or the scene holds
            or allows what is not there.
    """

    @exclusive
    def __init__(self, robot: Robot, scene: Scene) -> None:
        """Set the scene up in a client."""
        robot = arguments.instance(robot, Robot, "robot", allowed="a Robot (Robot.load gives one)")
        self.scene = arguments.instance(scene, Scene, "scene", allowed="a Scene (Scene.load gives one)")
        self.robot = robot = holding(robot, scene)
        planes.load_compiled()
        moves.load_compiled()
        content, self.sums = content_of(robot)
        self._cover = kept_cover(robot, content)
        self._pairs = Pairs.of(robot, scene, self._cover)
        self._depths = allowed_depths(scene)
        self._column = {obstacle.name: i for i, obstacle in enumerate(scene.obstacles)}
        near = judged(in_base_frame(scene), robot, self._cover)  # all of this client stands in the base frame
        parts = (shape for obstacle in near.obstacles for body in bodies(obstacle) for shape in body.shapes)
        self._solids = [Solid.of(shape) for shape in parts if shape.hollow]
        self._bounds = Bounds(
            robot=robot,
            body=self._cover.body,
            hulls=Hulls.of(robot, content),
            pairs=self._pairs,
            boxes=Boxes.of(near),
        )
        self._stage: Stage | None = Stage.enter(robot, content)
        self._client, self._body = self._stage.client, self._stage.body
        try:
            self._bodies = self._stage.put(near.obstacles, self.sums)
            self._hulls = self._put_hulls(self._stage)
            self._found_ends: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
            self._rounded = self._pairs.rounded(near)
            self._shapes = self._exempt_shapes(near)
            self._stage.check_kinematics()
            self._mount = self._deep_mount()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Certifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @exclusive
    def close(self) -> None:
        """Give the PyBullet client back."""
        if self._stage:
            self._stage.leave()
            self._stage = None

    @exclusive
    def check(self, q: Float) -> ConfigurationCheck:
        """Measure one configuration q [dof].

        Raises:
            InputError: if q is not `dof` finite numbers, or the certifier is closed.
        """
        self._expect_open()
        q = self._finite("q", q)
        names, split, allowed = self._pairs.names, self._pairs.with_obstacles, self._pairs.allowed
        clearance = self._least_ones(q)
        clearance[(allowed > 0) & (clearance + allowed > TOUCH)] = np.inf
        least: list[tuple[str, str, float, float]] = []
        for first, part in ((0, clearance[:split]), (split, clearance[split:])):
            if not np.isfinite(part).any():
                least.append(("", "", np.inf, 0.0))
                continue
            pair = int(np.argmin(part))
            least.append((*names[first + pair], float(part[pair]), float(allowed[first + pair])))
        hidden = self._hidden(q)
        link, obstacle, distance, allowed_m = (*hidden, 0.0) if hidden else least[0]
        return ConfigurationCheck(
            clearance_m=distance,
            link=link,
            obstacle=obstacle,
            self_clearance_m=least[1][2],
            self_links=least[1][:2],
            allowed_m=allowed_m,
            self_allowed_m=least[1][3],
        )

    @exclusive
    def clearance(self, q: Float) -> float:
        """Return the least clearance of moving links from the obstacles at q [dof], in m; infinite without obstacles.

        From a hollow mesh farther than 3 cm it is a lower bound. Pairs that may touch are left out.

        Raises:
            InputError: if q is not `dof` finite numbers, or the certifier is closed.
        """
        self._expect_open()
        q = self._finite("q", q)
        pairs = np.flatnonzero(self._pairs.allowed[: self._pairs.with_obstacles] == 0)
        near = float(self._measure(q, pairs, SIGHT).min(initial=np.inf))
        return near if np.isfinite(near) else float(self._measure(q, pairs, FAR).min(initial=np.inf))

    @exclusive
    def touching(self, q: Float) -> dict[tuple[str, str], float]:
        """Return the pairs in contact at q [dof] with their clearances [m]: link and obstacle, or two links.

        Of pairs that may touch those that do so deeper than allowed, and by how much.

        Raises:
            InputError: if q is not `dof` finite numbers, or the certifier is closed.
        """
        self._expect_open()
        q = self._finite("q", q)
        pairs = np.flatnonzero(self._low(q[None], TOUCH)[0] <= TOUCH)
        clearance = self._judged(q, pairs, SIGHT)
        close = clearance <= TOUCH
        return {
            self._pairs.names[pair]: float(least) for pair, least in zip(pairs[close], clearance[close], strict=True)
        }

    @exclusive
    def clearances(self, q: Float, pairs: Collection[tuple[str, str]]) -> Float:
        """Return the clearances [pairs] of pairs of bodies at q [dof] in m, named as `touching` does; 0.25 if more.

        Raises:
            InputError: if q is not `dof` finite numbers, or the certifier is closed.
        """
        self._expect_open()
        numbers = np.array([self._pairs.names.index(pair) for pair in pairs])
        order = np.argsort(numbers)
        clearance = np.empty(len(numbers))
        clearance[order] = self._judged(self._finite("q", q), numbers[order], SIGHT)
        return np.minimum(clearance, SIGHT)

    @exclusive
    def certify(
        self,
        trajectory: Trajectory,
        *,
        start: Float,
        goals: Float,
        start_tolerance: float = 0.0,
        start_contact_m: float = 0.0,
        constraints: Sequence[Constraint] = (),
        jerk_limited: bool = False,
        from_rest: bool = True,
        to_rest: bool = True,
    ) -> Certificate:
        """Judge a trajectory, between its samples too: their linear and their cubic interpolation (`Trajectory.at`).

        Args:
            trajectory: as returned to the user.
            start: where it must begin [dof].
            goals: in one of which it must end [k, dof].
            start_tolerance: by how much joints may begin outside their position limits (rad or m): they must come back
                inside without going farther out.
            start_contact_m: how deep bodies may touch at the start (m): they must come apart without going deeper, and
                the clearances told are theirs from there on. Pairs that the scene allows to touch are none of these.
            constraints: what the motion must keep beside; what it keeps is told of a motion within the limits. Where it
                breaks one, its clearances are not looked at.
            jerk_limited: whether the samples must be those of a motion within the robot's jerk limits.
            from_rest: whether it must begin at rest; only a motion that another one leads into need not.
            to_rest: whether it must end at rest; only a motion that another one goes on from need not.

        Returns:
            A certificate, `valid` only if form, ends, limits and the whole path are proven right. Clearances are the
            least that were measured, up to the first contact (from a hollow mesh farther than 3 cm, a lower bound);
            beside those of a path without contact stand proven lower bounds for both interpolations, which may be some
            millimetres lower; `resolution_rad` is the largest joint step between two neighbouring measured
            configurations (or an end of the path), proven free in between. What is no trajectory (shapes, values that
            are not finite, times that do not increase) gets a certificate that is not valid and says so.

        Raises:
            InputError: if start is not `dof` finite numbers or goals are not rows of them, or the certifier is closed.
        """
        self._expect_open()
        start = self._finite("start", start)
        goals = self._finite("goals", goals, rows=True)
        tolerance, start_depth = arguments.start_tolerance(start_tolerance), arguments.start_contact(start_contact_m)
        form = limits.check_limits(
            self.robot,
            trajectory,
            start=start,
            goals=goals,
            start_tolerance=tolerance,
            jerk_limited=arguments.flag(jerk_limited, "jerk_limited"),
            at_rest=(arguments.flag(from_rest, "from_rest"), arguments.flag(to_rest, "to_rest")),
        )
        if not (form.well_formed and form.joint_limits_ok):
            return self._certificate(form, form.reason, trajectory, None)
        base = self.scene.robot_base
        kept = kept_bounds(self.robot, base, trajectory, [one.at(self.robot, base, start) for one in constraints])
        if broken(kept):
            return replace(self._certificate(form, form.reason or broken(kept), trajectory, None), constraints=kept)
        allowed = limits.start_outside(self.robot, trajectory.position[0]) if tolerance else ()
        hidden = self._hidden(trajectory.position[0])
        poses = body_poses(self.robot, trajectory.position)
        reach = farthest(self.robot, self._cover, trajectory.position, poses)
        room = self._room(trajectory, form, reach)
        out = self._leaving(trajectory.position, room, start_depth) if start_depth else None
        if out:
            hidden = hidden or self._hidden(trajectory.position[out.sample])
            sweep, bounds = self._sweep_after(trajectory.position, room, out)
        else:
            sweep, bounds = self._sweep(trajectory.position, room, known=(poses, reach))
        reason = form.reason
        if not reason and hidden:
            reason = _contact(*hidden)
        if not reason and sweep.touch:
            time = np.interp(sweep.touch.place, np.arange(len(trajectory.time)), trajectory.time)
            pair, allowed_m = sweep.touch.pair, float(self._pairs.allowed[sweep.touch.pair])
            clearance = sweep.touch.clearance_m + room[pair] - allowed_m
            reason = f"{_contact(*self._pairs.names[pair], float(clearance), allowed_m)} at {time:.3f} s"
        sweep.least += room  # as it was measured on the straight lines; the bounds hold for the cubics too
        certificate = self._certificate(form, reason, trajectory, sweep, bounds)
        return replace(
            certificate,
            start_tolerance=tolerance if allowed else 0.0,
            start_outside=allowed,
            start_contact_m=start_depth if out else 0.0,
            exempt=(
                *(self._exempt(out, trajectory, start_depth) if out else ()),
                *self._meant(trajectory.position, room),
            ),
            constraints=kept,
        )

    def _expect_open(self) -> None:
        """Refuse to judge when the world is gone: an empty one would let everything pass."""
        if self._stage is None:
            raise InputError("this Certifier is closed", key=self.robot.name, allowed="use it inside its `with` block")

    def _finite(self, key: str, values: object, *, rows: bool = False) -> Float:
        """Return joint positions [dof], or rows of them, as float64; PyBullet would measure something at NaN."""
        allowed = f"{'one or more rows of ' if rows else ''}{self.robot.dof} finite numbers"
        try:
            array = arguments.array(values, key, self.robot.dof)
        except InputError as error:
            raise InputError("not joint positions", key=key, value=error.value, allowed=allowed) from None
        if array.ndim != (2 if rows else 1) or array.size == 0:
            raise InputError("not joint positions", key=key, value=array.tolist(), allowed=allowed)
        return array

    def _room(self, trajectory: Trajectory, form: limits.LimitCheck, reach: Float) -> Float:
        """Return by how much the cubics may bring each pair [pairs] nearer than the straight lines do (m)."""
        if not form.interpolation_rad:
            return np.zeros(len(self._pairs.names))
        return self._pairs.most(swerve(self.robot, self._cover, trajectory, reach))

    def _low(self, q: Float, enough: float = np.inf) -> Float:
        """Return lower bounds [n, pairs] at q [n, dof] on how far pairs are from a contact that is not allowed (m).

        Those above `enough` may be lower than they could be.
        """
        bounds = self._bounds.at(q, np.arange(len(self._pairs.names)), enough + float(self._rounded.max(initial=0.0)))
        low = bounds - self._rounded + self._pairs.allowed
        low[(bounds <= 0) & np.isfinite(self._pairs.allowed)] = -np.inf  # nothing is known of how deep they touch
        return low

    def _least_ones(self, q: Float) -> Float:
        """Return the clearances [pairs] at q of all pairs that are nearest of their kind or may touch, and of others
        where they are less than 0.25 m; infinite where none was measured, which is more than the least of the kind.
        """
        low, found = self._low(q[None], SIGHT)[0], np.full(len(self._pairs.names), np.inf)
        split = self._pairs.with_obstacles
        meant = self._pairs.allowed > 0
        for own in (np.arange(split), np.arange(split, len(found))):
            order = own[np.argsort(np.where(meant, -np.inf, low)[own], kind="stable")]
            best, done = SIGHT, 0
            while done < len(order) and (meant[order[done]] or low[order[done]] <= best):
                some = np.sort(order[done : done + _AT_ONCE])
                found[some] = self._measure(q, some, SIGHT)
                best, done = min(best, float(found[some][~meant[some]].min(initial=np.inf))), done + _AT_ONCE
        return found

    def _measured(self, path: Float, room: Float, but: np.ndarray | None = None) -> Measure:
        """Return what measures at places of the path, less the `room` [pairs]; the pairs `but` are never seen.

        A pair that may touch up to a depth counts as so much farther apart: it is in contact where it is deeper.
        """
        widest = float(room.max(initial=0.0))

        def measure(place: float, pairs: np.ndarray, sight: float) -> Float:
            clearance = self._judged(_along(path, place), pairs, sight + widest) - room[pairs]
            return clearance if but is None else np.where(np.isin(pairs, but), np.inf, clearance)

        return measure

    def _travels(self, path: Float, reach: Float | None = None, poses: Float | None = None) -> Float:
        """Bound the travel by each way that pairs can go up to each sample of a path [n, ways] (m), for `bisect`.

        `reach` is what `farthest` says of the path, `poses` are those of the bodies along it, if they are known.
        """
        reach = farthest(self.robot, self._cover, path) if reach is None else reach
        by_joint = travel(self.robot, self._cover, path, reach)
        return self._pairs.travels(by_joint, length(self.robot, self._cover, path, reach, poses))

    def _judged(self, q: Float, pairs: np.ndarray, sight: float) -> Float:
        """Return how far these pairs (sorted numbers) are from a contact that is not allowed (m), as `_measure`."""
        return self._measure(q, pairs, sight) + self._pairs.allowed[pairs]

    def _meant(self, path: Float, room: Float) -> tuple[Exempt, ...]:
        """Return the contacts along a path that the scene allows, with the deepest that is measured at its samples.

        A pair that is proven apart all along is none of them.
        """
        found, way = [], None
        for pair in np.flatnonzero(self._pairs.allowed).tolist():
            which = np.array([pair])

            def apart(place: float, _: np.ndarray, sight: float, which: np.ndarray = which) -> Float:
                return self._measure(_along(path, place), which, sight + float(room[which[0]])) - room[which]

            way = self._travels(path) if way is None else way
            touch = bisect(way, apart, self._pairs.way[which]).touch
            if touch is None:
                continue
            least = min(float(self._measure(q, which, SIGHT)[0]) for q in (*path, _along(path, touch.place)))
            most = float(self._pairs.allowed[pair])
            found.append(
                Exempt(
                    pair=self._pairs.names[pair],
                    allowed_depth_mm=1000 * most if np.isfinite(most) else None,
                    deepest_mm=1000 * max(0.0, -least),
                )
            )
        return tuple(found)

    def _leaving(self, path: Float, room: Float, depth: float) -> Leaving | None:
        """Return how the path leaves the contact that it begins in, if it does, nowhere deeper than `depth`."""
        return leaving(self._travels(path)[:, self._pairs.way], self._measured(path, room), depth)

    def _sweep_after(self, path: Float, room: Float, out: Leaving) -> tuple[Sweep, tuple[float, float]]:
        """Return the same as `_sweep` for a path that begins in contact, without the touching pairs while they part."""
        first, before = self._sweep(path[: out.sample + 1], room, out.pairs)
        second, after = self._sweep(path[out.sample :], room)
        nearer = first.least < second.least
        touch = first.touch or second.touch
        if touch is second.touch and touch is not None:
            touch = replace(touch, place=touch.place + out.sample)
        sweep = Sweep(
            touch=touch,
            places=[*first.places, *(place + out.sample for place in second.places)],
            least=np.where(nearer, first.least, second.least),
            least_place=np.where(nearer, first.least_place, second.least_place + out.sample),
        )
        return sweep, (min(before[0], after[0]), min(before[1], after[1]))

    def _exempt(self, out: Leaving, trajectory: Trajectory, depth: float) -> tuple[Exempt, ...]:
        until = float(trajectory.time[out.sample] - trajectory.time[0])
        return tuple(
            Exempt(
                pair=self._pairs.names[pair],
                allowed_depth_mm=1000 * depth,
                deepest_mm=1000 * max(0.0, float(self._pairs.allowed[pair] - least)),
                until_s=until,
            )
            for pair, least in zip(out.pairs.tolist(), out.least, strict=True)
        )

    def _sweep(
        self,
        path: Float,
        room: Float,
        but: np.ndarray | None = None,
        known: tuple[Float, Float] | None = None,
    ) -> tuple[Sweep, tuple[float, float]]:
        """Bisect the path [n, dof], and look closer at where it is nearest.

        From every clearance the `room` [pairs] is taken that the cubics between the samples need; the pairs `but` are
        left out; `known` are the poses of the bodies along the path and what `farthest` says of it, if they are.

        Returns:
            What was found, and lower bounds on the clearance from obstacles and between links [m], -inf if not free.
        """
        poses, reach = known or (body_poses(self.robot, path), None)
        measure, way = self._measured(path, room, but), self._pairs.way
        travels = self._travels(path, reach, poses)
        more = self._pairs.allowed - self._rounded - room
        if but is not None:
            more[but] = np.inf
        bounds = PathBounds.of(self._bounds, poses, travels, more)
        sweep = bisect(travels, measure, way, bounds.stretches)
        if not sweep.free:
            return sweep, (-np.inf, -np.inf)
        group = (np.arange(len(self._pairs.names)) >= self._pairs.with_obstacles).astype(int)
        group[self._pairs.allowed > 0] = _MEANT
        near, near_self = refine(sweep, travels, way, measure, group, bounds).tolist()
        return sweep, (near, near_self)

    def _measure(self, q: Float, pairs: np.ndarray, sight: float) -> Float:
        """Return the clearances of these pairs (sorted numbers) at q [dof], infinite beyond `sight` (m).

        PyBullet gives one point for every two convex parts or triangles nearer than `sight`; the least counts.
        """
        self._body.place(q)
        found = [self._distance(pair, sight) for pair in pairs.tolist()]
        clearance = np.array(found, dtype=np.float64) - self._rounded[pairs]
        if not self._depths:
            return clearance
        for i in np.flatnonzero((self._pairs.allowed[pairs] > 0) & (clearance <= TOUCH)).tolist():
            clearance[i] = max(clearance[i], -self._depth(int(pairs[i]), q))
        return clearance

    def _distance(self, pair: int, sight: float) -> float:
        """Return what PyBullet says of a pair as the robot stands (m); infinite beyond `sight`."""
        one, other = self._ends(pair)
        least = self._least(one, other, sight)
        if pair >= self._pairs.with_obstacles:
            return least
        column = pair % len(self._bodies)
        if column not in self._hulls or least > min(sight, _NEAR):
            return least
        return self._into_hollow(one, column, sight)

    def _ends(self, pair: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return PyBullet's bodies and link indices of both ends of a pair; of a hollow mesh those of its hull."""
        if pair in self._found_ends:
            return self._found_ends[pair]
        one, other = self._pairs.names[pair]
        if pair >= self._pairs.with_obstacles:
            ends = self._body.parts(one), self._body.parts(other)
        else:
            column = pair % len(self._bodies)
            ends = self._body.parts(one), [(self._hulls.get(column, self._bodies[column]), WHOLE)]
        self._found_ends[pair] = ends
        return ends

    def _least(self, one: list[tuple[int, int]], other: list[tuple[int, int]], sight: float) -> float:
        """Return the least clearance between two bodies (m), each given by its parts; infinite beyond sight."""
        least, client = np.inf, self._client
        for body, link in one:
            for shape, its_link in other:
                for point in bullet.getClosestPoints(body, shape, sight, link, its_link, physicsClientId=client):
                    least = min(least, point[8])
        return least

    def _depth(self, pair: int, q: Float) -> float:
        """Bound from above how deep a pair overlaps that may touch (m), as the robot stands, at q [dof]."""
        poses, placement = self.robot.body_poses(q)[0], self.robot.chain.placement
        ends, shapes = [], []
        for name in self._pairs.names[pair]:
            if name in self._column:
                ends.append([(self._bodies[self._column[name]], WHOLE)])
                shapes.append(self._shapes[name])
            else:
                body, matrix = placement[name]
                ends.append(self._body.parts(name))
                shapes.append(self._shapes[name].placed(poses[body] @ matrix))
        normals = [
            point[7]
            for one, link in ends[0]
            for other, its_link in ends[1]
            for point in bullet.getClosestPoints(
                one, other, TOUCH, linkIndexA=link, linkIndexB=its_link, physicsClientId=self._client
            )
        ]
        return depth(shapes[0], shapes[1], np.array(normals))

    def _exempt_shapes(self, near: Scene) -> dict[str, Parts]:
        """Return the convex parts of what may touch, in its own frame or, of an obstacle, in the base frame."""
        names = {name for pair in np.flatnonzero(self._pairs.allowed) for name in self._pairs.names[pair]}
        found = {obstacle.name: obstacle for obstacle in near.obstacles if obstacle.name in names}
        placed = {
            name: [replace(shape, pose=body.pose @ shape.pose) for body in bodies(obstacle) for shape in body.shapes]
            for name, obstacle in found.items()
        }
        return {name: Parts.of(placed[name] if name in placed else self.robot.shapes(name)) for name in names}

    def _into_hollow(self, link: list[tuple[int, int]], column: int, sight: float) -> float:
        """Return the distance of a link from a hollow mesh's triangles, where that from its hull is small.

        The hull holds the mesh, so that distance from it never exceeds distance from the mesh; and PyBullet's distance
        from a thousand triangles is slow. Beyond `_NEAR` the clearance from a hollow mesh is thus a lower bound.
        """
        near = min(sight, _NEAR)
        beyond = np.inf if sight <= _NEAR else _NEAR
        return min(self._least(link, [(self._bodies[column], WHOLE)], near), beyond)

    def _hidden(self, q: Float) -> tuple[str, str, float] | None:
        """Return the contact that surface distances do not show at q [dof]: (link, obstacle, clearance).

        A base that stands in an obstacle, or a link wholly within the walls of a hollow mesh. Where surfaces do not
        touch, a link is wholly inside or wholly outside, so that a point of each of its convex parts tells; and along
        a path without touch it stays so.
        """
        if self._mount or not self._solids:
            return self._mount
        poses = body_poses(self.robot, q[None])[0, self._cover.body]
        for link, pose, points in zip(self.robot.links, poses, self._cover.inner, strict=True):
            for solid in self._solids:
                if self._depths.get(frozenset((link, solid.name))) == np.inf:
                    continue
                if solid.contains(points @ pose[:3, :3].T + pose[:3, 3]).any():
                    return link, solid.name, -np.inf
        return None

    def _put_hulls(self, stage: Stage) -> dict[int, int]:
        """Put the convex hull of each hollow mesh beside it; returns the hulls' bodies by the obstacle's number."""
        hulls = stage.put_hulls(solid.triangles.reshape(-1, 3) for solid in self._solids)
        return {self._column[solid.name]: hull for solid, hull in zip(self._solids, hulls, strict=True)}

    def _deep_mount(self) -> tuple[str, str, float] | None:
        """Return link, obstacle and clearance where a link that no joint moves stands too deep in an obstacle."""
        for link in set(self.robot.links) - set(self._pairs.row):
            for obstacle, body in zip(self.scene.obstacles, self._bodies, strict=True):
                least = self._least(self._body.parts(link), [(body, WHOLE)], SIGHT)
                least += self._depths.get(frozenset((link, obstacle.name)), 0.0)
                if least < -MOUNT_DEPTH:
                    return link, obstacle.name, least
        return None

    def _certificate(
        self,
        form: limits.LimitCheck,
        reason: str,
        trajectory: Trajectory,
        sweep: Sweep | None,
        bounds: tuple[float, float] = (-np.inf, -np.inf),
    ) -> Certificate:
        split = self._pairs.with_obstacles
        least = np.full(len(self._pairs.names), np.inf)
        if sweep:
            least = np.where(self._pairs.allowed > 0, np.inf, sweep.least)
        near, near_self = (float(part.min(initial=np.inf)) for part in (least[:split], least[split:]))
        closest = None
        if sweep and np.isfinite(near):
            pair = int(np.argmin(least[:split]))
            time = np.interp(sweep.least_place[pair], np.arange(len(trajectory.time)), trajectory.time)
            link, obstacle = self._pairs.names[pair]
            closest = Closest(link=link, obstacle=obstacle, time_s=float(time))
        return Certificate(
            valid=not reason,
            reason=reason,
            checked_by="PyBullet",
            method=_METHOD,
            resolution_rad=_largest_step(trajectory.position, sweep.places) if sweep else 0.0,
            min_clearance_m=near if np.isfinite(near) else None,
            min_self_clearance_m=near_self if np.isfinite(near_self) else None,
            min_clearance_bound_m=bounds[0] if np.isfinite([near, bounds[0]]).all() else None,
            min_self_clearance_bound_m=bounds[1] if np.isfinite([near_self, bounds[1]]).all() else None,
            closest=closest,
            joint_limits_ok=form.joint_limits_ok,
            velocity_limits_ok=form.velocity_limits_ok,
            acceleration_limits_ok=form.acceleration_limits_ok,
            start_error_rad=form.start_error_rad,
            goal_error_rad=form.goal_error_rad,
            goal_index=form.goal_index,
            interpolation=hermite.NAME,
            interpolation_rad=form.interpolation_rad,
            velocity_share=form.velocity_share,
            acceleration_share=form.acceleration_share,
            jerk_share=form.jerk_share,
            from_rest=form.from_rest,
            to_rest=form.to_rest,
            configurations_checked=len(sweep.places) if sweep else 0,
            attached=tuple(body.name for body in self.robot.attached),
        )


def _contact(one: str, other: str, clearance_m: float, allowed_m: float = 0.0) -> str:
    if clearance_m == -np.inf:
        return f"{one} is inside {other}"
    if clearance_m > TOUCH:
        return f"{one} and {other} are too close to tell ({1000 * clearance_m:.2f} mm)"
    deeper = f", allowed up to {1000 * allowed_m:g} mm" if allowed_m else ""
    return f"{one} touches {other} ({1000 * clearance_m:.1f} mm{deeper})"


def _along(path: Float, place: float) -> Float:
    """Return the configuration [dof] at a place of a path [n, dof]: a fractional sample index."""
    sample = min(int(place), len(path) - 2)
    return path[sample] + (place - sample) * (path[sample + 1] - path[sample])


def _largest_step(path: Float, places: list[float]) -> float:
    """Return the largest step of a joint along the path [n, dof] between neighbouring places, ends too (rad or m)."""
    along = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(np.abs(np.diff(path, axis=0)), axis=0)])
    at = [np.interp(sorted([0.0, *places, len(path) - 1.0]), np.arange(len(path)), joint) for joint in along.T]
    return float(np.diff(at, axis=1).max(initial=0.0))
