"""Named costs in words and in files: what is right becomes that cost, what is wrong is refused where it stands."""

from pathlib import Path

import numpy as np
import pytest
import torch

import diffplan as dp
from diffplan.cli import main
from diffplan.costs.cost import Cost
from diffplan.costs.named import COMMON, COSTS, PARAMETERS
from diffplan.costs.reader import parse_cost, read_costs
from diffplan.costs.terms import avoid, prefer, upright
from diffplan.errors import InputError

VASE = dp.Cylinder(name="vase", radius=0.05, height=0.3, pose=dp.Pose(xyz=(0.5, 0.1, 0.5)))
BASE = dp.Pose.from_rpy((0.1, 0.2, 0.0), (0.0, 0.1, 0.4))
SCENE = dp.Scene(name="small", robot_base=BASE, obstacles=(VASE,))
TURNED = dp.Pose.from_rpy((0.4, 0.1, 0.5), (0.0, 0.5235987755982988, 0.0))


@pytest.fixture(scope="module")
def robot() -> dp.Robot:
    return dp.Robot.load("panda")


def _value(cost: Cost, robot: dp.Robot) -> float:
    q = np.random.default_rng(0).uniform(robot.lower, robot.upper, (1, 40, robot.dof))
    return float(cost(torch.from_numpy(q)))


def _same(one: Cost, other: Cost, robot: dp.Robot) -> None:
    assert (one.name, one.weight) == (other.name, other.weight)
    assert _value(one, robot) == pytest.approx(_value(other, robot), rel=1e-6)
    assert _value(one, robot) > 0


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("upright", lambda r: upright(r, robot_base=BASE)),
        (
            "upright:link=panda_link7:axis=-x:tolerance_deg=3:weight=40:name=glass",
            lambda r: upright(
                r, link="panda_link7", axis="-x", tolerance_deg=3, weight=40, name="glass", robot_base=BASE
            ),
        ),
        ("upright:axis=1,0,-2", lambda r: upright(r, axis=(1, 0, -2), robot_base=BASE)),
        (
            "avoid:xyz=0.4,0.1,.5:radius=2e-1:weight=7",
            lambda r: avoid(
                r,
                dp.Sphere(name="x", radius=0.2, pose=dp.Pose(xyz=(0.4, 0.1, 0.5))),
                weight=7,
                robot_base=BASE,
            ),
        ),
        (
            "avoid:xyz=0.4,0.1,0.5:radius=0.2:height=1.2:rpy_deg=0,30,0:comfort=0.3:link=panda_hand",
            lambda r: avoid(
                r,
                dp.Capsule(name="x", radius=0.2, height=1.2, pose=TURNED),
                comfort=0.3,
                link="panda_hand",
                robot_base=BASE,
            ),
        ),
        (
            "avoid:xyz=0.4,0.1,0.5:size=.1,.2,.3:rpy_deg=0,30,0",
            lambda r: avoid(r, dp.Box(name="x", size=(0.1, 0.2, 0.3), pose=TURNED), robot_base=BASE),
        ),
        ("avoid:obstacle=vase:comfort=0.4", lambda r: avoid(r, VASE, comfort=0.4, robot_base=BASE)),
        (
            "prefer:panda_joint4=-2.5,-1.5:panda_joint1=0,0.5",
            lambda r: prefer(r, {"panda_joint1": (0, 0.5), "panda_joint4": (-2.5, -1.5)}),
        ),
        ("prefer:near=home:within=0.2", lambda r: prefer(r, near="home", within=0.2)),
    ],
)
def test_words_become_the_cost_that_they_say(words: str, make, robot: dp.Robot) -> None:
    _same(parse_cost(words, robot, SCENE), make(robot), robot)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("uprigth", "no such cost (did you mean 'upright'?) (found 'uprigth'); allowed: upright, avoid, prefer"),
        ("", "no such cost"),
        ("upright:axis", "not KEY=VALUE (found 'axis')"),
        ("upright:axis=", "not KEY=VALUE"),
        ("upright:weight=1:weight=2", "upright.weight: given twice (found '2')"),
        ("upright:tolerance=3", "upright.tolerance: unknown key (did you mean 'tolerance_deg'?)"),
        ("upright:tolerance_deg=nan", "upright.tolerance_deg: number out of range"),
        ("upright:tolerance_deg=three", "upright.tolerance_deg"),
        ("upright:weight=-1", "upright.weight: not a weight (found -1.0)"),
        ("upright:link=panda_hnad", "upright.link: unknown link (did you mean 'panda_hand'?)"),
        ("upright:axis=up", "upright.axis: unknown axis"),
        ("avoid", "which region?"),
        ("avoid:xyz=1,2:radius=1", "avoid.xyz: wrong length (found [1.0, 2.0]); allowed: a list of 3 numbers"),
        ("avoid:xyz=1,2,3:radius=0", "avoid.radius: number out of range"),
        ("avoid:radius=0.1", "which region?"),
        ("avoid:xyz=1,2,3:radius=.1:size=1,1,1", "which region?"),
        ("avoid:obstacle=vase:radius=.1", "which region?"),
        ("avoid:obstacle=vas", "avoid.obstacle: unknown obstacle (did you mean 'vase'?)"),
        ("prefer", "what is preferred?"),
        ("prefer:panda_joint9=1,2", "prefer.panda_joint9: unknown key"),
        ("prefer:panda_joint4=1,2", "prefer.panda_joint4: no such range"),
        ("prefer:near=hom", "did you mean 'home'?"),
        ("prefer:panda_joint4=-2,-1:within=0.1", "prefer.within"),
    ],
)
def test_wrong_words_are_refused_by_key(words: str, message: str, robot: dp.Robot) -> None:
    with pytest.raises(InputError) as refusal:
        parse_cost(words, robot, SCENE)
    assert "--cost" in str(refusal.value)
    assert message in str(refusal.value)


