"""`diffplan task`: a sequence of a task file, from reading to certified plans, result files and film."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from diffplan.cli.common import (
    DEFAULT_TIMEOUT_S,
    add_render_argument,
    check_pictures,
    positive_number,
    tell_assumed,
    tell_held,
    tell_parts,
    tell_units,
)
from diffplan.system.files import check_writable, make_folder
from diffplan.system.progress import working

if TYPE_CHECKING:
    from diffplan.cli.results import Results
    from diffplan.sequence.result import SequencePlan

EXAMPLES = (
    "diffplan task cube_to_tray --out tasks --render tasks.gif",
    "diffplan task my_task.yaml --execute --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task", metavar="FILE", help="task file (diffplan/task@1), or the name of a shipped task")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default 0)")
    about = f"time limit of planning the whole sequence (default {DEFAULT_TIMEOUT_S:g})"
    parser.add_argument("--timeout", type=positive_number, default=DEFAULT_TIMEOUT_S, metavar="S", help=about)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write task.json and a plan file for each motion there")
    add_render_argument(parser, "film it (.gif, .mp4) or draw the end of each motion (.png); repeatable")
    about = "play it in PyBullet's physics, with gravity and real contact, and say where the objects ended"
    parser.add_argument("--execute", action="store_true", help=about)


def run(args: argparse.Namespace, out: Results) -> int:
    """Plan and report; 0 if the whole sequence is certified, 1 if not."""
    begin = perf_counter()
    check_pictures(args.render)

    with working("reading"):
        from diffplan.sequence.files import save_sequence, sequence_document
        from diffplan.sequence.task_file import load_task

        task = load_task(args.task)
    tell_units(task.scene)
    for film in args.render:
        make_folder(film.parent)
        check_writable(film)
    if args.out:
        make_folder(args.out)
    load = perf_counter() - begin
    plan = task.sequence.plan(task.robot, task.scene, task.start, seed=args.seed, timeout=args.timeout)
    _report(plan, task.name, load)
    tell_assumed([task.robot])
    tell_parts([task.robot])
    tell_held(one.robot for one in plan.plans)
    played = None
    if args.execute and plan.solved:
        from diffplan.sequence.own_world import execute_sequence

        played = execute_sequence(plan)
        print(f"executed: {played.words}", file=sys.stderr)
    if args.out:
        save_sequence(plan, args.out, execution=played)
        print(f"wrote {args.out / 'task.json'}", file=sys.stderr)
    for film in args.render if plan.solved else ():
        plan.render(film)
        print(f"wrote {film}", file=sys.stderr)
    out.line(f"{task.name}: {plan.status.value}")
    out.document({"task": task.name, **sequence_document(plan, execution=played)})
    return 0 if plan.solved else 1


def _report(plan: SequencePlan, name: str, load: float) -> None:
    """Say on stderr what came out."""
    if not plan.solved:
        print(f"not solved: {plan.status.value}: {plan.message}", file=sys.stderr)
        return
    motions = f"{len(plan.plans)} motions of {plan.duration:.2f} s, all certified"
    print(f"{name}: {motions}; planned in {plan.timing_s['plan']:.2f} s (read in {load:.2f} s)", file=sys.stderr)
    for step in plan.steps:
        about = ""
        if step.plan and step.plan.certificate and step.plan.trajectory:
            words = [f"{step.plan.trajectory.duration:.2f} s", step.plan.certificate.clearance_words]
            words += [step.plan.certificate.contact_words, "goes on without a stop" if step.goes_on else ""]
            about = ": " + ", ".join(word for word in words if word)
        held = f" (holds {', '.join(step.held)})" if step.held else ""
        print(f"  {step.label}{held}{about}", file=sys.stderr)
