"""URDF files: read as they say, or refused as bad input."""

from pathlib import Path

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.robot.urdf import MOST_JOINTS, find_mesh, load_urdf

BOX = '<collision><geometry><box size="1 2 3"/></geometry></collision>'
GOOD = f"""<robot name="arm">
<link name="base">{BOX}</link><link name="arm"/><link name="tip"/>
<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 0 2"/>
<limit lower="-1" upper="1"/></joint>
<joint name="end" type="fixed"><parent link="arm"/><child link="tip"/><origin xyz="1 0 0"/></joint>
</robot>"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "arm.urdf"
    path.write_text(text)
    return path


def test_a_tree_is_read_with_shapes_and_chains(tmp_path: Path) -> None:
    model = load_urdf(_write(tmp_path, GOOD))
    assert (model.root, [joint.name for joint in model.chain("tip")]) == ("base", ["turn", "end"])
    assert model.collisions["base"][0].size == (1.0, 2.0, 3.0)
    quarter = model.joints["turn"].transform(np.pi / 2) @ model.joints["end"].transform(0.0)
    assert np.allclose(quarter[:3, 3], [0, 1, 0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('size="1 2 3"', 'size="1 2"', "size: not numbers .*3 finite numbers"),
        ('size="1 2 3"', "", "needs a positive size"),
        ('size="1 2 3"', 'size="1 2 nan"', "size: not numbers"),
        ('size="1 2 3"', 'size="1 2 -3"', "needs a positive size"),
        ('<box size="1 2 3"/>', '<sphere radius=""/>', "radius: not numbers"),
        ('<box size="1 2 3"/>', '<cylinder radius="1"/>', "needs a positive length"),
        ('xyz="1 0 0"', 'xyz="1 0"', "xyz: not numbers"),
        ('lower="-1"', 'lower=""', "lower: not numbers"),
        ('<parent link="arm"/>', '<parent link="am"/>', "end: no such link .found 'am'.; allowed: base, arm, tip"),
        ('<link name="tip"/>', '<link name="tip"/><link name="tip"/>', "two links of one name .found 'tip'"),
        ('<link name="tip"/>', '<link name="tip"/><link name="loose"/>', "one tree"),
        ('<parent link="base"/>', '<parent link="tip"/>', "one tree"),
        ('<child link="tip"/>', '<child link="base"/>', "one tree"),
        ('name="end"', 'name="turn"', "arm.urdf:5: joint: two joints of one name"),
        ('<link name="tip"/>', '<link name="tip"/><link name="loose"/>', "found 'roots: base, loose'"),
        ('<child link="tip"/>', '<child link="arm"/>', "found 'roots: base, tip'"),
        ('xyz="1 0 0"', 'xyz="${reach} 0 0"', r"arm.urdf:5: a xacro file, not expanded yet .found '\${reach} 0 0'"),
        ('name="arm"/>', 'name="$(arg prefix)arm"/>', "a xacro file, not expanded yet"),
        ('xyz="0 0 2"', 'xyz="0 0 0"', "arm.urdf:3: turn: joint axis has no length"),
        ('upper="1"', 'upper="nan"', "upper: not numbers .found 'nan'.; allowed: a finite number"),
    ],
)
def test_what_is_wrong_is_refused_with_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=message) as refusal:
        load_urdf(_write(tmp_path, GOOD.replace(old, new)))
    assert "arm.urdf" in str(refusal.value)


def test_what_is_wrong_in_many_places_is_told_once_with_all_lines(tmp_path: Path) -> None:
    links = "".join(
        f'\n<link name="l{i}"><collision><geometry><box size="{i},1,1"/></geometry></collision></link>'
        for i in range(4)
    )
    with pytest.raises(InputError) as refusal:
        load_urdf(_write(tmp_path, f'<robot name="arm">{links}</robot>'))
    told = str(refusal.value)
    assert told.count("\n") == 0
    assert "arm.urdf:2: size: not numbers (found '0,1,1')" in told
    assert told.endswith("and 3 more like it: lines 3, 4, 5")
    assert [error.value for error in refusal.value.errors] == ["0,1,1", "1,1,1", "2,1,1", "3,1,1"]


@pytest.mark.parametrize("kind", ["floating", "planar"])
def test_a_joint_that_floats_or_slides_in_a_plane_stands_still(tmp_path: Path, kind: str) -> None:
    model = load_urdf(_write(tmp_path, GOOD.replace('type="fixed"', f'type="{kind}"')))
    assert model.joints["end"].kind == "fixed"
    assert model.spelt == {"end": kind}
    np.testing.assert_allclose(model.link_poses({"turn": 0.0})["tip"][:3, 3], [1, 0, 0])


@pytest.mark.parametrize("limits", [("-1e16", "1e16"), ("-inf", "INF"), ("-1000", "1000")])
def test_a_joint_with_limits_that_stand_for_none_is_continuous(tmp_path: Path, limits: tuple[str, str]) -> None:
    low, high = limits
    model = load_urdf(_write(tmp_path, GOOD.replace('"-1"', f'"{low}"').replace('upper="1"', f'upper="{high}"')))
    assert model.joints["turn"].kind == "continuous"
    assert model.spelt == {"turn": f"revolute, {low} ... {high} rad"}


def test_a_velocity_without_end_is_none_and_a_fixed_joint_needs_neither_axis_nor_limits(tmp_path: Path) -> None:
    text = GOOD.replace('upper="1"', 'upper="1" velocity="inf"')
    text = text.replace('<origin xyz="1 0 0"/>', '<origin xyz="1 0 0"/><axis xyz=""/><limit lower="" upper=""/>')
    model = load_urdf(_write(tmp_path, text))
    assert model.velocity == {}
    assert model.joints["end"].kind == "fixed"


def test_more_joints_than_pybullet_holds_are_refused(tmp_path: Path) -> None:
    text = "".join(
        f'<link name="l{i}"/><joint name="j{i}" type="fixed"><parent link="base"/><child link="l{i}"/></joint>'
        for i in range(MOST_JOINTS)
    )
    with pytest.raises(InputError, match=f"joint: {MOST_JOINTS + 2} joints; allowed: up to {MOST_JOINTS}"):
        load_urdf(_write(tmp_path, GOOD.replace("</robot>", f"{text}</robot>")))


@pytest.mark.parametrize(
    "spelt", ["meshes/a%20b.stl", "meshes\\a b.stl", "file:meshes/a b.stl", "file://meshes/a b.stl"]
)
def test_a_mesh_may_be_named_as_a_url_or_with_backslashes(tmp_path: Path, spelt: str) -> None:
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "a b.stl").touch()
    assert find_mesh(spelt, tmp_path, {}) == tmp_path / "meshes" / "a b.stl"
