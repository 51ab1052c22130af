"""Is a plan the same whether the caches are empty or full? All queries of the shipped scenes, one seed, bit for bit.

    python scripts/check_cold_cache.py [--single 2] [--planner diffusion] [--timeout 10]

cold: a process with an empty cache of compiled kernels and of distance fields plans every query.
warm: another process plans them again with what the first has left there.
alone: a process with empty caches plans one query only, so that all compiling falls to it (`--single` of them).

Plans are compared by all that a plan file holds but `timing_s`. Compiling takes a process about a minute. Prints a
table and exits 1 if a plan differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

Plans = dict[str, dict[str, object]]


def queries() -> list[str]:
    """Return scene/query for every query of the shipped scenes."""
    from diffplan.scene import Scene
    from diffplan.system.assets import shipped_scenes

    return [f"{name}/{query}" for name in shipped_scenes() for query in Scene.load(name).queries]


def plans(names: list[str], planner: str, timeout: float) -> Plans:
    """Return what the plan files of these queries hold."""
    import diffplan as dp
    from diffplan.formats.plan_file import plan_document

    found: Plans = {}
    for name in names:
        scene_name, query_name = name.split("/")
        scene = dp.Scene.load(scene_name)
        query = scene.query(query_name)
        plan = dp.plan(scene.robot or "panda", scene, query.start, query.goal, planner=planner, timeout=timeout)
        found[name] = dict(plan_document(plan))
    return found


def in_process(caches: Path, names: list[str], args: argparse.Namespace) -> Plans:
    """Return the plans of a fresh process with these caches."""
    out = caches / "plans.json"
    settings = {"NUMBA_CACHE_DIR": caches / "kernels", "XDG_CACHE_HOME": caches / "user", "OMP_NUM_THREADS": 1}
    command = [sys.executable, __file__, "--planner", args.planner, "--timeout", str(args.timeout)]
    environment = {**os.environ, **{key: str(value) for key, value in settings.items()}}
    subprocess.run([*command, "--plans", str(out), *names], env=environment, check=True)
    return json.loads(out.read_text(encoding="utf-8"))


def difference(one: dict[str, object], other: dict[str, object]) -> str:
    """Return the keys by which two plan files differ, times aside."""
    keys = sorted((one.keys() | other.keys()) - {"timing_s"})
    return ", ".join(key for key in keys if one.get(key) != other.get(key))


def seconds(plan: dict[str, object], *parts: str) -> float:
    """Return the time spent on these parts."""
    times = plan["timing_s"]
    assert isinstance(times, dict)
    return sum(times.get(part, 0.0) for part in parts)


def main() -> int:
    """Plan cold, warm and alone; compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--single", type=int, default=2, help="how many queries are planned by a process of their own")
    parser.add_argument("--planner", default="diffusion")
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--plans", type=Path, help=argparse.SUPPRESS)  # for the processes that this one starts
    parser.add_argument("names", nargs="*", metavar="SCENE/QUERY", help="by default all of the shipped scenes")
    args = parser.parse_args()
    names = args.names or queries()
    if args.plans:
        args.plans.write_text(json.dumps(plans(names, args.planner, args.timeout)), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        caches = Path(folder) / "all"
        caches.mkdir()
        cold = in_process(caches, names, args)
        warm = in_process(caches, names, args)
        chosen = [names[i] for i in np.linspace(0, len(names) - 1, min(args.single, len(names))).round().astype(int)]
        alone: Plans = {}
        for number, name in enumerate(chosen):
            caches = Path(folder) / str(number)
            caches.mkdir()
            alone |= in_process(caches, [name], args)
    differing = 0
    ready = ("prepare", "warmup", "load")
    print(f"{'query':40}  cold: ready   plan  warm: ready   plan  status, solved by, difference")
    for name in names:
        pairs = [(f"cold, {name}", cold[name]), *([(f"alone, {name}", alone[name])] if name in alone else [])]
        for label, plan in pairs:
            found = difference(plan, warm[name])
            differing += bool(found)
            times = [seconds(one, *part) for one in (plan, warm[name]) for part in (ready, ("plan",))]
            shown = "  ".join(f"{time:8.2f}" for time in times)
            print(f"{label:40}  {shown}  {plan['status']}, {plan['solved_by']}{', DIFFERS: ' + found if found else ''}")
    print(f"{len(names)} queries cold and {len(alone)} alone, {differing} differ from warm")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
