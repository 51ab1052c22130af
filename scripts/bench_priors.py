"""Times of priors on one thread: a pass of the network, what it is shown, and a training step of the common prior.

    python scripts/bench_priors.py [--robot panda] [--dims 32,48,64] [--train]

A pass is what the planner does in each reverse step: scene and path shown and not (classifier-free guidance), so twice
the batch. Figures are the least of several repetitions: other processes disturb.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from diffplan.collision.cpu import CollisionModel
from diffplan.collision.obstacles import Obstacles
from diffplan.curves import spline
from diffplan.geometry.pose import Pose
from diffplan.geometry.shapes import Box
from diffplan.learning.common_data import ArmData
from diffplan.learning.common_trainer import CommonFit
from diffplan.learning.config import CommonConfig
from diffplan.learning.dataset import Dataset, Paths
from diffplan.prior.choice import kept_prior, prior_file
from diffplan.prior.common import CommonPrior
from diffplan.prior.jointwise import JointwiseUnet
from diffplan.prior.path_prior import PathPrior
from diffplan.prior.unet import PRODUCTS
from diffplan.robot.model import Robot
from diffplan.scene import Scene
from diffplan.system.kernel_threads import set_kernel_threads

HORIZON = 16
BATCHES = (4, 16, 64)


def best(run: Callable[[], object], repetitions: int) -> float:
    """Return the least time of a run [ms]."""
    run()
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)


def scene() -> Scene:
    """Return ten boxes around the arm."""
    rng, boxes = np.random.default_rng(0), []
    for i in range(10):
        x, y, z = rng.uniform((-0.8, -0.8, 0.0), 0.8)
        boxes.append(Box(name=f"{i}", size=(0.2, 0.1, 0.3), pose=Pose(xyz=(x, y, z))))
    return Scene(name="boxes", obstacles=tuple(boxes))


def pass_time(prior: PathPrior, model: CollisionModel, world: Obstacles, batch: int, repetitions: int) -> float:
    """Return the time of one call of the denoiser that sees the scene [ms]."""
    robot, rng = model.robot, np.random.default_rng(1)
    start, goals = rng.uniform(robot.lower, robot.upper), rng.uniform(robot.lower, robot.upper, (batch, robot.dof))
    coordinates = prior.coordinates(model, start, goals, HORIZON)
    denoiser = prior.denoiser(model, world, coordinates, sees=True, weight=2.0)
    x, t = torch.randn(batch, HORIZON, robot.dof), torch.full((batch,), 50)
    x[:, 0], x[:, -1] = coordinates.ends
    return best(lambda: denoiser(x, t), repetitions)


def step_time(robot: Robot, config: CommonConfig, repetitions: int) -> float:
    """Return the time of a training step on random paths of one arm [ms]."""
    rng = np.random.default_rng(2)
    ends = rng.uniform(-0.8, 0.8, (2, 400, robot.dof))
    x = spline.straight(ends[0], ends[1], HORIZON) + 0.1 * rng.normal(size=(400, HORIZON, robot.dof))
    paths = Paths(x=torch.from_numpy(x.clip(-1, 1)).float(), scene_of=torch.zeros(400, dtype=torch.int64))
    data = Dataset(train=paths, validation=paths, scenes=(scene(),), robot=robot, origin={})
    fit = CommonFit(config, [ArmData.of(data, tokens=config.tokens > 0, trained=True)])
    return best(fit.step, repetitions)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--dims", default="32,48,64", help="widths of common priors, with commas between")
    parser.add_argument("--tokens", type=int, default=0, help="blocks of cross-attention to obstacle tokens")
    parser.add_argument("--mixing", default="0,1,2", help="levels after which joints attend to each other")
    parser.add_argument("--train", action="store_true", help="time training steps too (batch 128)")
    parser.add_argument("--repeat", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    set_kernel_threads(1)
    robot = Robot.load(args.robot)
    model, world = CollisionModel(robot), Obstacles.pack([scene()])
    mixing = tuple(int(level) for level in args.mixing.split(",") if level)
    print(f"{robot.name}, one pass of the denoiser [ms] at batch {BATCHES}, and a training step of 128 paths [ms]")
    for name, dtype in PRODUCTS.items():
        if (file := prior_file(robot)).exists():
            own = kept_prior(file, dtype)
            times = [pass_time(own, model, world, batch, args.repeat) for batch in BATCHES]
            print(f"{'own prior':20s} {name:9s} " + " ".join(f"{t:8.2f}" for t in times), flush=True)
        for dim in map(int, args.dims.split(",")):
            config = CommonConfig(dim=dim, tokens=args.tokens, mixing=mixing, products=name)
            net = JointwiseUnet(config.unet()).requires_grad_(False).products(dtype)
            prior = CommonPrior(net=net, schedule=config.schedule(), horizon=HORIZON)
            times = [pass_time(prior, model, world, batch, args.repeat) for batch in BATCHES]
            if args.train:
                times.append(step_time(robot, config, max(3, args.repeat // 4)))
            size = sum(p.numel() for p in net.parameters()) / 1e6
            print(f"{f'{dim} wide, {size:.2f} M':20s} {name:9s} " + " ".join(f"{t:8.2f}" for t in times), flush=True)


if __name__ == "__main__":
    main()
