"""A small part of the attack on the certificate; scripts/attack_certificate.py alone is the whole of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from diffplan.certificate.certifier import Certifier

SCRIPT = Path(__file__).parents[2] / "scripts" / "attack_certificate.py"


def test_near_misses_and_near_hits_are_judged_as_exact_distances_say():
    arguments = [
        "--configurations",
        "120",
        "--trajectories",
        "3",
        "--kinds",
        "box,mesh_convex,plane,held,allowed",
        "--seed",
        "7",
    ]
    run = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    *_, every = run.stdout.splitlines()
    cells = every.split()
    kind, near, hits, *_ = cells
    assert kind == "all"
    assert int(near) >= 120
    assert 20 < int(hits) < int(near) - 20
    assert cells[7:9] == ["0", "0"], run.stdout + run.stderr


@pytest.mark.parametrize(
    ("arm", "kind"), [("panda", "box"), ("primitives", "box"), ("primitives", "held"), ("primitives", "allowed")]
)
def test_the_attack_finds_a_certificate_that_measures_two_millimetres_too_much(arm, kind, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from attack_certificate import attack  # pyright: ignore[reportMissingImports]

    measure = Certifier._measure
    monkeypatch.setattr(Certifier, "_measure", lambda self, *args: measure(self, *args) + 0.002)
    row = attack(arm, kind, 30, 2, 0)
    assert row.configurations >= 30
    assert row.false_accepts > 5
