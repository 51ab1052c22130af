"""The model card: what a prior was made from, how, where, and how well it does."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from diffplan.errors import InputError
from diffplan.learning.config import DenoiserConfig, TrainConfig
from diffplan.learning.dataset import Dataset
from diffplan.learning.log import Progress, validated
from diffplan.prior.prior import Prior


def processor() -> str:
    """Return the processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def run_facts(config: DenoiserConfig, lines: list[Progress], history: list[list[int]]) -> dict[str, str | int | float]:
    """Return what the headers of all priors say about the run: seed, steps, time, machine, losses.

    Raises:
        InputError: if there was no validation yet.
    """
    last = validated(lines)
    return {
        "paths_over_time": "; ".join(f"{paths} from step {step}" for step, _, paths in history),
        "seed": config.seed,
        "steps": lines[-1].step,
        "batch": config.batch,
        "hours": round(lines[-1].seconds / 3600, 3),
        "machine": f"{processor()}, {torch.get_num_threads()} thread, torch {torch.__version__}, {config.products}",
        "loss_first_pass": round(last.first, 5),
        "loss_third_pass": round(last.third, 5),
        "loss_scene_not_shown": round(last.free, 5),
    }


def summary(
    config: TrainConfig, dataset: Dataset, lines: list[Progress], history: list[list[int]]
) -> dict[str, str | int | float]:
    """Return what belongs into the prior's header: data, seed, steps, time, machine, losses.

    Raises:
        InputError: if there was no validation yet.
    """
    return {
        "robot": dataset.robot.name,
        **dataset.origin,
        "training_paths": len(dataset.train),
        "training_scenes": len(dataset.train.scene_of.unique()),
        "held_out_paths": len(dataset.validation),
        "held_out_scenes": len(dataset.validation.scene_of.unique()),
        **run_facts(config, lines, history),
    }


def _seen(config: TrainConfig) -> str:
    ways = []
    if config.feedback:
        ways.append("what is fed back: the previous clean estimate, the collision gradient along it, and its clearance")
    if config.tokens:
        ways.append("obstacle tokens, by cross-attention")
    return "; and ".join(ways) or "nothing at all"


def model_card(prior: Prior, config: TrainConfig, lines: list[Progress]) -> str:
    """Return the card in Markdown.

    Raises:
        InputError: if the prior does not say how it was made.
    """
    made = prior.training
    if "training_paths" not in made:
        raise InputError("a prior that does not say how it was made", key="training")
    parameters = sum(p.numel() for p in prior.net.parameters())
    shape = prior.net.config
    history = [line for line in lines if line.first == line.first]
    shown = history[:: max(1, len(history) // 8)]
    if history and shown[-1] is not history[-1]:
        shown.append(history[-1])
    rows = [f"| {v.step} | {v.seconds / 60:.0f} | {v.first:.4f} | {v.third:.4f} | {v.free:.4f} |" for v in shown]
    facts = [f"| {key.replace('_', ' ')} | {value} |" for key, value in made.items()]
    return "\n".join(
        [
            f"# Diffusion prior for {made['robot']}",
            "",
            f"A temporal U-Net (Janner et al., 2022) of {parameters / 1e6:.2f} million parameters, width {shape.dim} x "
            f"{list(shape.mults)}, that predicts clean paths of {prior.horizon} B-spline control points, normalised by "
            f"the joint limits. It sees the scene through {_seen(config)}.",
            "",
            "Trained on procedurally generated scenes and paths of this project's own planner pipeline "
            "(`diffplan data generate`); no public benchmark problem and no shipped scene is among them. "
            "Weights: `prior.safetensors` (float16, averaged), everything needed to use them in its header.",
            "",
            "| fact | value |",
            "|---|---|",
            *facts,
            "",
            f"Learning rate {config.rate:g}, AdamW, {config.warm_up} steps of warm-up, cosine to zero over the last "
            f"{config.decay_share:.0%}; averaging {config.ema}; x0-prediction, weight SNR clipped to [1, 5]; "
            f"{config.noise_steps} noise steps, cosine, data_std {config.data_std}; condition dropped for "
            f"{config.pass_shares[0]:.0%}; every path also backwards.",
            "",
            "Loss on held-out scenes (weighted squared error of x0 over data_std^2, same paths and noise each time):",
            "",
            "| step | minutes | first pass | third pass | scene not shown |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "**Limits.** One robot, fixed base, the joint limits above; start and goal given as joint positions; "
            "scenes like those of the generator. Its paths are proposals: only the certificate says they are free.",
            "",
        ]
    )