FILE = """\
format: diffplan/costs@1
costs:
  - {cost: upright, tolerance_deg: 10, weight: 30}
  - {cost: avoid, name: person, xyz: [0.4, 0.1, 0.5], radius: 0.2, height: 1.2, comfort: 0.3}
  - {cost: prefer, panda_joint4: [-2.5, -1.5]}
"""


def test_a_file_holds_the_same_costs_in_their_order(tmp_path: Path, robot: dp.Robot) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(FILE)
    words = (
        "upright:tolerance_deg=10:weight=30",
        "avoid:name=person:xyz=0.4,0.1,0.5:radius=0.2:height=1.2:comfort=0.3",
        "prefer:panda_joint4=-2.5,-1.5",
    )
    for read, said in zip(read_costs(file, robot, SCENE), words, strict=True):
        _same(read, parse_cost(said, robot, SCENE), robot)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("costs@1", "costs@2", "costs.yaml:1: format: another format or version"),
        ("cost: upright", "cost: uprigth", "costs.yaml:3: costs[0].cost: unknown cost (did you mean 'upright'?)"),
        ("cost: upright, ", "", "costs.yaml:3: costs[0]: key 'cost' is missing"),
        ("tolerance_deg: 10", "tolerance_deg: 200", "costs.yaml:3: upright.tolerance_deg: no such tilt"),
        ("radius: 0.2", "radios: 0.2", "costs.yaml:4: costs[1].radios: unknown key (did you mean 'radius'?)"),
        ("radius: 0.2, ", "", "costs.yaml:4: costs[1]: which region?"),
        ("[-2.5, -1.5]", "[-1.5, -2.5]", "costs.yaml:5: prefer.panda_joint4: no such range"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    right: str, wrong: str, message: str, tmp_path: Path, robot: dp.Robot
) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(FILE.replace(right, wrong))
    with pytest.raises(InputError) as refusal:
        read_costs(file, robot, SCENE)
    assert message in str(refusal.value)


def test_the_help_of_plan_lists_every_cost_and_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    text = capsys.readouterr().out
    for kind in COSTS:
        assert all(f"    {key}: " in text for key in [*PARAMETERS[kind], *COMMON])
        assert f"  {kind}: " in text


def test_the_command_line_weighs_costs_and_says_what_they_came_to(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text(FILE)
    argv = [
        "plan",
        "tabletop_clutter",
        "--planner",
        "straight",
        "--costs",
        str(file),
        "--cost",
        "prefer:near=home:name=h",
    ]
    plan = tmp_path / "plan.json"
    main([*argv, "--out", str(plan)])
    err = capfd.readouterr().err
    assert "costs: upright " in err
    assert "straight does not know them" in err
    assert all(f'"{name}": ' in plan.read_text() for name in ("upright", "person", "prefer", "h"))
    assert main([*argv, "--cost", "upright"]) == 2
    assert "different names (found 'upright')" in capfd.readouterr().err
