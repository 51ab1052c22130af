"""What the authors of other systems publish, to stand beside our figures: other machines, problems, and judges."""

from __future__ import annotations

from dataclasses import dataclass

from diffplan.benchmark.page import TextTable

ROBOT = "panda"
"""The robot that all these figures are for."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One system as published; empty texts where nothing is. `source` says who publishes it, `problems` on what."""

    system: str
    problems: str
    success: str
    time: str
    path: str
    machine: str
    source: str


_UNTRACED = "where the figures were published is not recorded"

PUBLISHED = (
    Published(
        system="cuRobo 0.7.6",
        problems="MotionBenchMaker, 800 problems, pose goals",
        success="100 %",
        time="median 31 ms, 98 % 161 ms",
        path="mean 3.82 rad; motion mean 1.36 s",
        machine="RTX 6000 Ada (GPU)",
        source="cuRobo's documentation, Benchmarks & Profiling, 0.7.6, November 2024",
    ),
    Published(
        system="VAMP, RRT-Connect, simplified",
        problems="MotionBenchMaker, 700 problems, joint goals: those of our mbm_panda",
        success="699 of 700 (99.9 %)",
        time="median 0.10 ms, 95 % 0.44 ms",
        path="mean 5.18 rad",
        machine="one core of a Ryzen 9 7950X",
        source="Thomason, Kingston, Kavraki, ICRA 2024",
    ),
    Published(
        system="Tesseract (RRT-Connect, then TrajOpt)",
        problems="MotionBenchMaker and MPiNets, 2600 problems",
        success="98.5 %",
        time="mean 2.95 s, 98 % 22 s",
        path="about 10 % longer than cuRobo's",
        machine="not noted",
        source=f"Tesseract (ROS-Industrial); {_UNTRACED}",
    ),
    Published(
        system="CAMPD, batch of 64",
        problems="MPiNets",
        success="96 to 98 %",
        time="15 to 60 ms",
        path="jerk 37 rad/s³",
        machine="GPU",
        source="Sandra et al., arXiv 2510.14615 (2025)",
    ),
    Published(
        system="EDMP, 12 guides",
        problems="MPiNets",
        success="76 to 86 %",
        time="8.2 s",
        path="",
        machine="not noted",
        source=f"method: Saha et al., ICRA 2024; {_UNTRACED}",
    ),
    Published(
        system="MPD",
        problems="MPiNets",
        success="46 to 62 %",
        time="7.3 s",
        path="",
        machine="not noted",
        source=f"method: Carvalho et al., IROS 2023; {_UNTRACED}",
    ),
    Published(
        system="CHOMP",
        problems="MPiNets",
        success="27 to 32 %",
        time="2.4 s",
        path="",
        machine="not noted",
        source=f"method: Zucker et al., IJRR 2013; {_UNTRACED}",
    ),
    Published(
        system="RRT-Connect, PyBullet's collision checks",
        problems="MPiNets",
        success="83 to 91 %",
        time="7.1 s",
        path="",
        machine="not noted",
        source=f"method: Kuffner and LaValle, ICRA 2000; {_UNTRACED}",
    ),
)

WARNING = (
    "These figures are published by others, on other hardware and by their own judges; nothing in this table was "
    "measured here. Problems differ from row to row, so it is no ranking, neither among the rows nor against ours."
)
JUDGED = (
    "Where our judge could be asked: of VAMP's 699 paths, PyBullet finds 448 free of contact with the robot's meshes "
    "and the same opening of the fingers (depth of the others: median 1.6 mm, 95 % 8.7 mm, worst 15.3 mm), because "
    "VAMP's spheres leave up to 15 mm of the fingers and 62 mm of link 5 uncovered."
)


def published_table() -> TextTable:
    """Return the published figures."""
    return TextTable(
        title="Published figures, not measured here",
        headings=("system", "problems", "success", "planning time", "path", "hardware", "source"),
        rows=tuple((p.system, p.problems, p.success, p.time, p.path, p.machine, p.source) for p in PUBLISHED),
        note=JUDGED,
        in_words=True,
    )
