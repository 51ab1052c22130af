"""The report of `diffplan robots add` (Markdown): decisions, limits, and mesh, hulls and spheres of each link."""

from __future__ import annotations

from collections.abc import Sequence

from diffplan.learning.collision_model import FitReport
from diffplan.robot.discovery import Choice
from diffplan.robot.model import Robot


def report_text(robot: Robot, urdf: str, choices: Sequence[Choice], fit: FitReport) -> str:
    """Return the report; its picture is `report.png` beside it (see `robot_picture`)."""
    lines = [f"# {robot.name}", "", f"Made by `diffplan robots add` of `{urdf}`.", ""]
    lines += ["![The arm, what collides, and its spheres, at home](report.png)", ""]
    lines += ["From the left: the arm, what collides, and the spheres that planners see, at `home`.", ""]
    lines += ["## Found out", "", *_table(("what", "is", "because", "change it with"), _choices(choices)), ""]
    lines += ["## Limits", "", *_table(("joint", "lower", "upper", "velocity", "acceleration", "jerk"), _limits(robot))]
    lines += ["", "In rad or m, and s. Defaults stand in for what neither URDF nor robot.yaml tells.", ""]
    headings = (
        "link",
        "mesh",
        "hulls beyond mesh",
        "collides as",
        "that beyond mesh",
        "spheres",
        "uncovered",
        "outside",
    )
    lines += ["## Mesh, hulls and spheres", "", *_table(headings, _links(fit)), ""]
    lines += [
        "Lengths in mm. *Uncovered*: how far a point of what collides is from the spheres at most; *outside*: how far"
    ]
    lines += [
        f"spheres stick out of it. {fit.spheres} spheres in all. The more there are, the longer planning takes.",
        "",
    ]
    headings = ("link", "link", "touch", "only their spheres do")
    lines += ["## Links that can touch", "", *_table(headings, _pairs(fit)), ""]
    lines += [
        "Share of configurations, uniform within the joint limits (the first 4000 of pairs that touch often, else up"
    ]
    lines += [
        "to 20,000). Links beside each other in the tree are not looked at. *Only their spheres do*: planners take"
    ]
    lines += [
        "these for contacts and go round them. Links are fitted finer until it is below 1 %, where spheres of 2 mm"
    ]
    lines += ["outside, and 250 spheres in all or a quarter more than before, are enough for that."]
    return "\n".join([*lines, ""])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _choices(choices: Sequence[Choice]) -> list[list[str]]:
    return [[choice.what, choice.value, choice.why, choice.flag] for choice in choices]


def _limits(robot: Robot) -> list[list[str]]:
    (low, high), rates = robot.limits, ("velocity", "acceleration", "jerk")
    return [
        [
            joint,
            f"{low[i]:.4g}",
            f"{high[i]:.4g}",
            *(
                f"{getattr(robot, rate)[i]:.4g}" + (" (default)" if joint in robot.assumed.get(rate, ()) else "")
                for rate in rates
            ),
        ]
        for i, joint in enumerate(robot.joint_names)
    ]


def _links(fit: FitReport) -> list[list[str]]:
    rows = []
    for link, shape in fit.shapes.items():
        spheres = fit.links[link]
        rows.append(
            [
                link,
                " x ".join(f"{1000 * edge:.0f}" for edge in shape.extents),
                f"{1000 * shape.hull_bulge:.1f}",
                f"{shape.parts} convex parts" if link in fit.parts else "hulls",
                f"{1000 * shape.bulge:.1f}",
                str(len(spheres.radius)),
                f"{1000 * spheres.uncovered:.1f}",
                f"{1000 * spheres.outside:.1f}",
            ]
        )
    return rows


def _pairs(fit: FitReport) -> list[list[str]]:
    pairs = [pair for pair in fit.pairs if pair.touching.any() or pair.spheres_touching.any()]
    pairs.sort(key=lambda pair: -pair.false_share)
    return [[*pair.links, f"{100 * pair.touching_share:.1f} %", f"{100 * pair.false_share:.1f} %"] for pair in pairs]
