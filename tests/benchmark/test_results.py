import pytest

from diffplan.benchmark.results import COLUMNS, ResultRow, RowWriter, read_rows
from diffplan.errors import InputError

CONTRACT = (
    "planner,problem,set,seed,status,solved_by,certified,plan_time_s,certify_time_s,path_length_rad,straight_line_rad,"
    "duration_s,max_jerk,min_clearance_m,joint_steps"
)
FULL = ResultRow(
    planner="diffusion",
    problem="box/3",
    set="box",
    seed=2,
    status="solved",
    solved_by="diffusion",
    certified=True,
    plan_time_s=0.125,
    certify_time_s=0.5,
    path_length_rad=4.0,
    straight_line_rad=3.5,
    duration_s=1.75,
    max_jerk=100.0,
    min_clearance_m=-0.0015,
    joint_steps=176,
    dense_contact=0,
    offered=5,
    rejected=4,
    first_rejected=1,
    mean_clearance_m=0.0625,
    tracking_error_rad=0.0078125,
    executed_contact=0,
)
BARE = ResultRow(planner="a,b", problem="p/1", set="p", seed=0, status="error", message='said "no",\nand stopped')


def test_the_columns_begin_with_those_promised():
    assert ",".join(COLUMNS).startswith(CONTRACT)


def test_rows_come_back_as_written(tmp_path):
    path = tmp_path / "results.csv"
    with RowWriter(path, [FULL]) as writer:
        writer.append(BARE)
    read = read_rows(path)
    assert read[0] == FULL
    assert read[1].planner == "a,b"
    assert read[1].message == 'said "no", and stopped'
    assert read[1].plan_time_s is None
    assert path.read_text().splitlines()[1].startswith("diffusion,box/3,box,2,solved,diffusion,True,0.125,")


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_last_line_cut_off_is_left_out(tmp_path, cut):
    path = tmp_path / "results.csv"
    with RowWriter(path, []) as writer:
        writer.append(FULL)
        writer.append(FULL)
    path.write_text(path.read_text()[:-cut])
    assert read_rows(path) == [FULL]


def test_a_file_that_is_not_ours_is_refused_with_its_line(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("planner,time\nx,1\n")
    with pytest.raises(InputError, match=r"results.csv:1: not a results file"):
        read_rows(path)
    path.write_text(",".join(COLUMNS) + "\n" + "x,1\n")
    with pytest.raises(InputError, match=r"results.csv:2: not a results row"):
        read_rows(path)
