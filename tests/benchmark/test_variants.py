from itertools import pairwise

import pytest

from diffplan.benchmark.variants import labelled_options, variants
from diffplan.errors import InputError
from diffplan.planners import make_planner


def test_each_variant_changes_one_thing_and_those_the_planner_lacks_are_left_out():
    found = variants(["seeds", "guidance_steps", "repair"])
    assert [v.name for v in found] == ["random", "unconditioned", "prior", "guidance", "repair"]
    for before, after in pairwise(found):
        assert sum(before.options[key] != after.options[key] for key in before.options) == 1
    assert found[-1].options["repair"] is True
    assert "value" not in found[-1].options


def test_the_planner_takes_the_options_of_every_variant():
    for options in labelled_options(variants(), [1, 4], {"steps": 5}).values():
        assert make_planner("diffusion", options).config.steps == 5


def test_a_single_round_holds_one_batch_and_the_planners_own_rounds_are_left_alone():
    options = labelled_options(variants(), [4], {})
    assert list(options)[:2] == ["random@4", "random@adaptive"]
    single = options["random@4"]
    assert (single["batch"], single["largest_batch"], single["rounds"]) == (4, 4, 1)
    assert "batch" not in options["random@adaptive"]


def test_options_that_the_ablation_sets_itself_are_refused():
    with pytest.raises(InputError, match=r"diffusion\.rounds"):
        labelled_options(variants(), [4], {"rounds": 3})
