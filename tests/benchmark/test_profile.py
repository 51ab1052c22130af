"""`bench --profile`: which part each module is of, how stacks become a tree, and what the command writes."""

from importlib.util import find_spec

import pytest

from diffplan.benchmark.profile import _CALL, PARTS, REST, Frame, Profile, _tree, part_of, part_table
from diffplan.cli import main
from diffplan.system.executor import THREAD_VARIABLES


def frames(*calls: str) -> list[str]:
    """Return a stack as pyinstrument keeps it, of `module:function`."""
    found = []
    for call in calls:
        module, _, function = call.partition(":")
        found.append(f"{function}\x00/site/{module.replace('.', '/')}.py\x001")
    return found


PLAN = ("diffplan.cli:main", "diffplan.benchmark.profile:profile", "diffplan.planning:plan")


def test_every_part_is_of_a_module_that_there_is():
    assert [name for name in PARTS if find_spec(f"diffplan.{name}") is None] == []


def test_a_module_is_of_the_part_with_the_longest_name():
    assert part_of("diffplan.certificate.world") == "certificate: world"
    assert part_of("diffplan.certificate.bisection") == "certificate"
    assert part_of("diffplan.robot.model") is None


def test_stacks_are_merged_and_others_functions_count_for_their_callers():
    records = [
        (frames(*PLAN, "diffplan.search:run", "diffplan.timing:retime"), 1.0),
        (frames(*PLAN, "diffplan.search:run", "numpy.core:sum"), 2.0),
        (frames(*PLAN, "diffplan.search:run", "diffplan.timing:retime", "scipy.optimize:solve"), 4.0),
        (frames("diffplan.collision.lanes:edge_free"), 8.0),
        (frames("diffplan.cli:main", "diffplan.benchmark.profile:profile"), 16.0),
        (frames("threading:run"), 32.0),
    ]
    retime = Frame("retime", "diffplan.timing", 5.0, 5.0)
    back = Frame("edge_free", "diffplan.collision.lanes", 8.0, 8.0)
    assert _tree(records) == Frame(
        *_CALL,
        15.0,
        0.0,
        (
            Frame("run", "diffplan.search", 7.0, 2.0, (retime,)),
            back,
        ),
    )


def test_the_parts_of_a_call_sum_up_to_it():
    kernel = Frame("evaluate", "diffplan.collision.cpu", 2.0, 2.0)
    push = Frame("push", "diffplan.refinement", 3.0, 1.0, (kernel,))
    root = Frame(*_CALL, 4.0, 1.0, (push,))
    found = Profile(planner="diffusion", calls_s=(0.010, 0.030), certified=1, root=root, html="")
    assert found.parts == {"kernel: distances, gradients": 0.5, "pushing and tightening": 0.25, "call": 0.25}
    assert part_table([found]) == [
        ["kernel: distances, gradients", "10.00"],
        ["call", "5.00"],
        ["pushing and tightening", "5.00"],
        ["call, mean", "20.00"],
        ["call, median", "20.00"],
        ["certified", "1 of 2"],
    ]
    assert REST not in found.parts


def test_the_command_writes_table_picture_and_page(tmp_path, capfd, monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")  # what the command sets ends with the test
    out, only = tmp_path / "out", "tabletop_clutter/from_home"
    code = main(["bench", "tabletop_clutter", "--planners", "straight", "--profile", "--only", only, "--out", str(out)])
    said = capfd.readouterr().out
    assert code == 0
    assert "call, median" in said
    assert (out / "profile.csv").read_text().startswith("part,straight [ms]\n")
    assert (out / "profile-straight.png").read_bytes().startswith(b"\x89PNG")
    assert "<script" in (out / "profile-straight.html").read_text()


@pytest.mark.parametrize("more", [["--jobs", "2"], ["--executor", "ray"]])
def test_a_profile_is_of_one_process(more, tmp_path, capsys):
    assert main(["bench", "tabletop", "--planners", "straight", "--profile", "--out", str(tmp_path), *more]) == 2
    assert "--profile makes one call after the other" in capsys.readouterr().err
