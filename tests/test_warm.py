"""Compiled code is compiled, or loaded from its cache, before planning time is counted."""

import subprocess
import sys

import pytest

COUNTED = """
import gc
from numba.core.dispatcher import Dispatcher
def loaded():
    own = (one for one in gc.get_objects() if isinstance(one, Dispatcher))
    own = [one for one in own if one.py_func.__module__.startswith("diffplan")]
    return {f"{one.py_func.__module__}.{one.py_func.__name__}{signature}" for one in own for signature in one.overloads}
"""
LINE = """
import diffplan as dp
from diffplan import line_planning
search = line_planning.line_from
def counted(*args, **kwargs):
    before = loaded()
    plan = search(*args, **kwargs)
    print("within the time:", sorted(loaded() - before))
    return plan
line_planning.line_from = counted
plan = dp.plan_line("panda", dp.Scene(), "home", dp.Line(to=(0.0, 0.0, -0.05), frame="world"))
assert plan.solved
"""
SEQUENCE = """
from diffplan.sequence import sequence
from diffplan.sequence.task_file import load_task
ready = sequence.make_ready
def counted(*args):
    global before
    ready(*args)
    before = loaded()
sequence.make_ready = counted
task = load_task("cube_to_tray")
assert task.sequence.plan(task.robot, task.scene, task.start).solved
print("within the time:", sorted(loaded() - before))
"""
PLAN = """
import diffplan as dp
from diffplan.search import Search
run, late = Search.run, set()
def counted(*args):
    before = loaded()
    found = run(*args)
    late.update(loaded() - before)
    return found
Search.run = counted
assert dp.plan("panda", "kitchen_counter", "home", "left", options={"first_look": 0.0}, fallback=False).solved
print("within the time:", sorted(late))
"""


@pytest.mark.parametrize("code", [LINE, SEQUENCE, PLAN], ids=["line", "sequence", "plan"])
def test_nothing_compiled_is_loaded_within_the_planning_time(code: str) -> None:
    run = subprocess.run([sys.executable, "-c", COUNTED + code], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "within the time: []"
