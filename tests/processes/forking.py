"""Plans in forked processes of every kind, and prints how each answer compares; run by test_forking.py."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256

import diffplan as dp

warnings.filterwarnings("ignore", category=DeprecationWarning)  # Python 3.12: forking beside threads is what we test
SEEDS = range(3)
FORK = multiprocessing.get_context("fork")


def digest(seed: int, options: dict[str, object] | None = None) -> str:
    """Plan, and return a digest of every number of the motion."""
    scene = dp.Scene.load("bookshelf")
    query = scene.query("default")
    plan = dp.plan("panda", scene, query.start, query.goal, seed=seed, options=options, timeout=60.0)
    assert plan.trajectory is not None, plan.message
    return f"{plan.status.value} {sha256(plan.trajectory.position.tobytes()).hexdigest()[:16]}"


def pooled() -> list[str]:
    """Return the answers of a pool of two forked workers."""
    with FORK.Pool(2) as pool:
        return pool.map_async(digest, SEEDS).get(timeout=120)


def executed() -> list[str]:
    """Return those of a forked process pool executor."""
    with ProcessPoolExecutor(2, mp_context=FORK) as pool:
        return list(pool.map(digest, SEEDS, timeout=120))


def by_hand() -> list[str]:
    """Return those of a child made by os.fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps([digest(seed) for seed in SEEDS]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answers = json.load(stream)
    os.waitpid(child, 0)
    return answers


def while_planning() -> list[str]:
    """Return those of forked workers that begin while another thread plans, again and again."""
    stop = threading.Event()

    def plan_on() -> None:
        while not stop.is_set():
            digest(7)

    thread = threading.Thread(target=plan_on)
    thread.start()
    try:
        return pooled()
    finally:
        stop.set()
        thread.join()


def with_threads(_: int) -> str:
    """Plan with two threads, those of torch and the kernel."""
    return digest(0, {"threads": 2})


def in_threads_after_torch() -> list[str]:
    """Return two-threaded answers of forked workers after the parent's torch has used its own threads."""
    import torch

    torch.set_num_threads(2)
    _ = torch.ones(600, 600) @ torch.ones(600, 600)
    digest(0, {"threads": 2})
    with FORK.Pool(2) as pool:
        return [answer.split()[0] for answer in pool.map_async(with_threads, SEEDS).get(timeout=120)]


def main() -> None:
    """Print a JSON object: name of the way -> its answers."""
    found = {"before any plan": executed()}
    found["alone"] = [digest(seed) for seed in SEEDS]
    for name, way in (("pool", pooled), ("executor", executed), ("by hand", by_hand), ("beside", while_planning)):
        found[name] = way()
    found["threads"] = in_threads_after_torch()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
