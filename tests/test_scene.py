import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import LARGEST, SMALLEST, Box, Capsule, Cylinder, Plane, Sphere
from diffplan.scene import Query, Scene

BALL = Sphere(name="ball", radius=0.1)
CAN = Cylinder(name="can", radius=0.1, height=0.2)


def test_adding_moving_and_removing_leave_the_first_scene_as_it_was() -> None:
    first = Scene(obstacles=(BALL,))
    moved = first.add(CAN).move("ball", Pose(xyz=(1, 0, 0)))
    assert first.obstacles == (BALL,)
    assert moved.obstacles == (Sphere(name="ball", radius=0.1, pose=Pose(xyz=(1, 0, 0))), CAN)
    assert moved.remove("ball").obstacles == (CAN,)


def test_two_obstacles_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"names must be unique \(found 'ball'\)"):
        Scene(obstacles=(BALL,)).add(Sphere(name="ball", radius=0.2))


@pytest.mark.parametrize("change", [Scene.obstacle, Scene.remove, lambda scene, name: scene.move(name, Pose())])
def test_a_misspelt_obstacle_is_answered_with_the_right_name(change) -> None:
    with pytest.raises(InputError, match=r"no obstacle named 'bal' \(did you mean 'ball'\?\).*ball, can"):
        change(Scene(obstacles=(BALL, CAN)), "bal")


def test_a_misspelt_query_is_answered_with_the_right_name() -> None:
    scene = Scene(queries={"default": Query(start="home", goal="upright")})
    assert scene.query("default").goal == "upright"
    with pytest.raises(InputError, match=r"no query named 'defualt' \(did you mean 'default'\?\)"):
        scene.query("defualt")


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_sizes_must_be_positive_and_finite(size: float) -> None:
    for make in (
        lambda: Box(name="a", size=(1, size, 1)),
        lambda: Sphere(name="a", radius=size),
        lambda: Cylinder(name="a", radius=1, height=size),
        lambda: Capsule(name="a", radius=size, height=1),
    ):
        with pytest.raises(InputError, match="not a positive finite length"):
            make()


@pytest.mark.parametrize("quat_xyzw", [(1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, float("nan"))])
def test_a_pose_that_is_none_is_bad_input(quat_xyzw: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=r"norm of 1|no finite number"):
        Pose(quat_xyzw=quat_xyzw)


@pytest.mark.parametrize("size", [1e-9, 0.9e-5, 300.1, 1e77, 1e154])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: Sphere(name="a", radius=size),
        lambda size: Box(name="a", size=(1, size, 1)),
        lambda size: Cylinder(name="a", radius=size, height=1),
        lambda size: Cylinder(name="a", radius=1, height=size),
        lambda size: Capsule(name="a", radius=size, height=1),
        lambda size: Capsule(name="a", radius=1, height=size),
    ],
)
def test_sizes_for_which_distances_do_not_hold_are_refused_with_the_bounds(make, size):
    with pytest.raises(InputError, match=r"too (large|small) for distances to hold.*0.00001 to 300 \[m\]"):
        make(size)
    for allowed in (SMALLEST, LARGEST):
        make(allowed)


def test_places_beyond_a_thousand_kilometres_are_refused():
    far = Pose(xyz=(0.0, -1.1e6, 0.0))
    for make in (lambda: Sphere(name="a", radius=1, pose=far), lambda: Plane(name="a", pose=far)):
        with pytest.raises(InputError, match=r"a.pose: too far away"):
            make()
    with pytest.raises(InputError, match=r"robot_base.pose: too far away"):
        Scene(robot_base=far)


def test_the_box_of_a_plane_has_its_surface_near_a_point():
    turned = Pose.from_rpy((0.3, -0.2, 0.5), (0.4, -0.2, 1.0))
    point = (7.0, -3.0, 2.0)
    box = Plane(name="wall", pose=turned).near(point)
    x, y, z = (box.pose.inverse() @ Pose(xyz=point)).xyz
    above = float((np.array(point) - turned.xyz) @ turned.matrix[:3, 2])
    assert abs(x) < 1e-9
    assert abs(y) < 1e-9
    assert z - box.size[2] / 2 == pytest.approx(above)


def test_names_are_compared_a_fixed_number_of_times_for_each_obstacle():
    """So that a scene of 10,000 obstacles is built, and added to, in milliseconds."""

    class Counted(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)  # pyright: ignore[reportArgumentType]

        __hash__ = str.__hash__

    def ball(i: int) -> Sphere:
        made = Sphere(name=f"ball {i}", radius=0.1)
        object.__setattr__(made, "name", Counted(made.name))
        return made

    number = 500
    scene = Scene(obstacles=tuple(ball(i) for i in range(number)))
    bigger = scene.add(ball(number))
    assert len(bigger.move("ball 7", Pose()).remove("ball 9").obstacles) == number
    assert Counted.compared < 10 * number
