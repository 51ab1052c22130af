"""Training: it learns, it resumes to the same weights, it stops at the first number that is none."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from diffplan.curves.spline import straight
from diffplan.errors import DiffplanError, InputError
from diffplan.learning.config import TrainConfig
from diffplan.learning.dataset import Dataset, Paths
from diffplan.learning.distil import DistilConfig, DistilFit, as_sampled
from diffplan.learning.log import Progress, read_log
from diffplan.learning.run import batch_rows, learning_rate, run
from diffplan.learning.trainer import PriorFit, train_prior
from diffplan.prior.loss import denoising_loss, draw
from diffplan.prior.prior import load_prior, save_prior
from diffplan.prior.schedule import Schedule

DOF, K = 2, 8


class Toy:
    """Stands in for a robot: what the trainer reads of one."""

    name, dof, joint_names = "toy", DOF, ("a", "b")
    lower, upper = np.array([-1.0, -1.0]), np.array([1.0, 1.0])


def bump_paths(count: int, scenes: int, seed: int) -> Paths:
    """Paths that leave the straight line to the side that their scene's parity says."""
    rng = np.random.default_rng(seed)
    start, goal = rng.uniform(-0.8, 0.8, (2, count, DOF))
    scene_of = rng.integers(0, scenes, count)
    bump = np.sin(np.linspace(0, np.pi, K))[:, None] * 0.4 * np.where(scene_of % 2, 1, -1)[:, None, None]
    x = straight(start, goal, K) + bump
    return Paths(x=torch.from_numpy(x.astype(np.float32)), scene_of=torch.from_numpy(scene_of))


def features(x0, scene_of):
    """What the scene says: the side."""
    return (2.0 * (scene_of % 2) - 1)[:, None, None].expand(len(x0), K, 1).float()


def config(**changes) -> TrainConfig:
    small = {"horizon": K, "dim": 16, "mults": (1, 2), "steps": 40, "batch": 16, "warm_up": 5, "noise_steps": 20}
    return TrainConfig(**{**small, "validate_every": 10, "validation_paths": 32, "products": "float32", **changes})


def trainer(settings: TrainConfig, say=features) -> PriorFit:
    data = Dataset(train=bump_paths(300, 20, 0), validation=bump_paths(60, 20, 1), scenes=(), robot=Toy(), origin={})
    return PriorFit(settings, data, say, 1)


def weights(of: PriorFit) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for net in (of.net, of.average) for p in net.parameters()])


def test_a_scene_that_decides_the_side_is_learnt_and_missed_when_not_shown(tmp_path):
    one = trainer(config(steps=250, batch=64, rate=3e-3, ema=0.9))
    lines = list(run(one, tmp_path, log_every=50))
    at_first, at_last = lines[0], lines[-1]
    assert at_last.first < 0.2 * at_last.free
    assert at_last.third < 0.2 * at_last.free
    assert at_last.train < at_first.train


def test_a_killed_run_that_is_resumed_ends_in_the_same_weights_and_log(tmp_path):
    whole = trainer(config())
    list(run(whole, tmp_path / "whole", log_every=10))

    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    killed = run(trainer(config()), checkpoint.parent, log_every=10, checkpoint_minutes=0.0)
    next(killed)
    kept = checkpoint.read_bytes()
    next(killed)
    killed.close()
    checkpoint.write_bytes(kept)  # as if the kill had come before the second checkpoint, after its log
    again = trainer(config())
    list(run(again, checkpoint.parent, log_every=10))
    assert torch.equal(weights(whole), weights(again))
    logs = [read_log(tmp_path / name / "log.csv", Progress, up_to=40) for name in ("whole", "killed")]
    shown = [[(v.step, v.rate, v.train, v.first, v.third, v.free) for v in log] for log in logs]
    assert shown[0] == shown[1]
    assert len(logs[0]) == 4


def test_a_run_that_is_out_of_time_stops_at_a_checkpoint_and_goes_on(tmp_path):
    stopped = list(run(trainer(config()), tmp_path, hours=0.0, log_every=10))
    assert [line.step for line in stopped] == [10]
    assert [line.step for line in run(trainer(config()), tmp_path, log_every=10)] == [20, 30, 40]


def test_a_run_does_not_go_on_with_other_settings_but_may_be_made_longer(tmp_path):
    list(run(trainer(config(steps=10)), tmp_path, log_every=10))
    with pytest.raises(InputError, match=r"rate: .*\(found 0\.1\); allowed: 0\.001"):
        list(run(trainer(config(steps=20, rate=0.1)), tmp_path))
    with pytest.raises(InputError, match=r"steps: .*allowed: 10"):
        list(run(trainer(config(steps=20)), tmp_path))
    longer = trainer(config(steps=20))
    assert [line.step for line in run(longer, tmp_path, log_every=10, extend=True)] == [20]
    assert longer.history == [[0, 10, 300], [10, 20, 300]]


