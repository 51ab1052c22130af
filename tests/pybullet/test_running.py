"""Wrong numbers of clients and bodies are refused with the name of the argument, whatever is done with them."""

from dataclasses import replace

import numpy as np
import pybullet as p
import pybullet_data
import pytest

from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.problem import Certificate, Plan, Status, Trajectory
from diffplan.pybullet.execution import play
from diffplan.pybullet.live import robot_as_held, robot_configuration
from diffplan.scene import Scene

DATA = pybullet_data.getDataPath()


@pytest.fixture
def world():
    client = p.connect(p.DIRECT)
    yield client
    if p.isConnected(client):
        p.disconnect(client)


@pytest.fixture
def arm(world):
    return p.loadURDF(DATA + "/franka_panda/panda.urdf", useFixedBase=True, physicsClientId=world)


@pytest.fixture
def plan(panda):
    """A plan that stays where it is, at zero, where PyBullet puts joints."""
    rest = np.zeros((2, 7))
    trajectory = Trajectory(time=np.array([0.0, 0.02]), position=rest, velocity=rest, acceleration=rest)
    good = {"valid": True, "reason": "", "checked_by": "", "method": "", "resolution_rad": 0.0, "closest": None}
    clear = {"min_clearance_m": None, "min_self_clearance_m": None, "goal_index": 0, "configurations_checked": 0}
    limits = dict.fromkeys(("joint_limits_ok", "velocity_limits_ok", "acceleration_limits_ok"), True)
    certificate = Certificate(**good, **clear, **limits, start_error_rad=0.0, goal_error_rad=0.0)
    held = panda.with_held({"panda_finger_joint1": 0.0})
    words = {"message": "", "planner": "test", "solved_by": "test", "status": Status.SOLVED, "seed": 0}
    ends = {"start": rest[0], "goals": rest[:1]}
    return Plan(**words, **ends, robot=held, scene=Scene(), trajectory=trajectory, certificate=certificate)


def _uses(panda, plan):
    """Every function that takes a client (and a body), by the name of its argument for the body."""
    return {
        "robot_as_held": ("body", lambda client, body: robot_as_held(client, body, panda)),
        "robot_configuration": ("body", lambda client, body: robot_configuration(client, body, panda)),
        "from_pybullet": ("robot_body", lambda client, body: Scene.from_pybullet(client, robot_body=body, robot=panda)),
        "unnamed robot": ("robot_body", lambda client, body: Scene.from_pybullet(client, robot_body=body)),
        "ignore": ("ignore", lambda client, body: Scene.from_pybullet(client, ignore=[body])),
        "play": ("body", lambda client, body: play(plan, client, body)),
        "to_pybullet": (None, lambda client, _: Scene(obstacles=(Box(name="b", size=(1, 1, 1)),)).to_pybullet(client)),
    }


USES = ["robot_as_held", "robot_configuration", "from_pybullet", "unnamed robot", "ignore", "play", "to_pybullet"]


@pytest.mark.parametrize("use", USES)
def test_a_client_that_is_not_connected_is_refused_by_name(world, arm, panda, plan, use):
    _, call = _uses(panda, plan)[use]
    p.disconnect(world)
    for client in (world, 77, -1, 10**12, 0.0, "0", None, True, [0]):
        with pytest.raises(InputError, match=r"^client: .*allowed: a connected client"):
            call(client, arm)


@pytest.mark.parametrize("use", USES[:-1])
def test_a_body_that_is_not_there_is_refused_by_the_name_of_its_argument(world, arm, panda, plan, use):
    key, call = _uses(panda, plan)[use]
    gone = p.loadURDF(DATA + "/cube_small.urdf", physicsClientId=world)
    p.removeBody(gone, physicsClientId=world)
    for body in (99, -1, gone, 10**12, 0.0, "0", True, [0]):
        with pytest.raises(InputError, match=rf"^{key}: .*allowed: bodies in this world: {arm}$"):
            call(world, body)


