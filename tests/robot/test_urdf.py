"""URDF files: read as they say, or refused as bad input."""

from pathlib import Path

import numpy as np
import pytest

from diffplan.errors import InputError
from diffplan.robot.urdf import load_urdf

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
        ('name="end"', 'name="turn"', "two joints of one name"),
    ],
)
def test_what_is_wrong_is_refused_with_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=message) as refusal:
        load_urdf(_write(tmp_path, GOOD.replace(old, new)))
    assert "arm.urdf" in str(refusal.value)