def test_a_run_notices_when_its_data_changed(tmp_path):
    list(run(trainer(config(steps=10)), tmp_path))
    other = trainer(config(steps=10))
    other.dataset.train.x[5] += 0.1
    with pytest.raises(InputError, match="not the data that this run began with"):
        other.load(tmp_path / "checkpoint.safetensors")


def test_the_first_loss_that_is_not_finite_stops_the_run_and_leaves_its_state(tmp_path):
    calls = []

    def broken(x0, scene_of):
        calls.append(1)
        return features(x0, scene_of) * (math.nan if len(calls) > 30 else 1.0)

    with pytest.raises(DiffplanError, match="loss nan"):
        list(run(trainer(config(steps=100), broken), tmp_path))
    again = trainer(config(steps=100))
    again.load(tmp_path / "not-finite.safetensors")
    assert 0 < again.done < 31
    assert torch.isfinite(weights(again)).all()


def test_train_prior_leaves_weights_curve_card_and_settings(tmp_path):
    one = trainer(config(steps=20))
    prior = train_prior(one.config, one.dataset, features, 1, tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"checkpoint.safetensors", "config.json", "curve.png", "log.csv", "PRIOR.md", "prior.safetensors"}
    again = load_prior(tmp_path / "prior.safetensors")
    assert again.training == prior.training
    assert again.training["training_paths"] == 300
    assert TrainConfig.load(tmp_path / "config.json") == one.config
    card = (tmp_path / "PRIOR.md").read_text()
    assert f"| loss scene not shown | {prior.training['loss_scene_not_shown']} |" in card


