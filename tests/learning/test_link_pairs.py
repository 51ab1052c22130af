"""Which links touch, truly and in the sphere model: against PyBullet asked everywhere, and after a finer fit."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from diffplan.certificate.pairs import pair_distances
from diffplan.formats.robot_file import load_robot
from diffplan.geometry.sphere_fit import SphereFit
from diffplan.learning import collision_model, link_pairs
from diffplan.learning.collision_model import FitReport, fit_robot
from diffplan.learning.link_pairs import (
    Contacts,
    PairContacts,
    Sample,
    adjacent,
    ignored_pairs,
    sample_contacts,
)
from diffplan.learning.sphere_contacts import Balls
from diffplan.robot.model import Robot

URDF = """<robot name="near">
<link name="base"><collision><geometry><box size="0.2 0.2 0.1"/></geometry></collision></link>
<link name="arm"><collision><origin xyz="0.1 0 0"/><geometry><box size="0.1 0.05 0.05"/></geometry></collision></link>
<link name="hand">
<collision><origin xyz="0 0 -0.1"/><geometry><box size="0.04 0.04 0.08"/></geometry></collision></link>
<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/><origin xyz="0 0 0.2"/><axis xyz="0 0 1"/>
<limit lower="-2" upper="2" effort="1" velocity="1"/></joint>
<joint name="slide" type="prismatic"><parent link="arm"/><child link="hand"/><origin xyz="0.06 0 0"/><axis xyz="0 0 1"/>
<limit lower="-0.012" upper="0.5" effort="1" velocity="1"/></joint></robot>"""
ROBOT = """format: diffplan/robot@1
name: near
urdf: {file: near.urdf}
base_link: base
end_link: hand
joints: {turn: {velocity: 1.0}, slide: {velocity: 1.0}}
configurations: {}
collision: collision.yaml
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Robot, FitReport]:
    """An arm whose hand comes close to the base: it touches below -0.01 m, and for most of its way is near."""
    folder: Path = tmp_path_factory.mktemp("near")
    (folder / "near.urdf").write_text(URDF)
    (folder / "robot.yaml").write_text(ROBOT)
    return load_robot(folder, collision=False), fit_robot(str(folder), samples=1500)


def test_links_whose_spheres_touch_falsely_are_fitted_finer(fitted):
    robot, report = fitted
    coarse = {
        link: SphereFit(centre=fit.centre, radius=fit.radius + 0.01, uncovered=0.0, outside=0.02)
        for link, fit in report.links.items()
    }
    (pair,) = report.pairs
    assert pair.links == ("base", "hand")
    assert pair.touching_share == pytest.approx(0.003 / 0.512, abs=0.005)
    assert 0 < pair.false_share < 0.01  # as coarse as other links they would touch below 18 mm, in 3.4 %
    assert sample_contacts(robot, coarse, 500).pairs[0].false_share > 0.03


def test_an_arm_of_many_spheres_is_fitted_finer_within_its_share_of_more(fitted, monkeypatch):
    _, report = fitted
    spheres = []
    for more in (0.0, 2.0):
        monkeypatch.setattr(collision_model, "_MOST_SPHERES", 1)
        monkeypatch.setattr(collision_model, "_MORE_SPHERES", more)
        spheres.append(fit_robot(str(report.file.parent), samples=1500))
    assert spheres[0].pairs[0].false_share > 0.01 > spheres[1].pairs[0].false_share
    assert spheres[0].spheres < spheres[1].spheres <= 2.0 * spheres[0].spheres


def test_pairs_that_touch_falsely_count_together_where_no_link_touches():
    """Two samples of 6 and 4 configurations; of the third pair, which always touches, nothing is counted."""
    panda = load_robot("panda")
    samples = [Sample(robot=panda, q=np.zeros((n, 7)), distance=[np.ones(n)] * 3) for n in (6, 4)]
    pairs = [
        PairContacts(
            links=links, touching=np.isin(range(10), own), spheres_touching=np.isin(range(10), seen), least_distance=0.0
        )
        for links, own, seen in (
            (("a", "b"), [0], [0, 1, 2]),  # falsely in 1 and 2
            (("a", "c"), [1], [1, 2, 9]),  # in 1 these links touch, so that it is not free anyway
            (("b", "c"), range(10), range(10)),
        )
    ]
    contacts = Contacts(samples=samples, pairs=pairs)
    assert contacts.false_share == pytest.approx(0.2)  # 2 and 9
    assert Contacts(samples=samples, pairs=pairs[2:]).false_share == 0.0


