"""`diffplan train value`: from a folder of returns to a robot's value, its curve and its model card."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from diffplan.learning.card import processor
from diffplan.learning.log import read_log, save_figure
from diffplan.learning.returns import read_returns
from diffplan.learning.run import run, watched
from diffplan.learning.value import LEVELS, Agreement, ValueConfig, ValueFit, ValueLine
from diffplan.planners.threads import threads as using
from diffplan.prior.value import Value, save_value
from diffplan.robot.model import Robot
from diffplan.system.files import write_text


def fit_value(
    robot: Robot,
    data: Path,
    config: ValueConfig,
    folder: Path,
    *,
    checkpoint_minutes: float = 1.0,
    threads: int = 1,
    console: Console | None = None,
) -> Value:
    """Train the value on the returns in `data`, or go on with the run in `folder`.

    Leaves value.safetensors, curve.png and VALUE.md there.

    Raises:
        InputError: if there are no returns, or the folder holds a run with other settings or data.
        DiffplanError: if the loss is not finite.
    """
    with using(threads):
        fit, log = ValueFit(config, read_returns(data), robot), folder / "log.csv"
        for _ in watched(
            run(fit, folder, checkpoint_minutes=checkpoint_minutes, log_every=50), config.steps, _told, console
        ):
            pass
        lines = read_log(log, ValueLine, up_to=fit.done)
        draw_curve(lines, folder / "curve.png")
        found = [fit.validate(level) for level in LEVELS]
        value = fit.value(_facts(fit, lines, found))
        save_value(value, folder / "value.safetensors")
        write_text(folder / "VALUE.md", model_card(value, config, found))
        return value


def _told(line: ValueLine) -> str:
    if math.isnan(line.pearson):
        return ""
    text = f"correlation {line.pearson:.4f}, ranks {line.spearman:.4f}, within {line.spearman_within:.4f}"
    return f"held out: {text}"


def draw_curve(lines: list[ValueLine], path: Path) -> None:
    """Draw the training loss and the held-out correlations over steps as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    left = figure.add_subplot()
    left.plot([line.step for line in lines], [line.train for line in lines], color="0.75", lw=1)
    left.set(xlabel="step", ylabel="training loss (grey)", yscale="log")
    right = left.twinx()
    names = {
        "pearson": "correlation",
        "spearman_within": "rank correlation within problems",
        "pearson_half": "correlation at half the noise steps",
    }
    judged = [line for line in lines if not math.isnan(line.pearson)]
    for (key, label), colour in zip(names.items(), ("tab:blue", "tab:green", "tab:red"), strict=True):
        values = [getattr(line, key) for line in judged]
        right.plot([line.step for line in judged], values, "-o", ms=3, color=colour, label=label)
    right.set(ylabel="on held-out scenes", ylim=(None, 1.0))
    right.legend(loc="center right")
    save_figure(figure, path)


def _facts(fit: ValueFit, lines: list[ValueLine], found: list[Agreement]) -> dict[str, str | int | float]:
    """Return what belongs into the header: data, settings, time, machine, agreement."""
    tracking, cost = fit.tracking, fit.validation.cost
    return {
        "robot": fit.robot.name,
        "training_groups": len(fit.train),
        "held_out_groups": len(fit.validation),
        "paths_in_a_group": cost.shape[1],
        "traversal_time_mean_s": round(float(fit.train.cost.mean()), 3),
        "tracked_paths": len(tracking),
        "tracking_error_median_rad": float(f"{np.median(tracking):.2g}"),
        "tracking_error_largest_rad": float(f"{tracking.max():.2g}"),
        "tracking_weight_s_per_rad": fit.config.tracking_weight,
        "seed": fit.config.seed,
        "steps": fit.done,
        "batch": fit.config.batch,
        "minutes": round(lines[-1].seconds / 60, 1),
        "machine": f"{processor()}, {torch.get_num_threads()} thread, torch {torch.__version__}",
        "correlation": round(found[0].pearson, 4),
        "rank_correlation": round(found[0].spearman, 4),
        "rank_correlation_within": round(found[0].spearman_within, 4),
    }


def model_card(value: Value, config: ValueConfig, found: list[Agreement]) -> str:
    """Return the card in Markdown."""
    parameters, shape = sum(p.numel() for p in value.net.parameters()), value.net.config
    facts = [f"| {key.replace('_', ' ')} | {fact} |" for key, fact in value.training.items()]
    rows = [
        f"| {a.level} % | {a.pearson:.4f} | {a.spearman:.4f} | {a.pearson_within:.4f} | {a.spearman_within:.4f} "
        f"| {a.error_s:.3f} |"
        for a in found
    ]
    return "\n".join(
        [
            f"# Learned value for {value.training['robot']}",
            "",
            f"The down half of a temporal U-Net (as in Diffuser, Janner et al., 2022), {parameters / 1e6:.2f} million "
            f"parameters, width {shape.dim} x {list(shape.mults)}, that predicts the return of the clean path behind a "
            "noisy one: minus the shortest traversal time from rest to rest under velocity and acceleration limits "
            "(TOPP-RA, timing.py) and minus the largest tracking error in PyBullet times a weight. It predicts by how "
            "much a path exceeds the straight line between its ends, whose time is known in closed form.",
            "",
            "Trained on paths of `diffplan data generate` and variations of them (`diffplan data returns`): drawn "
            "towards the straight line, bent by smooth noise, roughened, backwards. No public problem and no shipped "
            "scene is among them; the value sees no scene.",
            "",
            "| fact | value |",
            "|---|---|",
            *facts,
            "",
            f"Learning rate {config.rate:g}, AdamW, cosine to zero over the last {config.decay_share:.0%}; averaging "
            f"{config.ema}; {config.clean:.0%} of the groups without noise, the rest at uniform levels; squared error "
            f"plus {config.within:g} times that of differences within a group.",
            "",
            f"Agreement with the measured return on held-out scenes ({config.held_out:.0%} of all); within: of "
            "differences from the mean of a group, and the mean rank correlation in a group, that is, among ways "
            "between the same ends:",
            "",
            "| noise level | correlation | rank correlation | correlation within | rank correlation within "
            "| mean error [s] |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "**Limits.** One robot with the limits of the training. Position control in PyBullet follows every path "
            "almost exactly, so the tracking error hardly enters the return; paths of the data keep farther from "
            "obstacles than it, so contact never does. The path's exact time is what the plan is made with; the "
            "prediction only ranks and guides.",
            "",
        ]
    )