@pytest.mark.parametrize("use", ["robot_as_held", "robot_configuration", "from_pybullet", "play"])
def test_a_body_that_is_another_thing_is_refused_by_the_name_of_its_argument(world, panda, plan, use):
    key, call = _uses(panda, plan)[use]
    visual = p.createVisualShape(p.GEOM_SPHERE, radius=0.1, physicsClientId=world)
    bodies = [
        p.loadURDF(DATA + "/cube_small.urdf", physicsClientId=world),
        p.loadURDF(DATA + "/plane.urdf", physicsClientId=world),
        p.loadURDF(DATA + "/kuka_iiwa/model.urdf", physicsClientId=world),
        p.createMultiBody(0, -1, visual, physicsClientId=world),
    ]
    for body in bodies:
        with pytest.raises(InputError, match=f"^{key}: body {body} is not the robot panda"):
            call(world, body)


def test_a_soft_body_is_no_robot_and_no_obstacle(world, panda):
    p.resetSimulation(p.RESET_USE_DEFORMABLE_WORLD, physicsClientId=world)
    soft = p.loadSoftBody(DATA + "/tube.vtk", physicsClientId=world)
    with pytest.raises(InputError, match=f"^body: body {soft} is not the robot panda: it is soft"):
        robot_as_held(world, soft, panda)
    with pytest.raises(InputError, match=f"a soft body.*ignore=.{soft}."):
        Scene.from_pybullet(world)
    with pytest.raises(InputError, match=f"^robot_body: body {soft}"):
        Scene.from_pybullet(world, robot_body=soft, robot=panda)


def test_numbers_of_numpy_and_names_of_robots_are_taken(world, arm, panda):
    client, body = np.array([world, arm])  # NumPy's whole numbers
    q = robot_configuration(client, body, "panda")
    np.testing.assert_allclose(q, 0, atol=1e-9)
    assert Scene.from_pybullet(world, robot_body=body, ignore=np.array([], int)).robot == "panda"
    with pytest.raises(InputError, match=r"^robot: not a robot"):
        robot_as_held(world, arm, 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"unknown robot.*did you mean 'panda'"):
        robot_as_held(world, arm, "pandda")


@pytest.mark.parametrize("ignore", [3, "3", None])
def test_bodies_to_leave_out_must_be_a_collection(world, ignore):
    with pytest.raises(InputError, match=r"^ignore: not a collection of bodies"):
        Scene.from_pybullet(world, ignore=ignore)


def test_the_robot_itself_cannot_be_left_out(world, arm, panda):
    with pytest.raises(InputError, match=r"^ignore: "):
        Scene.from_pybullet(world, robot_body=arm, robot=panda, ignore=[arm])


def test_a_plan_is_not_played_by_an_arm_on_another_base_among_obstacles(world, panda, plan):
    far = Box(name="far", size=(0.1, 0.1, 0.1), pose=Pose(xyz=(3, 0, 0)))
    moved = p.loadURDF(DATA + "/franka_panda/panda.urdf", (0, 0.01, 0), useFixedBase=True, physicsClientId=world)
    assert play(plan, world, moved) < 0.01  # without obstacles the base does not matter
    with pytest.raises(
        InputError, match=r"^body: its base is not where the plan's scene has it.*\(0\.0, 0\.01, 0\.0\)"
    ):
        play(replace(plan, scene=Scene(obstacles=(far,))), world, moved)


def test_other_fingers_and_a_loose_base_are_told_when_a_plan_is_played(world, plan, caplog):
    loose = p.loadURDF(DATA + "/franka_panda/panda.urdf", physicsClientId=world)
    p.resetJointState(loose, 9, 0.03, physicsClientId=world)
    play(plan, world, loose)
    assert "panda_finger_joint1 stands at 0.03, and the plan was made for 0" in caplog.text
    assert "panda_finger_joint2" not in caplog.text
    assert "the base of body 0 is not fixed" in caplog.text