def test_only_the_first_configurations_of_each_sample_were_looked_at_for_all_pairs(monkeypatch):
    monkeypatch.setattr(link_pairs, "_FIRST", 2)
    panda = load_robot("panda")
    samples = [Sample(robot=panda, q=np.zeros((4, 7)), distance=[np.ones(4), np.ones(2)]) for _ in range(2)]
    often = PairContacts(
        links=("a", "b"),
        touching=np.array([0, 0, 0, 0], bool),
        spheres_touching=np.array([1, 0, 0, 1], bool),
        least_distance=0.001,
    )
    rare = PairContacts(
        links=("a", "c"),
        touching=np.zeros(8, bool),
        spheres_touching=np.array([0, 0, 1, 0, 1, 0, 0, 1], bool),
        least_distance=0.001,
    )
    assert Contacts(samples=samples, pairs=[rare, often]).false_share == pytest.approx(3 / 4)


@pytest.mark.parametrize(("shares", "together", "bad"), [
    ((0.02, 0.004), 0.024, [0]),  # first those that are bad by themselves
    ((0.008, 0.004, 0.002), 0.014, [0, 1]),
    ((0.008, 0.001), 0.009, []),
])  # fmt: skip
def test_many_pairs_that_are_good_by_themselves_may_be_bad_together(shares, together, bad):
    pairs = [SimpleNamespace(links=("a", str(i)), false_share=share) for i, share in enumerate(shares)]
    contacts = cast("Contacts", SimpleNamespace(pairs=pairs, false_share=together))
    assert collision_model._falsely_touching(contacts) == [("a", str(i)) for i in bad]


def test_a_pair_whose_spheres_say_nothing_is_left_to_the_certificate(fitted):
    robot, report = fitted
    contacts = sample_contacts(robot, report.links, 500)
    assert ("base", "hand") not in ignored_pairs(robot, contacts)
    (pair,) = contacts.pairs
    useless = replace(contacts, pairs=[replace(pair, spheres_touching=np.ones_like(pair.touching))])
    assert ignored_pairs(robot, useless)["base", "hand"] == "unclear"
    text = report.file.read_text()
    report.file.write_text(text.replace("ignore:", "ignore:\n    - {links: [base, hand], reason: unclear}", 1))
    try:
        read = load_robot(report.file.parent)
    finally:
        report.file.write_text(text)
    assert ("base", "hand") not in read.checked_pairs
    assert ("base", "hand") in read.certified_pairs


def _panda() -> tuple[Robot, dict[str, SphereFit]]:
    panda = load_robot("panda")
    return panda, {
        link: SphereFit(centre=panda.spheres.centre[own], radius=panda.spheres.radius[own], uncovered=0.01, outside=0.0)
        for i, link in enumerate(panda.spheres.links)
        for own in (panda.spheres.link == i,)
    }


def test_pybullet_is_asked_wherever_links_are_near_and_it_is_not_plain_that_they_touch():
    panda, spheres = _panda()
    contacts = sample_contacts(panda, spheres, 200)
    pairs = [pair for pair in combinations(panda.links, 2) if not adjacent(panda, *pair)]
    for sample in contacts.samples:
        with pair_distances(sample.robot) as distances:
            everywhere = distances.at(sample.q, pairs, np.ones((len(sample.q), len(pairs)), dtype=bool))
        found = np.array(sample.distance).T
        np.testing.assert_array_equal(np.maximum(found, 0.0), np.maximum(everywhere, 0.0))
        assert 0 < (found == 0).sum() < (found <= 0).sum()  # some plainly touch, some are asked about


def test_spheres_of_some_links_are_looked_at_anew_alone():
    panda, spheres = _panda()
    contacts = sample_contacts(panda, spheres, 200)
    smaller = {link: replace(fit, radius=0.8 * fit.radius) for link, fit in spheres.items()}
    some = spheres | {"panda_link5": smaller["panda_link5"]}
    for one, other in zip(
        contacts.with_spheres(some, {"panda_link5"}).pairs, contacts.with_spheres(some).pairs, strict=True
    ):
        np.testing.assert_array_equal(one.spheres_touching, other.spheres_touching)
    assert contacts.with_spheres(smaller, {"panda_hand"}).pairs[0] is contacts.pairs[0]


def test_spheres_are_near_whose_gap_is_within_reach():
    panda, spheres = _panda()
    balls = Balls.of({link: (fit.centre, fit.radius) for link, fit in spheres.items()})
    q = np.random.default_rng(6).uniform(panda.lower, panda.upper, (40, panda.dof))
    pairs = [("panda_link0", "panda_hand"), ("panda_link5", "panda_link7")]
    poses = dict(zip(panda.links, panda.link_poses(q, panda.links).swapaxes(0, 1), strict=True))
    gaps = []
    for pair in pairs:
        one, other = (spheres[link].centre @ poses[link][:, :3, :3].mT + poses[link][:, None, :3, 3] for link in pair)
        apart = np.linalg.norm(one[:, :, None] - other[:, None], axis=3)
        gaps.append((apart - np.add.outer(*(spheres[link].radius for link in pair))).min(axis=(1, 2)))
    for reach in (-0.02, 0.0, 0.05, np.array([0.3, 0.01])):
        near = balls.near(panda, q, pairs, reach)
        np.testing.assert_array_equal(near, reach >= np.array(gaps).T)
        assert 0 < near.sum() < near.size
