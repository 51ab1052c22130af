"""The comparison of priors by arm: rows are kept, figures are theirs, and words that are none are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffplan.benchmark.results import ResultRow, read_rows
from diffplan.prior.channels import CHANNELS
from diffplan.prior.common import CommonPrior, save_common_prior
from diffplan.prior.jointwise import JointwiseConfig, JointwiseUnet
from diffplan.prior.schedule import Schedule

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import compare_priors

    return compare_priors


def test_a_comparison_goes_on_where_it_was_stopped(script, tmp_path: Path, capsys) -> None:
    torch.manual_seed(0)
    net = JointwiseUnet(JointwiseConfig(channels=CHANNELS, dim=8, mults=(1, 2), mixing=(1,)))
    prior, out = CommonPrior(net=net, schedule=Schedule(steps=10, data_std=0.1), horizon=16), tmp_path / "out"
    save_common_prior(prior, tmp_path / "prior.safetensors")
    words = ["seen", "--prior", f"common={tmp_path / 'prior.safetensors'}", "--out", str(out), "--limit", "1"]
    assert script.main([*words, "--batches", "1"]) == 0
    first = (out / "results.csv").read_text()
    assert script.main([*words, "--batches", "1,2"]) == 0
    assert (out / "results.csv").read_text().startswith(first)
    rows = read_rows(out / "results.csv")
    assert [row.planner for row in rows] == ["random@1", "common@1", "random@2", "common@2"]
    assert {row.set for row in rows} == {"panda"}
    cells = json.loads((out / "table.json").read_text())["cells"]
    assert [cell["certified"] for cell in cells] == [int(row.certified) for row in rows]
    assert "| panda | common | 1 |" in (out / "table.md").read_text()
    more = ["--prior", f"guided={tmp_path}/{{robot}}.safetensors,guidance_steps=2,eta=1", "--batches", "1"]
    save_common_prior(prior, tmp_path / "panda.safetensors")
    assert script.main([*words, *more]) == 0  # a kind more
    assert [row.planner for row in read_rows(out / "results.csv")] == [row.planner for row in rows] + ["guided@1"]
    other = replace(prior, horizon=8)
    save_common_prior(other, tmp_path / "prior.safetensors")
    assert script.main([*words, "--batches", "4"]) == 2  # other weights under the same name
    assert "weights: this folder holds rows of this kind made otherwise" in capsys.readouterr().err


def test_figures_are_those_of_the_rows(script) -> None:
    def row(planner: str, problem: int, certified: bool, time: float) -> ResultRow:
        words = {"problem": f"arm/{problem}", "set": "arm", "seed": 0, "status": "solved"}
        return replace(ResultRow(planner=planner, **words), certified=certified, plan_time_s=time)

    rows = [row("random@1", i, False, 0.01) for i in range(4)] + [row("random@4", i, i < 2, 0.04) for i in range(4)]
    rows += [row("common@1", i, i < 2, 0.02) for i in range(4)] + [row("common@4", i, True, 0.08) for i in range(4)]
    cells = script.cells_of(rows)
    assert [(c.kind, c.batch, c.share) for c in cells] == [
        ("random", 1, 0.0),
        ("random", 4, 0.5),
        ("common", 1, 0.5),
        ("common", 4, 1.0),
    ]
    (equal,) = script.equal_times(cells)
    assert equal.points == pytest.approx(25.0)  # at 0.02 s 50 against 25 %, at 0.04 s 75 against 50 %
    assert "+25.0 points" in script.table(cells, [equal])


@pytest.mark.parametrize("word", ["common", "=file", "random=file", "a@4=file"])
def test_words_that_name_no_prior_are_refused(script, tmp_path: Path, word: str, capsys) -> None:
    assert script.main(["seen", "--prior", word, "--out", str(tmp_path)]) == 2
    assert "--prior: not a prior with a name of its own" in capsys.readouterr().err


def test_an_option_that_the_planner_has_not_is_refused(script, tmp_path: Path, capsys) -> None:
    assert script.main(["seen", "--prior", "mine=file,guidance=2", "--out", str(tmp_path)]) == 2
    assert "mine: no option 'guidance'" in capsys.readouterr().err
    assert script.main(["seen", "--prior", "mine=a", "--prior", "mine=b", "--out", str(tmp_path)]) == 2
    assert "the name of another one" in capsys.readouterr().err
    assert script.main(["seen", "--prior", "mine=nothing.safetensors", "--out", str(tmp_path)]) == 2
    assert "nothing.safetensors: no such file" in capsys.readouterr().err