def test_every_epoch_shows_every_path_once_in_a_new_order():
    settings = config(batch=16)
    rows = torch.cat([batch_rows(settings, 40, step) for step in range(5)])
    assert sorted(rows[:40].tolist()) == sorted(rows[40:].tolist()) == list(range(40))
    assert not torch.equal(rows[:40], rows[40:])


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    settings = TrainConfig(steps=1000, warm_up=100, decay_share=0.5, rate=1e-3)
    rates = [learning_rate(settings, step) for step in range(1001)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[100:500] == pytest.approx([1e-3] * 400)
    assert rates[1000] == pytest.approx(0)
    assert all(a >= b for a, b in pairwise(rates[500:]))


def test_ends_are_neither_noisy_nor_part_of_the_loss():
    schedule = Schedule()
    paths = bump_paths(50, 4, 2)
    batch = draw(paths.x, paths.scene_of, schedule, (1.0, 0.0, 0.0, 0.0), torch.Generator().manual_seed(0))

    def wrong_at_the_ends(x_t, t, condition, context):
        assert torch.equal(x_t[:, [0, -1]], batch.x0[:, [0, -1]])
        answer = batch.x0.clone()
        answer[:, [0, -1]] = 9.0
        return answer

    assert denoising_loss(wrong_at_the_ends, schedule, batch, features).abs().max() == 0


def test_dropped_samples_see_no_condition_and_later_passes_see_the_networks_own_estimate():
    schedule = Schedule()
    paths = bump_paths(400, 4, 2)
    batch = draw(paths.x, paths.scene_of, schedule, (0.25, 0.25, 0.25, 0.25), torch.Generator().manual_seed(0))
    assert (batch.earlier[:, 1] >= batch.t).all()
    assert (batch.earlier[:, 0] >= batch.earlier[:, 1]).all()
    levels, seen = [], []

    def network(x_t, t, condition, context):
        levels.append(t)
        seen.append(condition)
        return torch.full_like(x_t, float(len(levels)))

    denoising_loss(network, schedule, batch, features)
    third, second, last = levels
    assert torch.equal(third, batch.earlier[batch.passes == 3, 0])
    assert torch.equal(second, batch.earlier[batch.passes >= 2, 1])
    assert torch.equal(last, batch.t)
    shown = seen[-1]
    assert (shown[batch.passes == 0] == 0).all()
    assert (shown[batch.passes > 0, :, -1] == 1).all()
    assert (shown[batch.passes >= 2, 1:-1, :DOF] == 2).all()
    ends = batch.x0[:, [0, -1]]
    torch.testing.assert_close(shown[batch.passes > 0][:, [0, -1], :DOF], ends[batch.passes > 0])


def test_a_run_begins_with_the_weights_of_a_prior_and_new_attention_changes_nothing_yet(tmp_path):
    first, file = trainer(config()), tmp_path / "prior.safetensors"
    for _ in range(5):
        first.step()
    save_prior(first.prior({}), file, dtype=torch.float32)
    second = trainer(config(tokens=1, seed=7))
    second.start_from(file)
    x = torch.randn(3, K, DOF, generator=torch.Generator().manual_seed(0))
    seen, t = torch.randn(3, K, first.net.config.condition), torch.tensor([1, 5, 20])
    with torch.no_grad():
        assert torch.equal(second.net(x, t, seen), first.average(x, t, seen))
        assert torch.equal(second.average(x, t, seen), first.average(x, t, seen))


def test_a_prior_of_another_shape_is_refused_as_a_start(tmp_path):
    file = tmp_path / "prior.safetensors"
    save_prior(trainer(config()).prior({}), file)
    with pytest.raises(InputError, match="a prior of another shape"):
        trainer(config(dim=32)).start_from(file)


def test_a_resumed_run_does_not_begin_again(tmp_path):
    file, settings = tmp_path / "prior.safetensors", config(steps=6)
    save_prior(trainer(config(seed=3)).prior({}), file, dtype=torch.float32)
    whole, broken, again = trainer(settings), trainer(settings), trainer(settings)
    (*_,) = run(whole, tmp_path / "whole", log_every=3, start=partial(whole.start_from, file))
    start = partial(broken.start_from, file)
    broken = run(broken, tmp_path / "broken", log_every=3, checkpoint_minutes=0.0, start=start)
    assert next(broken).step == 3
    (*_,) = run(again, tmp_path / "broken", log_every=3, start=partial(again.start_from, file))
    whole, resumed = trainer(settings), trainer(settings)
    whole.load(tmp_path / "whole" / "checkpoint.safetensors")
    resumed.load(tmp_path / "broken" / "checkpoint.safetensors")
    assert torch.equal(weights(whole), weights(resumed))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A prior that knows to which side a scene sends its paths."""
    fit = trainer(config(steps=120, batch=64, rate=3e-3, ema=0.9))
    list(run(fit, tmp_path_factory.mktemp("teacher"), log_every=60))
    prior = fit.prior({"robot": "toy"})
    prior.net.eval()
    return prior


def distillation(teacher, **changes) -> DistilFit:
    data = Dataset(train=bump_paths(300, 20, 0), validation=bump_paths(60, 20, 1), scenes=(), robot=Toy(), origin={})
    small = {"steps": 60, "batch": 32, "warm_up": 5, "rate": 3e-3, "ema": 0.9, "validate_every": 30}
    settings = DistilConfig(**{**small, "products": "float32", "validation_paths": 32, **changes}).like(teacher)
    fit = DistilFit(settings, data, features, 1, teacher)
    for net in (fit.net, fit.average):
        net.load_state_dict(teacher.net.state_dict())
    return fit


def test_the_student_comes_near_what_the_teacher_answers_with_guidance(teacher, tmp_path):
    fit = distillation(teacher, steps=200, batch=64)
    before = fit.judged()["third"]
    list(run(fit, tmp_path, log_every=100))
    assert fit.judged()["third"] < 0.8 * before


def test_without_guidance_and_with_one_step_the_teacher_is_its_own_student(teacher):
    found = distillation(teacher, weight=1.0, teacher_steps=1).judged()
    assert max(found.values()) < 1e-6


def test_the_settings_take_shape_and_schedule_from_the_teacher(teacher):
    settings = DistilConfig(dim=48).like(teacher)
    assert settings.unet(DOF, teacher.net.config.condition) == teacher.net.config
    assert settings.schedule() == teacher.schedule
    assert settings.horizon == K


def test_first_passes_are_asked_at_pure_noise_and_earlier_passes_begin_there():
    paths, schedule = bump_paths(200, 20, 0), Schedule(steps=20)
    drawn = draw(paths.x, paths.scene_of, schedule, (0.1, 0.3, 0.3, 0.3), torch.Generator().manual_seed(0))
    batch = as_sampled(drawn, 20)
    assert (batch.t[batch.passes == 1] == 20).all()
    assert (batch.t[batch.passes != 1] == drawn.t[drawn.passes != 1]).all()
    assert (batch.earlier[batch.passes == 2, 1] == 20).all()
    assert (batch.earlier[:, 0] == 20).all()
    assert (batch.earlier[:, 1] >= batch.t)[batch.passes > 1].all()


def test_a_stopped_run_goes_on_to_the_same_weights(teacher, tmp_path):
    whole = distillation(teacher, steps=20)
    list(run(whole, tmp_path / "whole", log_every=10))
    stopped = run(distillation(teacher, steps=20), tmp_path / "stopped", log_every=10, checkpoint_minutes=0.0)
    next(stopped)
    stopped.close()
    again = distillation(teacher, steps=20)
    list(run(again, tmp_path / "stopped", log_every=10))
    assert torch.equal(weights(again), weights(whole))


@pytest.mark.parametrize(("key", "value"), [("teacher_steps", 0), ("teacher_steps", 101), ("weight", -1.0)])
def test_settings_that_make_no_sense_are_refused(key, value):
    with pytest.raises(InputError, match=key):
        replace(DistilConfig(), **{key: value})
