"""`robots add`: what it finds out of small URDFs of primitives, what it writes, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from diffplan.certificate.certifier import Certifier
from diffplan.cli import main
from diffplan.errors import InputError
from diffplan.geometry.pose import Pose
from diffplan.ik import inverse_kinematics
from diffplan.learning.add_robot import AddRequest, add_robot, check_units, reach
from diffplan.robot.discovery import Anatomy, Wishes, anatomy
from diffplan.robot.model import Robot
from diffplan.robot.package_folders import package_folders
from diffplan.robot.srdf import find_srdf, load_srdf
from diffplan.robot.urdf import UrdfModel, load_urdf
from diffplan.scene import PoseGoal, Scene


@dataclass(frozen=True, kw_only=True)
class Part:
    """A link and the joint that carries it: `limits` are `lower upper`, `more` goes into the joint."""

    link: str
    parent: str
    joint: str
    kind: str = "fixed"
    xyz: str = "0 0 0"
    axis: str = "0 0 1"
    limits: str = "-2 2"
    velocity: str = "2"
    shape: str = ""
    more: str = ""


def urdf(root: str, *parts: Part, name: str = "arm", root_shape: str = "") -> str:
    """Return the text of a URDF."""
    text = f'<robot name="{name}">{_link(root, root_shape)}'
    for part in parts:
        text += _link(part.link, part.shape)
        text += f'<joint name="{part.joint}" type="{part.kind}"><parent link="{part.parent}"/>'
        text += f'<child link="{part.link}"/><origin xyz="{part.xyz}"/><axis xyz="{part.axis}"/>{part.more}'
        if part.kind in ("revolute", "prismatic") and part.limits:
            low, high = part.limits.split()
            speed = f' velocity="{part.velocity}"' if part.velocity else ""
            text += f'<limit lower="{low}" upper="{high}" effort="1"{speed}/>'
        text += "</joint>"
    return text + "</robot>"


def _link(name: str, shape: str) -> str:
    return f'<link name="{name}">' + (shape and f"<collision><geometry>{shape}</geometry></collision>") + "</link>"


BALL = '<sphere radius="0.03"/>'


def chain(parent: str, count: int, *, prefix: str = "", kind: str = "revolute", step: str = "0.15") -> list[Part]:
    """Return links of a serial arm, their axes z, y, y, ..., `step` [m] apart along z."""
    parts = []
    for i in range(1, count + 1):
        link = f"{prefix}link{i}"
        axis = "0 1 0" if i % 3 else "0 0 1"
        parts.append(
            Part(
                link=link, parent=parent, joint=f"{prefix}joint{i}", kind=kind, xyz=f"0 0 {step}", axis=axis, shape=BALL
            )
        )
        parent = link
    return parts


def gripper(parent: str, *, prefix: str = "") -> list[Part]:
    """Return two fingers, the second of which follows the first."""
    finger = '<box size="0.01 0.02 0.06"/>'
    slide = {"kind": "prismatic", "limits": "0 0.03", "shape": finger}
    hand = Part(link=f"{prefix}hand", parent=parent, joint=f"{prefix}mount", xyz="0 0 0.05", shape=BALL)
    left = Part(link=f"{prefix}left", parent=hand.link, joint=f"{prefix}grip", xyz="0.01 0 0.06", axis="1 0 0", **slide)
    follows = f'<mimic joint="{left.joint}"/>'
    right = Part(
        link=f"{prefix}right",
        parent=hand.link,
        joint=f"{prefix}follow",
        xyz="-0.01 0 0.06",
        axis="-1 0 0",
        more=follows,
        **slide,
    )
    return [hand, left, right]


ARM = [*chain("base", 6), Part(link="tool0", parent="link6", joint="flange", xyz="0 0 0.05")]
HANDED = [*chain("base", 6), *gripper("link6")]


@pytest.fixture
def model(tmp_path: Path):
    """A URDF's model, of its root, parts and the root's shape."""

    def made(root: str, *parts: Part, root_shape: str = BALL) -> UrdfModel:
        file = tmp_path / "arm.urdf"
        file.write_text(urdf(root, *parts, root_shape=root_shape))
        return load_urdf(file)

    return made


def found(parts: Anatomy) -> dict[str, str]:
    return {choice.what: choice.value for choice in parts.choices}


def test_an_arm_is_found_and_each_decision_names_its_flag(model):
    parts = anatomy(model("base", *ARM), Wishes())
    assert (parts.base_link, parts.end_link) == ("base", "link6")
    assert parts.joint_names == tuple(f"joint{i}" for i in range(1, 7))
    assert parts.gripper is None
    assert parts.held_joints == {}
    flags = {choice.what: choice.flag for choice in parts.choices}
    assert flags["base"] == "--base LINK"
    assert flags["tip"] == "--tip LINK"
    assert flags["joints"] == "--joints A,B,..."
    assert flags["tool"] == "--tool LINK | --tool-offset X,Y,Z"


def test_an_empty_frame_at_the_tip_is_the_tool_and_not_the_end_of_the_arm(model):
    parts = anatomy(model("base", *ARM), Wishes())
    assert (parts.end_link, parts.tool.link) == ("link6", "tool0")
    told = anatomy(model("base", *ARM), Wishes(tip="tool0"))
    assert (told.end_link, told.tool.link) == ("link6", "tool0")


def test_an_empty_root_called_world_is_not_the_base(model):
    mount = Part(link="base", parent="world", joint="mount", xyz="0 0 0.3", shape=BALL)
    parts = anatomy(model("world", mount, *ARM, root_shape=""), Wishes())
    assert parts.base_link == "base"
    assert anatomy(model("world", mount, *ARM, root_shape=""), Wishes(base="world")).base_link == "world"


def test_a_gripper_is_held_open_its_follower_follows_and_the_tool_is_between_the_fingers(model):
    parts = anatomy(model("base", *HANDED), Wishes())
    assert parts.end_link == "hand"
    assert len(parts.joint_names) == 6
    assert parts.gripper is not None
    assert parts.gripper.joints == {"grip": (0.03, 0.0)}
    assert parts.gripper.may_touch == ("left", "right")
    assert parts.held_joints == {"grip": 0.03}
    np.testing.assert_allclose(parts.tool.pose.xyz, (0, 0, 0.06 + 0.03 - 0.01), atol=1e-9)
    assert "follow" in next(choice.why for choice in parts.choices if choice.what == "gripper")


def test_fingers_that_close_towards_the_upper_limit_are_open_at_the_lower_one(model):
    parts = [*HANDED[:-2]]
    for name, side in (("left", 1), ("right", -1)):
        turn = {"kind": "revolute", "limits": "0 0.8", "axis": f"0 {-side} 0", "xyz": f"{0.03 * side} 0 0.01"}
        pad = Part(link=f"{name}pad", parent=name, joint=f"{name}fix", xyz="0 0 0.05", shape=BALL)
        parts += [Part(link=name, parent="hand", joint=f"{name}turn", **turn), pad]
    gripper = anatomy(model("base", *parts), Wishes()).gripper
    assert gripper is not None
    assert gripper.joints == {"leftturn": (0.0, 0.8), "rightturn": (0.0, 0.8)}


def test_fingers_whose_limits_are_more_than_a_turn_apart_are_held_at_zero(model):
    turn = {"kind": "revolute", "limits": "-10.01 10.4", "shape": BALL}
    fingers = [Part(link=f"{side}finger", parent="link6", joint=side, **turn) for side in ("left", "right")]
    parts = anatomy(model("base", *chain("base", 6), *fingers), Wishes())
    assert (parts.end_link, parts.gripper) == ("link6", None)
    assert parts.held_joints == {"left": 0.0, "right": 0.0}


def test_a_single_jaw_is_a_finger_and_the_roll_before_it_is_none(model):
    jaw = Part(link="moving_jaw", parent="link5", joint="gripper", kind="revolute", limits="-0.2 2", shape=BALL)
    parts = anatomy(model("base", *chain("base", 5), jaw), Wishes())
    assert parts.end_link == "link5"
    assert len(parts.joint_names) == 5
    assert list(parts.gripper.joints) == ["gripper"] if parts.gripper else False


def test_of_two_arms_the_first_is_planned_for_the_other_held_and_the_user_chooses(model):
    arms = [*chain("base", 6, prefix="left_"), *gripper("left_link6", prefix="left_")]
    arms += [*chain("base", 6, prefix="right_"), *gripper("right_link6", prefix="right_")]
    both = model("base", *arms, Part(link="head", parent="base", joint="nod", kind="revolute", shape=BALL))
    left, right = anatomy(both, Wishes()), anatomy(both, Wishes(tip="right_hand"))
    assert left.end_link == "left_hand"
    assert "right_hand" in next(choice.why for choice in left.choices if choice.what == "tip")
    assert set(left.held_joints) == {"left_grip", "nod", "right_grip", *(f"right_joint{i}" for i in range(1, 7))}
    assert right.joint_names == tuple(f"right_joint{i}" for i in range(1, 7))
    assert right.gripper is not None
    assert list(right.gripper.joints) == ["right_grip"]
    assert right.held_joints["left_grip"] == 0.0  # of a gripper that is not this arm's


def test_held_joints_stand_within_their_limits_or_where_the_user_says(model):
    nod = Part(link="head", parent="base", joint="nod", kind="revolute", limits="0.4 1", shape=BALL)
    both = model("base", *ARM, nod)
    assert anatomy(both, Wishes()).held_joints == {"nod": 0.4}
    parts = anatomy(both, Wishes(hold={"nod": 0.7, "joint1": 0.5}))
    assert parts.held_joints == {"joint1": 0.5, "nod": 0.7}
    assert parts.joint_names == tuple(f"joint{i}" for i in range(2, 7))
    assert "held" not in found(parts)  # nothing was decided


def test_a_joint_in_the_arm_that_follows_another_is_not_planned_for(model):
    arm = chain("base", 6)
    arm[2] = Part(**{**vars(arm[2]), "more": '<mimic joint="joint2" multiplier="-1"/>'})
    parts = anatomy(model("base", *arm), Wishes())
    assert parts.joint_names == ("joint1", "joint2", "joint4", "joint5", "joint6")
    assert parts.held_joints == {}
    assert "joint3" in next(choice.why for choice in parts.choices if choice.what == "joints")


def test_continuous_and_sliding_joints_are_planned_for(model):
    rail = Part(link="cart", parent="base", joint="rail", kind="prismatic", axis="1 0 0", limits="-0.5 0.5", shape=BALL)
    parts = anatomy(model("base", rail, *chain("cart", 4), *chain("link4", 2, prefix="w", kind="continuous")), Wishes())
    assert parts.joint_names == ("rail", *(f"joint{i}" for i in range(1, 5)), "wjoint1", "wjoint2")


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(tip="link7"), r"--tip: arm.urdf has no such link \(did you mean 'link6'\?\)"),
        (Wishes(base="bass"), r"--base: arm.urdf has no such link \(did you mean 'base'\?\)"),
        (Wishes(joints=("joint9",)), "--joints: arm.urdf has no such joint"),
        (Wishes(joints=("grip",)), "--joints: not between base and hand"),
        (Wishes(hold={"mount": 0.0}), "--hold: it is fixed"),
        (Wishes(hold={"grip": 0.1}), r"--hold: outside the limits of grip \(found 0.1\); allowed: 0 ... 0.03"),
        (Wishes(hold={"follow": 0.0}), r"--hold: it follows grip \(mimic\)"),
        (Wishes(tool="link2"), "--tool: does not stand still to hand"),
        (Wishes(tool="hand", tool_offset=(0, 0, 0.1)), "--tool and --tool-offset exclude each other"),
        (Wishes(base="link3", tip="link2"), "link2 is not below the base link link3"),
        (Wishes(tip="base"), "no joint moves base against base"),
    ],
)
def test_a_wish_for_what_is_not_there_is_refused_with_its_flag(model, wishes, message):
    with pytest.raises(InputError, match=message):
        anatomy(model("base", *HANDED), wishes)


SRDF = """<robot name="arm">
  <group name="manipulator"><chain base_link="base" tip_link="link5"/></group>
  <group_state name="Home" group="manipulator">{values}</group_state>
  <group_state name="open" group="hand"><joint name="grip" value="0.02"/></group_state>
  <group_state name="floating" group="all"><joint name="root_joint" value="0 0 0 0 0 0 1"/></group_state>
  <disable_collisions link1="link1" link2="link3" reason="{reason}"/>
