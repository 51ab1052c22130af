"""What to look at in a plan that is not solved: the arm where it touches, or where it should have gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from diffplan.certificate.bisection import TOUCH
from diffplan.certificate.bullet import bullet, connection
from diffplan.certificate.certifier import Certifier, ConfigurationCheck
from diffplan.certificate.world import WHOLE, load_obstacle, load_robot_body
from diffplan.geometry.pose import Float
from diffplan.problem import Contact, Plan, Status, Trajectory
from diffplan.pybullet.palette import GOAL, START, TOUCHING, Rgba
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.words import some

_IN_SIGHT = 0.5
_MOST_SAMPLES = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """An arm at joint positions `q` [dof]: all but its base in `colour` (None: its own), and some `links` in others."""

    q: Float
    colour: Rgba | None = None
    links: Mapping[str, Rgba] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Failure:
    """What a picture of a failed plan shows: the arms, what touches (if anything does), and in words what it is."""

    arms: tuple[Arm, ...]
    contact: Contact | None
    text: str


def failure(plan: Plan) -> Failure:
    """Return what to show of a plan that is not solved and has no motion.

    The start or goal in contact, the touching links red; the start or goal outside its limits, the link behind the
    joint red; else start and goal, in two colours.
    """
    if plan.contact:
        arm = Arm(q=np.array(plan.contact.q), links=dict.fromkeys(plan.contact.links, TOUCHING))
        return Failure(arms=(arm,), contact=plan.contact, text=contact_words(plan.contact))
    if plan.status in (Status.START_OUTSIDE_LIMITS, Status.GOAL_OUTSIDE_LIMITS):
        at_start = plan.status is Status.START_OUTSIDE_LIMITS
        q = plan.start if at_start else plan.goals[0]
        joints = plan.robot.joints_outside(q)
        red = {plan.robot.model.joints[name].child: TOUCHING for name in joints}
        text = f"{plan.status.value.replace('_', ' ')}: {some(joints)}"
        return Failure(arms=(Arm(q=q, links=red),), contact=None, text=text)
    goals = tuple(Arm(q=goal, colour=GOAL) for goal in plan.goals[:1])
    text = f"{plan.status.value.replace('_', ' ')}: start green" + (", goal red" if goals else "")
    return Failure(arms=(Arm(q=plan.start, colour=START), *goals), contact=None, text=text)


def motion_contact(plan: Plan, trajectory: Trajectory) -> Contact | None:
    """Return where a motion that was refused touches first, None if it was refused for another reason.

    Looked for where the certificate came closest, and then sample by sample.
    """
    times = trajectory.time[
        np.linspace(0, len(trajectory.time) - 1, min(len(trajectory.time), _MOST_SAMPLES)).astype(int)
    ]
    closest = plan.certificate.closest if plan.certificate else None
    if closest is not None:
        times = np.sort(np.append(times, closest.time_s))
    with Certifier(plan.robot, plan.scene) as certifier:
        for time in times.tolist():
            q = np.array([np.interp(time, trajectory.time, joint) for joint in trajectory.position.T])
            check = certifier.check(q)
            if check.contact:
                return contact_of(check, q, "motion", time)
    return None


def contact_of(check: ConfigurationCheck, q: Float, at: str, time_s: float | None = None) -> Contact | None:
    """Return what touches at q [dof], None if nothing does; `at` is `start`, `goal` or `motion`."""
    if not check.contact:
        return None
    with_obstacle = check.clearance_m <= TOUCH
    link, other = (check.link, "") if with_obstacle else check.self_links
    clearance = check.clearance_m if with_obstacle else check.self_clearance_m
    return Contact(
        at=at,
        link=link,
        obstacle=check.obstacle if with_obstacle else "",
        other_link=other,
        q=tuple(q.tolist()),
        clearance_m=clearance if np.isfinite(clearance) else None,
        time_s=time_s,
    )


def contact_point(robot: Robot, scene: Scene, contact: Contact) -> Float:
    """Return the place [3] (world, m) where links, or a link and an obstacle, are nearest to each other or overlap."""
    with connection() as client:
        arm = load_robot_body(client, robot, scene.robot_base)
        arm.place(np.array(contact.q))
        if contact.obstacle:
            others = [(load_obstacle(client, scene.obstacle(contact.obstacle)), WHOLE)]
        else:
            others = arm.parts(contact.other_link)
        points = [
            point
            for one, link in arm.parts(contact.link)
            for other, its_link in others
            for point in bullet.getClosestPoints(
                one, other, _IN_SIGHT, linkIndexA=link, linkIndexB=its_link, physicsClientId=client
            )
        ]
        if points:
            nearest = min(points, key=lambda point: point[8])
            return (np.array(nearest[5]) + np.array(nearest[6])) / 2
    pose = scene.robot_base.matrix @ robot.link_pose(np.array(contact.q), contact.link)[0]
    return pose[:3, 3]


def contact_words(contact: Contact) -> str:
    """Return a contact in words."""
    what = contact.obstacle or contact.other_link
    deep = "is inside" if contact.clearance_m is None else "touches"
    by = "" if contact.clearance_m is None else f" ({1000 * contact.clearance_m:.1f} mm)"
    where = f"{contact.time_s:.2f} s" if contact.time_s is not None else contact.at
    return f"{where}: {contact.link} {deep} {what}{by}"
