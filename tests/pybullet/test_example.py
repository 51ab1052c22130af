"""The example's world, which no scene file describes, can be read and stood in."""

import importlib.util
from pathlib import Path

import pybullet as p

from diffplan.certificate.certifier import Certifier
from diffplan.pybullet.live import robot_as_held, robot_configuration
from diffplan.scene import Scene

EXAMPLE = Path(__file__).parents[2] / "examples" / "pybullet_world.py"


def test_the_world_of_the_example_is_read_and_its_arm_stands_free_on_the_table(panda):
    spec = importlib.util.spec_from_file_location("pybullet_world", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    client = p.connect(p.DIRECT)
    try:
        arm = example.make_world(client)
        robot = robot_as_held(client, arm, panda)
        scene = Scene.from_pybullet(client, robot_body=arm, robot=robot)
        assert len(scene.obstacles) == 11
        with Certifier(robot, scene) as certifier:
            check = certifier.check(robot_configuration(client, arm, robot))
        assert check.free, check.contact
    finally:
        p.disconnect(client)