</robot>"""


def srdf(reason: str = "User", **values: float) -> str:
    joints = {f"joint{i}": 0.1 * i for i in range(1, 6)} | values
    lines = "".join(f'<joint name="{name}" value="{value}"/>' for name, value in joints.items())
    return SRDF.format(values=lines, reason=reason)


def test_the_srdf_beside_the_urdf_is_found_and_its_chain_and_states_are_read(model, tmp_path):
    arm = model("base", *HANDED)
    assert find_srdf(arm) is None
    (tmp_path / "other.srdf").write_text(srdf().replace("link3", "link33"))
    assert find_srdf(arm) is None  # about links that are not there
    (tmp_path / "arm.srdf").write_text(srdf())
    semantics = load_srdf(find_srdf(arm) or "", arm)
    assert semantics.states["manipulator", "Home"]["joint5"] == 0.5
    assert semantics.passed_over == ("floating",)
    assert semantics.disabled == {frozenset(("link1", "link3")): "User"}
    assert anatomy(arm, Wishes(), semantics).end_link == "link5"
    assert anatomy(arm, Wishes(tip="hand"), semantics).gripper.joints == {"grip": (0.02, 0.0)}  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(InputError, match=r"other.srdf: disable_collisions link2: the URDF has no such link"):
        load_srdf(tmp_path / "other.srdf", arm)


def test_sizes_that_speak_for_other_units_are_refused_with_the_flag(model):
    arm = model("base", *chain("base", 6, step="3"))
    assert reach(arm, anatomy(arm, Wishes())) == pytest.approx(15)
    with pytest.raises(InputError, match=r"the arm would reach 15 m: is the file in millimetres.*--any-size"):
        check_units(arm, anatomy(arm, Wishes()))
    bulky = chain("base", 6)
    bulky[3] = Part(**{**vars(bulky[3]), "shape": '<box size="90 80 70"/>'})
    large = model("base", *bulky)
    with pytest.raises(InputError, match=r"link4: link4 is 90 m across, on an arm that reaches 0.75 m.*millimetres"):
        check_units(large, anatomy(large, Wishes()))


def test_packages_lie_where_the_user_says_or_are_told_to_be_guessed(tmp_path):
    folder = tmp_path / "kuka" / "kr3"
    (folder / "urdf").mkdir(parents=True)
    (folder / "meshes").mkdir()
    mesh = '<mesh filename="package://kuka_kr3_support/meshes/link.stl"/>'
    file = folder / "urdf" / "arm.urdf"
    file.write_text(urdf("base", *ARM, root_shape=mesh))
    with pytest.raises(InputError, match=r"mesh file not found .*--package-path DIR, the folder of kuka_kr3_support"):
        package_folders(file)
    (folder / "meshes" / "link.stl").write_bytes(b"")
    guessed = package_folders(file)
    assert guessed.folders == {"kuka_kr3_support": folder}
    assert "another folder name" in guessed.reasons["kuka_kr3_support"]
    given = tmp_path / "elsewhere" / "kuka_kr3_support"
    (given / "meshes").mkdir(parents=True)
    (given / "meshes" / "link.stl").write_bytes(b"")
    for path in (given, given.parent):
        assert package_folders(file, [path]).folders == {"kuka_kr3_support": given}
        assert package_folders(file, [path]).reasons == {}
    with pytest.raises(InputError, match="--package-path: no package of the URDF lies there"):
        package_folders(file, [folder / "meshes"])
    (folder / "package.xml").write_text("<package><name>kuka_kr3_support</name></package>")
    assert package_folders(file).folders == {}  # found from the URDF's own place


def test_relative_mesh_names_may_start_from_a_folder_above_and_that_is_told(home, tmp_path, run, coarse_fit):
    (tmp_path / "arms" / "urdf").mkdir(parents=True)
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "base.stl").write_bytes(trimesh.creation.box((0.1, 0.1, 0.1)).export(file_type="stl"))
    file = tmp_path / "arms" / "urdf" / "arm.urdf"
    file.write_text(urdf("base", *ARM, root_shape='<mesh filename="meshes/base.stl"/>'))
    with pytest.raises(InputError, match="mesh file not found"):
        load_urdf(file)
    code, said = run("robots", "add", file)
    assert code == 0, said
    assert f"mesh folder: {tmp_path}" in said
    (shape,) = Robot.load("arm").model.collisions["base"]
    assert shape.files[0].resolve() == tmp_path / "meshes" / "base.stl"


def test_what_is_read_as_something_else_and_what_does_not_collide_is_told(home, tmp_path, run, coarse_fit):
    arm = [Part(**{**vars(part), "limits": "-1e6 1e6"}) if part.joint == "joint3" else part for part in ARM]
    mount = Part(link="base", parent="world", joint="drive", kind="planar", xyz="0 0 0.3", shape=BALL)
    text = urdf("world", mount, *arm)
    seen = "<visual><geometry><box size='0.1 0.1 0.1'/></geometry></visual>"
    (tmp_path / "arm.urdf").write_text(text.replace('<link name="tool0">', f'<link name="tool0">{seen}'))
    code, said = run("robots", "add", tmp_path / "arm.urdf")
    assert code == 0, said
    assert "read as fixed: drive (planar)" in said
    assert "read as continuous: joint3 (revolute, -1e6 ... 1e6 rad)" in said
    assert "links that do not collide: tool0" in said
    robot = Robot.load("arm")
    assert robot.base_link == "base"
    assert robot.continuous.tolist() == [joint == "joint3" for joint in robot.joint_names]


def test_names_that_yaml_reads_as_something_else_stay_names(home, tmp_path, run, coarse_fit):
    names, text = ("no", "1e3", "12:30", "e: f", "[g, h]", "k#l ü/ß"), urdf("base", *ARM, root_shape=BALL)
    for number, name in enumerate(names, start=1):
        text = text.replace(f'"joint{number}"', f'"{name}"').replace(f'"link{number}"', f'"{name}"')
    folder = tmp_path / "mein arm ö"
    folder.mkdir()
    (folder / "arm.urdf").write_text(text, encoding="utf-8")
    code, said = run("robots", "add", folder / "arm.urdf")
    assert code == 0, said
    robot = Robot.load("arm")
    assert (robot.joint_names, robot.end_link, robot.spheres.links) == (names, names[-1], ("base", *names))
    with Certifier(robot, Scene()) as certifier:
        assert certifier.check(robot.configuration("home")).free


@pytest.fixture
def run(capfd):
    """Runs the command line: its exit code, and all that it said."""

    def command(*words: str | Path) -> tuple[int, str]:
        code = main([str(word) for word in words])
        return code, "".join(capfd.readouterr())

    return command


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DIFFPLAN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "robots"


@pytest.fixture
def added(home, tmp_path, coarse_fit) -> Robot:
    (tmp_path / "arm.urdf").write_text(urdf("base", *HANDED, name="My Arm", root_shape=BALL))
    heard = []
    robot = add_robot(AddRequest(urdf=tmp_path / "arm.urdf"), heard.append).robot
    assert {"name", "base", "tip", "tool", "joints", "held", "gripper", "home", "jerk limits"} <= {
        c.what for c in heard
    }
    return robot


def test_an_added_robot_goes_by_its_name_and_by_its_path(added, home, tmp_path):
    assert added.name == "my_arm"
    for word in ("my_arm", home / "my_arm", home / "my_arm" / "robot.yaml"):
        robot = Robot.load(word)
        assert robot.joint_names == added.joint_names
        assert robot.tool == added.tool
        assert robot.gripper == added.gripper
        assert robot.fingerprint == added.fingerprint
    scene = "format: diffplan/scene@1\nname: s\nrobot: my_arm\nobstacles: []\n"
    (tmp_path / "scene.yaml").write_text(scene + "queries: {default: {start: home, goal: home}}\n")
    assert Scene.load(tmp_path / "scene.yaml").robot == "my_arm"
    assert {path.name for path in (home / "my_arm").iterdir()} == {
        "robot.yaml",
        "collision.yaml",
        "report.md",
        "report.png",
    }
    assert [path.name for path in home.iterdir()] == ["my_arm"]


def test_a_robot_with_wheels_is_added(home, tmp_path, run, coarse_fit):
    wheel = Part(link="wheel", parent="base", joint="wheel", kind="continuous", xyz="0 0.1 0", shape=BALL)
    (tmp_path / "arm.urdf").write_text(urdf("base", *ARM, wheel, root_shape=BALL))
    code, said = run("robots", "add", tmp_path / "arm.urdf")
    assert code == 0, said
    assert Robot.load("arm").held_joints == {"wheel": 0.0}


def test_held_joints_without_limits_are_added_and_stay(home, tmp_path, run, coarse_fit):
    text = urdf("base", *HANDED, root_shape=BALL).replace('lower="0" upper="0.03"', 'lower="0" upper="0"')
    lid = Part(link="lid", parent="base", joint="lid", kind="revolute", limits="", xyz="0 0.1 0", shape=BALL)
    (tmp_path / "arm.urdf").write_text(text.replace("</robot>", urdf("base", lid).split("</link>", 1)[1]))
    code, said = run("robots", "add", tmp_path / "arm.urdf", "--hold", "lid=0.5")
    assert code == 0, said
    assert Robot.load("arm").held_joints == {"grip": 0.0, "follow": 0.0, "lid": 0.5}
    assert Robot.load("arm").with_held({"lid": 0.5}).held_joints["lid"] == 0.5


def test_home_is_folded_free_and_within_the_limits(added):
    home = added.configuration("home")
    assert ((home > added.lower) & (home < added.upper)).all()
    with Certifier(added, Scene()) as certifier:
        assert certifier.check(home).self_clearance_m > 0.01
    stretched = reach(added.model, anatomy(added.model, Wishes()))
    tool = added.link_pose(home, "hand")[0, :3, 3]
    assert np.linalg.norm(tool - (0, 0, 0.15)) < 0.8 * stretched


def test_limits_that_nobody_tells_are_defaults_and_are_named_as_such(added):
    assert set(added.assumed) == {"acceleration", "jerk"}
    np.testing.assert_allclose(added.velocity, 2.0)
    np.testing.assert_allclose(added.acceleration, 8.0)
    np.testing.assert_allclose(added.jerk, 160.0)
    report = (added.file.parent / "report.md").read_text()  # pyright: ignore[reportOptionalMemberAccess]
    assert "8 (default)" in report
    assert "160 (default)" in report


def test_the_report_has_links_pairs_and_a_picture_of_arm_hulls_and_spheres(added):
    folder = added.file.parent  # pyright: ignore[reportOptionalMemberAccess]
    text = (folder / "report.md").read_text()
    links, pairs = (
        [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in text.split(heading)[1].splitlines()
            if "|" in line
        ]
        for heading in ("## Mesh, hulls and spheres", "## Links that can touch")
    )
    counts = {cells[0]: int(cells[5]) for cells in links if len(cells) == 8 and cells[5].isdigit()}
    assert counts == {link: int((added.spheres.link == n).sum()) for n, link in enumerate(added.spheres.links)}
    shares = [cells for cells in pairs if cells[0] in counts]
    assert shares
    assert all(cells[1] in counts and cells[2].endswith("%") and cells[3].endswith("%") for cells in shares)
    with Image.open(folder / "report.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert all((part != 255).any(axis=2).mean() > 0.02 for part in np.split(pixels, 3, axis=1))


def test_plans_checks_and_benchmarks_say_which_limits_are_defaults(added, tmp_path, run):
    scene = tmp_path / "scene.yaml"
    text = "format: diffplan/scene@1\nname: s\nrobot: my_arm\nobstacles: []\nqueries:\n"
    scene.write_text(text + "  default: {start: home, goal: [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}\n")
    words = "my_arm: default limits, since neither robot file nor URDF tells any: acceleration of joint1, joint2"
    plan, bench = tmp_path / "plan.json", tmp_path / "bench"
    for command in (
        ("plan", scene, "--planner", "straight", "--out", plan),
        ("check", scene),
        ("bench", scene, "--planners", "straight", "--out", bench),
    ):
        code, said = run(*command)
        assert code == 0, said
        assert words in said
    assert json.loads(plan.read_text())["assumed_limits"]["jerk"] == [f"joint{i}" for i in range(1, 7)]
    assert any(words in note for note in json.loads((bench / "summary.json").read_text())["notes"])
    assert "default limits" in (bench / "report.html").read_text()


def test_a_robot_is_replaced_only_if_that_is_said_and_keeps_its_weights(added, home, tmp_path, coarse_fit):
    request = AddRequest(urdf=tmp_path / "arm.urdf")
    with pytest.raises(InputError, match=r"my_arm: there is such a robot already; allowed: --replace"):
        add_robot(request, lambda choice: None)
    (home / "my_arm" / "prior.safetensors").write_bytes(b"weights")
    again = AddRequest(urdf=tmp_path / "arm.urdf", replace=True, wishes=Wishes(tool="hand"))
    assert add_robot(again, lambda choice: None).robot.tool_frame.link == "hand"
    assert (home / "my_arm" / "prior.safetensors").read_bytes() == b"weights"
    assert [path.name for path in home.iterdir()] == ["my_arm"]


def test_what_fails_leaves_nothing_behind_and_the_old_robot_as_it_was(added, home, tmp_path, monkeypatch):
    before = (home / "my_arm" / "robot.yaml").read_bytes()

    def fail(folder: str, parts: str) -> None:
        raise InputError("no fit")

    monkeypatch.setattr("diffplan.learning.add_robot.fit_robot", fail)
    for name in (None, "other"):
        with pytest.raises(InputError, match="no fit"):
            add_robot(AddRequest(urdf=tmp_path / "arm.urdf", name=name, replace=True), lambda choice: None)
    assert [path.name for path in home.iterdir()] == ["my_arm"]
    assert (home / "my_arm" / "robot.yaml").read_bytes() == before


def test_a_robot_whose_package_is_missing_does_not_keep_the_others_from_the_list(added, home, run):
    file = home / "my_arm" / "robot.yaml"
    text = file.read_text()
    line = next(line for line in text.splitlines() if line.startswith("urdf:"))
    file.write_text(text.replace(line, "urdf: {package: no_such_arms, file: arm.urdf, pip: no-such-arms}"))
    code, said = run("robots")
    assert code == 0
    assert "my_arm cannot be loaded" in said
    assert "pip install no-such-arms" in said
    assert "panda" in said


def test_the_users_robot_comes_before_a_shipped_one_of_its_name_and_that_is_said(added, home, capsys):
    (home / "my_arm").rename(home / "panda")
    assert Robot.load("panda").name == "my_arm"
    assert "robot panda: yours in" in capsys.readouterr().err


def test_names_of_shipped_robots_and_names_that_are_no_folder_are_refused(home, tmp_path, run):
    (tmp_path / "arm.urdf").write_text(urdf("base", *ARM, root_shape=BALL))
    for name, message in (("panda", "a shipped robot has this name"), ("../x", "not a name for a folder")):
        code, said = run("robots", "add", tmp_path / "arm.urdf", "--name", name)
        assert code == 2
        assert message in said


def test_commands_add_list_show_and_remove(home, tmp_path, run, coarse_fit):
    (tmp_path / "arm.urdf").write_text(urdf("base", *HANDED, root_shape=BALL))
    code, said = run(
        "robots", "add", tmp_path / "arm.urdf", "--name", "mine", "--tool-offset", "-0.1,0,0.1", "--hold", "joint1=0.3"
    )
    assert code == 0, said
    assert "joints: joint2, joint3, joint4, joint5, joint6" in said
    assert "--joints A,B,..." in said
    assert Robot.load("mine").tool_frame.pose.xyz == (-0.1, 0, 0.1)
    assert Robot.load("mine").held_joints["joint1"] == 0.3
    assert "mine" in run("robots")[1]
    code, said = run("robots", "show", "mine")
    assert code == 0
    assert "default" in said
    assert run("robots", "remove", "mine")[0] == 0
    assert not (home / "mine").exists()
    assert run("robots", "show", "mine")[0] == 2
    for name, message in (("panda", "a shipped robot cannot be removed"), ("mine", "no robot of that name was added")):
        code, said = run("robots", "remove", name)
        assert code == 2
        assert message in said


def test_a_folder_of_the_user_s_choice_names_the_urdf_relatively_where_both_can_move(home, tmp_path, run, coarse_fit):
    project = tmp_path / "project"
    (project / "urdf").mkdir(parents=True)
    (project / "urdf" / "arm.urdf").write_text(urdf("base", *ARM, root_shape=BALL))
    code, said = run("robots", "add", project / "urdf" / "arm.urdf", "--out", project / "robots")
    assert code == 0, said
    assert "urdf: {file: ../../urdf/arm.urdf}" in (project / "robots" / "arm" / "robot.yaml").read_text()
    project.rename(tmp_path / "moved")
    assert Robot.load(tmp_path / "moved" / "robots" / "arm").dof == 6
    assert not home.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<robot name="a"><xacro:arm/></robot>', "not readable as XML|a xacro file, not expanded yet"),
        (
            '<robot name="a" xmlns:xacro="x"><xacro:arm/></robot>',
            "xacro FILE -o ROBOT.urdf|xacro arm.urdf -o ROBOT.urdf",
        ),
        ("<sdf/>", "not a URDF file"),
        (urdf("base", *chain("base", 3, kind="fixed"), root_shape=BALL), "no joint moves"),
        (urdf("base", *chain("base", 3, kind="ball"), root_shape=BALL), "arm.urdf:1: joint1: joint type not supported"),
        (
            urdf("base", *ARM, root_shape=BALL).replace('lower="-2" upper="2"', 'lower="-180" upper="180"'),
            "joint1 would turn from -180 to 180 rad: are its limits in degrees?",
        ),
        (
            urdf("base", *ARM, root_shape=BALL).replace('lower="-2" upper="2"', 'lower="2" upper="-2"'),
            "has no position limits (found '2 ... -2')",
        ),
        (
            urdf("base", *ARM, root_shape='<mesh filename="no.stl"/>'),
            "arm.urdf:1: mesh filename: mesh file not found (found 'no.stl')",
        ),
        (urdf("base", *ARM).replace("<collision>", "<visual>").replace("</collision>", "</visual>"), "no collision"),
        (
            urdf("base", *ARM, root_shape=BALL).replace('lower="-2" upper="2"', 'lower="0" upper="0"'),
            "has no position limits",
        ),
        (urdf("base", *chain("base", 6, step="3"), root_shape=BALL), "would reach 15 m"),
    ],
)
def test_a_urdf_that_cannot_be_used_gets_exit_2_and_the_reason(home, tmp_path, run, text, message):
    (tmp_path / "arm.urdf").write_text(text)
    code, said = run("robots", "add", tmp_path / "arm.urdf")
    assert code == 2, said
    assert any(part in said for part in message.split("|")), said
    assert not home.exists()


def test_pairs_that_the_user_s_srdf_exempts_do_not_count_and_those_of_one_that_lies_there_do(
    home, tmp_path, run, coarse_fit
):
    fold = [Part(**{**vars(part), "limits": "-3.1 3.1", "axis": "0 1 0"}) for part in chain("base", 4, step="0.1")]
    (tmp_path / "arm.urdf").write_text(urdf("base", *fold, root_shape=BALL))
    semantics = srdf(reason="Default").replace("link5", "link4").replace('<joint name="joint5" value="0.5"/>', "")
    semantics = semantics.replace('<joint name="grip" value="0.02"/>', '<joint name="joint1" value="0"/>')
    (tmp_path / "arm.srdf").write_text(semantics)
    code, said = run("robots", "add", tmp_path / "arm.urdf")
    assert code == 0, said
    assert "pairs that count: link1 - link3" in said
    assert "states left out: floating" in said
    assert frozenset(("link1", "link3")) not in Robot.load("arm").touching
    assert Robot.load("arm").configuration("home") == pytest.approx([0.1, 0.2, 0.3, 0.4])
    code, said = run("robots", "add", tmp_path / "arm.urdf", "--srdf", tmp_path / "arm.srdf", "--replace")
    assert code == 0, said
    assert "pairs that do not count: link1 - link3" in said
    assert ("link1", "link3") not in Robot.load("arm").certified_pairs
    code, said = run("robots", "add", tmp_path / "arm.urdf", "--srdf", "none", "--replace")
    assert code == 0, said
    assert "SRDF" not in said


def test_a_pose_without_a_link_is_the_tool_s(added):
    rng, base = np.random.default_rng(0), Pose(xyz=(0, 0, 0.1))
    q = rng.uniform(added.lower, added.upper)
    hand = base @ Pose.from_matrix(added.link_pose(q, "hand")[0])
    found = inverse_kinematics(added, PoseGoal(pose=hand @ Pose(xyz=(0, 0, 0.08))), base, rng=rng, near=q)
    assert len(found)
    for pose in added.link_pose(found, "hand"):
        np.testing.assert_allclose((base.matrix @ pose)[:3], hand.matrix[:3], atol=1e-4)
