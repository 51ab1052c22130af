"""All steps of a sequence are planned together: choices that spoil a later step are taken back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

import diffplan as dp
from diffplan.certificate.certifier import Certifier
from diffplan.geometry import fields
from diffplan.problem import Status
from diffplan.sequence.result import SequencePlan
from diffplan.sequence.search import Search

ROBOT = dp.Robot.load("panda")
CUBE = dp.Pose(xyz=(0.5, 0.2, 0.025))
UNDER_ROOF = dp.Pose(xyz=(0.55, -0.25, 0.025))
HOME = ROBOT.configuration("home")
TOOL_AT_HOME = dp.Pose.from_matrix(ROBOT.link_pose(HOME, ROBOT.tool_frame.link)[0] @ ROBOT.tool_frame.pose.matrix)
FROM_ABOVE = dp.Pose.from_rpy((0.0, 0.0, 0.0), (np.pi, 0.0, 0.0))
OBLIQUE = dp.Pose.from_rpy((0.0, 0.0, 0.0), (0.0, np.radians(120.0), 0.0))  # 30 degrees above level, from the robot


def scene(*more: dp.Box) -> dp.Scene:
    table = dp.Box(name="table", size=(0.8, 1.2, 0.04), pose=dp.Pose(xyz=(0.6, 0.0, -0.02)))
    cube = dp.Box(name="cube", size=(0.05, 0.05, 0.05), pose=CUBE)
    return dp.Scene(name="table", robot="panda", obstacles=(table, cube, *more))


ROOF = dp.Box(name="roof", size=(0.14, 0.3, 0.02), pose=dp.Pose(xyz=(0.6, -0.25, 0.16)))


def place_under_the_roof(grasps: list[dp.Pose]) -> SequencePlan:
    steps = dp.pick_and_place("cube", UNDER_ROOF, grasps=grasps, lower=0.02, retreat=0.1)
    return dp.Sequence(steps).plan(ROBOT, scene(ROOF), "home", seed=0, timeout=30.0)


@pytest.fixture(scope="module")
def plan() -> SequencePlan:
    steps = [*dp.pick_and_place("cube", dp.Pose(xyz=(0.5, -0.2, 0.025)), grasps="top"), dp.Move("home")]
    return dp.Sequence(steps).plan(ROBOT, scene(), "home", seed=0, timeout=30.0)


def test_a_pick_and_place_has_the_usual_steps_each_motion_certified_with_what_is_held(plan: SequencePlan) -> None:
    assert plan, plan.message
    kinds = [step.kind for step in plan.steps]
    assert kinds == [
        *("gripper", "move", "line", "gripper", "attach", "line"),
        *("move", "line", "gripper", "detach", "line", "move"),
    ]
    held = [step.held for step in plan.steps if step.plan]
    assert held == [(), (), ("cube",), ("cube",), ("cube",), (), ()]
    for step in plan.steps:
        if step.plan is None:
            continue
        assert step.plan.certificate is not None
        assert step.plan.certificate.valid
        assert step.plan.certificate.attached == step.held
        assert tuple(body.name for body in step.plan.scene.attached) == step.held


def test_every_motion_passes_a_fresh_certifier_and_begins_where_the_last_one_ended(plan: SequencePlan) -> None:
    q = plan.start
    for one in plan.plans:
        assert one.trajectory is not None
        assert one.certificate is not None
        np.testing.assert_allclose(one.trajectory.position[0], q, atol=1e-6)
        q = one.trajectory.position[-1]
        with Certifier(one.robot, one.scene) as certifier:
            again = certifier.certify(
                one.trajectory,
                start=one.start,
                goals=q[None],
                constraints=one.constraints,
                from_rest=one.certificate.from_rest,
                to_rest=one.certificate.to_rest,
            )
        assert again.valid, again.reason


def test_only_lifting_and_lowering_may_touch_the_table_and_say_so(plan: SequencePlan) -> None:
    for step in plan.steps:
        if step.plan and step.plan.certificate:
            touched = {frozenset(one.pair) for one in step.plan.certificate.exempt}
            rests = step.label.endswith(("lift", "lower"))
            assert touched == ({frozenset(("cube", "table"))} if rests else set()), step.label


def test_afterwards_the_object_lies_where_it_was_to_be_put(plan: SequencePlan) -> None:
    end = plan.end.obstacle("cube").pose
    np.testing.assert_allclose(end.xyz, (0.5, -0.2, 0.025), atol=1e-4)
    assert plan.end.attached == ()
    assert plan.scene.obstacle("cube").pose == CUBE


def test_one_seed_has_one_answer(plan: SequencePlan) -> None:
    steps = [*dp.pick_and_place("cube", dp.Pose(xyz=(0.5, -0.2, 0.025)), grasps="top"), dp.Move("home")]
    again = dp.Sequence(steps).plan(ROBOT, scene(), "home", seed=0, timeout=30.0)
    for one, other in zip(plan.plans, again.plans, strict=True):
        assert one.trajectory is not None
        assert other.trajectory is not None
        np.testing.assert_array_equal(one.trajectory.position, other.trajectory.position)


def test_where_the_first_grasp_makes_the_place_impossible_the_second_is_found() -> None:
    plan = place_under_the_roof([FROM_ABOVE, OBLIQUE])
    assert plan, plan.message
    line = next(step.plan for step in plan.steps if step.label == "pick cube: go in")
    assert line is not None
    assert line.trajectory is not None
    tool = ROBOT.link_pose(line.trajectory.position[-1], ROBOT.tool_frame.link)[0]
    assert tool[2, 2] == pytest.approx(-0.5, abs=1e-3)  # the oblique one


def test_where_nothing_works_the_reason_names_the_step_and_what_is_in_the_way() -> None:
    plan = place_under_the_roof([FROM_ABOVE])
    assert plan.status is Status.NO_PATH_FOUND
    assert not plan
    assert plan.steps == ()
    assert plan.message.startswith("step 2, place cube: 1 of 1: ")
    assert "touches roof" in plan.message


def test_an_object_out_of_reach_is_told_as_such() -> None:
    far = replace(scene(), obstacles=scene().obstacles).move("cube", dp.Pose(xyz=(1.1, 0.4, 0.025)))
    plan = dp.Sequence(dp.pick("cube", grasps=[FROM_ABOVE])).plan(ROBOT, far, "home", seed=0)
    assert plan.status is Status.GOAL_UNREACHABLE
    assert plan.message.startswith("step 1, pick cube: 1 of 1: out of reach")


def test_an_object_that_cannot_be_put_where_something_is_says_what_it_would_be_in() -> None:
    block = dp.Box(name="block", size=(0.1, 0.1, 0.1), pose=dp.Pose(xyz=(0.5, -0.2, 0.05)))
    steps = dp.pick_and_place("cube", dp.Pose(xyz=(0.5, -0.2, 0.09)), grasps=[FROM_ABOVE])
    plan = dp.Sequence(steps).plan(ROBOT, scene(block), "home", seed=0)
    assert not plan
    assert "cube would be " in plan.message
    assert "deep in block" in plan.message


def test_any_of_several_objects_will_do() -> None:
    wide = dp.Box(name="wide", size=(0.12, 0.12, 0.05), pose=dp.Pose(xyz=(0.5, -0.2, 0.025)))
    plan = dp.Sequence(dp.pick(["wide", "cube"], grasps="top")).plan(ROBOT, scene(wide), "home", seed=0)
    assert plan, plan.message
    assert plan.moved == ("cube",)


def test_a_move_keeps_its_constraints_with_what_is_held() -> None:
    side = dp.Pose.from_rpy((0.5, -0.2, 0.3), (np.pi, 0.0, 0.0))
    kept = dp.upright("tool", degrees=10)
    steps = [*dp.pick("cube", grasps="top"), dp.Move(dp.PoseGoal(pose=side, free="z"), constraints=[kept])]
    plan = dp.Sequence(steps).plan(ROBOT, scene(), "home", seed=0, timeout=60.0)
    assert plan, plan.message
    last = plan.steps[-1]
    assert last.held == ("cube",)
    assert last.plan is not None
    assert last.plan.certificate is not None
    (upright,) = last.plan.certificate.constraints
    assert upright.worst <= upright.limit


def test_single_steps_do_the_same_by_hand() -> None:
    above = dp.Pose.from_rpy((0.5, 0.2, 0.125), (np.pi, 0.0, 0.0))
    steps = [
        dp.Gripper("open"),
        dp.Move(above),
        dp.Line(to=(0.0, 0.0, 0.1), frame="tool"),
        dp.Gripper("close"),
        dp.Attach("cube"),
        dp.Line(to=(0.0, 0.0, 0.1)),
        dp.Gripper("open"),
        dp.Detach("cube"),
    ]
    resting = scene().allow("cube", "table", 0.003)
    plan = dp.Sequence(steps).plan(ROBOT, resting, "home", seed=0, timeout=30.0)
    assert plan, plan.message
    closed = plan.steps[3].fingers["panda_finger_joint1"]
    assert closed == pytest.approx(0.025, abs=5e-4)  # on the cube
    assert plan.end.obstacle("cube").pose.xyz[2] == pytest.approx(0.125, abs=1e-3)


def test_a_line_keeps_its_constraints_and_every_motion_jerk_limits() -> None:
    steps = [dp.Line(to=(0.0, 0.0, -0.1), constraints=dp.speed("tool", 0.05)), dp.Move("home")]
    plan = dp.Sequence(steps).plan(ROBOT, scene(), "home", jerk="limited")
    assert plan, plan.message
    certificates = [step.plan.certificate for step in plan.steps if step.plan]
    assert [bool(found and found.jerk_share and found.jerk_share <= 1) for found in certificates] == [True, True]
    assert certificates[0]
    (speed,) = (one for one in certificates[0].constraints if one.name == "speed")
    assert 0.049 < speed.worst <= 0.05


@pytest.mark.parametrize(("held", "share"), [(False, 0.5), (True, 0.2)])
def test_a_line_keeps_the_share_of_the_limits_that_the_sequence_may_use(held: bool, share: float) -> None:
    peg = dp.Box(name="peg", size=(0.01, 0.01, 0.01), pose=TOOL_AT_HOME)
    steps = [dp.Attach("peg"), dp.Line(to=(0.0, 0.0, -0.2))] if held else dp.Line(to=(0.0, 0.0, -0.2))
    plan = dp.Sequence(steps).plan(ROBOT, scene(*[peg] * held), "home", speed=0.5, held_speed=0.2)
    assert plan, plan.message
    line = plan.steps[-1].plan
    assert line is not None
    assert line.trajectory is not None
    assert line.speed == share
    assert (np.abs(line.trajectory.velocity) / ROBOT.velocity).max() <= share
    assert 0.8 * share < (np.abs(line.trajectory.acceleration) / ROBOT.acceleration).max() <= share


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "steps: no steps"),
        ([3], r"steps\[0\]: not a step"),
        ([*dp.pick("cube"), *dp.pick("cube")], r"steps\[1\]: the hand is not empty"),
        ([*dp.pick("cube"), *dp.place("mug", dp.Pose())], r"steps\[1\]: not in hand"),
        (dp.place(None, dp.Pose()), r"steps\[0\]: nothing is in hand"),
        (dp.pick("cub"), "no obstacle named 'cub'"),
    ],
)
def test_steps_that_make_no_sense_are_refused_by_name(steps: object, message: str) -> None:
    with pytest.raises(dp.InputError, match=message):
        dp.Sequence(steps).plan(ROBOT, scene(), "home")  # pyright: ignore[reportArgumentType]


def test_a_robot_without_a_gripper_cannot_pick() -> None:
    with pytest.raises(dp.InputError, match="panda has no gripper"):
        dp.Sequence(dp.pick("cube")).plan(replace(ROBOT, gripper=None), scene(), "home")


def test_arguments_of_the_steps_are_checked() -> None:
    with pytest.raises(dp.InputError, match="lift"):
        dp.pick("cube", lift=-0.1)
    with pytest.raises(dp.InputError, match="free"):
        dp.place("cube", dp.Pose(), free="w")
    with pytest.raises(dp.InputError, match="gripper"):
        dp.Gripper("ajar")
    with pytest.raises(dp.InputError, match="object"):
        dp.pick([])


def test_a_start_in_contact_is_told_and_nothing_is_searched() -> None:
    wall = dp.Box(name="wall", size=(0.2, 0.2, 0.2), pose=dp.Pose(xyz=(0.31, 0.0, 0.55)))
    plan = dp.Sequence(dp.pick("cube", grasps="top")).plan(ROBOT, scene(wall), "home", seed=0)
    assert plan.status is Status.START_IN_COLLISION
    assert "touches wall" in plan.message


@pytest.mark.parametrize("held", [False, True], ids=["on the table", "in the hand"])
def test_the_field_of_a_new_mesh_is_made_before_planning_time_is_counted(tmp_path, monkeypatch, held):
    file, made, running = tmp_path / "part.stl", [], []
    trimesh.creation.box((0.05, 0.05, 0.05 + 0.001 * np.random.default_rng().random())).export(file)  # in no cache
    sample, run = fields._sample, Search.run

    def sampled(*args, **kwargs):
        made.append(bool(running))
        return sample(*args, **kwargs)

    def searched(*args, **kwargs):
        running.append(True)
        return run(*args, **kwargs)

    monkeypatch.setattr(fields, "_sample", sampled)
    monkeypatch.setattr(Search, "run", searched)
    part = dp.Mesh(name="part", file=file, pose=CUBE)
    around = scene().remove("cube").add(part)
    steps = dp.pick_and_place("part", dp.Pose(xyz=(0.5, -0.2, 0.026)), grasps="top")
    if held:
        around = around.move("part", TOOL_AT_HOME).attach("part", robot=ROBOT, q=HOME)
        steps = [dp.Move("left"), dp.Detach("part"), dp.Move("home")]
    assert dp.Sequence(steps).plan(ROBOT, around, "home", timeout=30.0).steps
    assert running
    assert made
    assert not any(made)
