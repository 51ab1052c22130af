"""Draw docs/images/reverse_process.png: samples of the prior after each reverse step, refined, and drawn tight.

python scripts/draw_reverse_process.py [--scene NAME] [--query NAME] [--out FILE.png]
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

from PIL import Image

import diffplan as dp
from diffplan.ends import configuration, goal_configurations
from diffplan.problem import Problem
from diffplan.viewer.samples import draw_samples

OUT = Path(__file__).parents[1] / "docs" / "images" / "reverse_process.png"
WIDTH = 1800  # pixels


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description="Draw the reverse process.")
    parser.add_argument("--scene", default="deep_shelf")
    parser.add_argument("--query", default="default")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    robot, scene = dp.Robot.load("panda"), dp.Scene.load(args.scene)
    query = scene.query(args.query)
    start = configuration(robot, query.start, "start")
    goals = goal_configurations(robot, scene, query.goal, start, seed=0)
    drawn = draw_samples(Problem(robot=robot, scene=scene, start=start, goals=goals, name=args.scene))
    pictures = [Image.open(BytesIO(png)).convert("RGB") for _, png in drawn]
    height = max(picture.height for picture in pictures)
    whole = Image.new("RGB", (sum(picture.width for picture in pictures), height), "white")
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width
    whole.resize((WIDTH, round(WIDTH * height / left))).quantize(64).save(args.out, optimize=True)
    print(", ".join(name for name, _ in drawn))


if __name__ == "__main__":
    main()
