"""The common prior's model card: which arms it was made from, and how well it does for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffplan.learning.card import run_facts
from diffplan.learning.common_data import ArmData
from diffplan.learning.config import CommonConfig
from diffplan.learning.log import Progress
from diffplan.prior.common import CommonPrior
from diffplan.prior.familiarity import ARM_SHARE, PROBLEM_SHARE


def common_summary(
    config: CommonConfig, arms: Sequence[ArmData], lines: list[Progress], history: list[list[int]]
) -> dict[str, str | int | float]:
    """Return what belongs into the prior's header: arms, data, seed, steps, time, machine, losses.

    Raises:
        InputError: if there was no validation yet.
    """
    trained = [arm for arm in arms if arm.trained]
    return {
        "arms": ", ".join(arm.name for arm in trained),
        "arms_left_out": ", ".join(arm.name for arm in arms if not arm.trained) or "none",
        "training_paths": sum(len(arm.dataset.train) for arm in trained),
        "training_scenes": sum(len(arm.dataset.train.scene_of.unique()) for arm in trained),
        "data_seeds": "; ".join(str(arm.dataset.origin["data_seeds"]) for arm in trained),
        **run_facts(config, lines, history),
    }


def _title(prior: CommonPrior) -> str:
    if "started_from" in prior.training and ", " not in (arms := str(prior.training["arms"])):
        return f"Diffusion prior for {arms}, fine-tuned from the common one"
    return "Common diffusion prior of serial arms"


def _familiar(prior: CommonPrior) -> list[str]:
    known = prior.familiarity
    if known is None:
        return []
    arms = f"within {known.arm_limit:.2f} of the nearest other one" if known.arm_limit else "too few to tell how near"
    return [
        "A plan tells where arm or problem are far from what was trained on (prior/familiarity.py): an arm by how its "
        f"joints lie to each other ({ARM_SHARE:.0%} of the {len(known.arms)} arms are {arms}), a problem by what is "
        f"seen of the straight line ({PROBLEM_SHARE:.0%} of those in held-out scenes are within "
        f"{known.problem_limit:.2f}).",
        "",
    ]


def common_card(prior: CommonPrior, config: CommonConfig, losses: Sequence[Mapping[str, object]]) -> str:
    """Return the card in Markdown; `losses` are lines of the log of arms, of which the last step's are shown."""
    parameters, shape = sum(p.numel() for p in prior.net.parameters()), prior.net.config
    last = [line for line in losses if line["step"] == losses[-1]["step"]]
    rows = [
        f"| {line['arm']} | {'yes' if line['trained'] else 'no'} | {line['first']:.4f} | {line['third']:.4f} "
        f"| {line['free']:.4f} |"
        for line in last
    ]
    facts = [f"| {key.replace('_', ' ')} | {value} |" for key, value in prior.training.items()]
    return "\n".join(
        [
            f"# {_title(prior)}",
            "",
            f"A temporal U-Net of {parameters / 1e6:.2f} million parameters, width {shape.dim} x {list(shape.mults)}, "
            "with the same weights for all joints; joints attend to each other at equal control points after levels "
            f"{list(shape.mixing)}. It predicts the deviation of {prior.horizon} B-spline control points from the "
            "straight line. Of an arm it sees what its joints do, not which they are.",
            "",
            "Trained on procedurally generated scenes and paths (`diffplan data generate`); no public benchmark "
            "problem and no shipped scene is among them. Weights: `prior.safetensors` (float16, averaged).",
            "",
            "| fact | value |",
            "|---|---|",
            *facts,
            "",
            f"Learning rate {config.rate:g}, AdamW, {config.warm_up} steps of warm-up, cosine to zero over the last "
            f"{config.decay_share:.0%}; averaging {config.ema}; x0-prediction, weight SNR clipped to [1, 5]; "
            f"{config.noise_steps} noise steps, cosine, data_std {config.data_std}; condition dropped for "
            f"{config.pass_shares[0]:.0%}; directions of joints, base turn, mirror image and direction of the path "
            "drawn anew for every path.",
            "",
            "Loss on held-out scenes (weighted squared error of x0 over data_std^2, same paths and noise each time). "
            "How well the prior does for an arm that it was not trained on is not told by it, but by certified shares.",
            "",
            "| arm | trained on | first pass | third pass | scene not shown |",
            "|---|---|---|---|---|",
            *rows,
            "",
            *_familiar(prior),
            "**Limits.** Serial arms with a fixed base; start and goal given as joint positions; scenes like those of "
            "the generator. Its paths are proposals: only the certificate says they are free.",
            "",
        ]
    )
