"""The page of a comparison, for reviewers and beginners: figures, drawings, failures, and how to repeat them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from diffplan.benchmark import report_tables as tables
from diffplan.benchmark.comparison import paired
from diffplan.benchmark.gallery import Exhibit
from diffplan.benchmark.page import (
    bullets,
    command,
    contents,
    heading,
    html_table,
    image,
    machine_facts,
    page,
    seconds,
    section,
)
from diffplan.benchmark.published import ROBOT, WARNING, published_table
from diffplan.benchmark.report_plots import quality_plots, success_plot
from diffplan.benchmark.results import Row
from diffplan.benchmark.sessions import Session, longest_warm_up
from diffplan.benchmark.summary import ALL, Summary

NOTES = (
    "certified: the motion passed the independent PyBullet check on the real meshes, between samples too, and was "
    "planned within the time limit; a planner's own belief never counts",
    "planning time: search, refinement and timing of the motion, until the first certified plan; the certificate, "
    "loading, compiling and one warm-up plan of each planner and process are outside",
    "a failure counts with the time limit in all times, because whoever waited for it waited that long",
    "95 % interval: Wilson's; other problems of this kind would give a share in there, 19 times of 20",
    "same robot, limits, timing of the motion, time limit, problems, seeds and certificate for every planner",
)
_WORDS = (
    (
        "certified",
        "A separate program (PyBullet, exact meshes) found the whole motion free of contact and within limits.",
    ),
    ("time limit", "How long a planner may search. A plan that comes later is a failure, however good it is."),
    ("95 % interval", "How far chance alone may carry a share; two shares whose intervals overlap may be equal."),
    ("median, 95 %", "Half of the runs took at most the median; 95 of 100 took at most the 95 % time."),
    ("path length", "The way of all joints together, in radians, as a length in joint space."),
    ("clearance", "The distance between robot and obstacles."),
    ("jerk", "The rate at which acceleration changes; low jerk is gentle to the robot."),
)
_FAILED_RUNS = 25


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the page is about: what was run, its rows in the order of planners and problems, and their summaries."""

    name: str
    rows: Sequence[Row]
    summaries: Sequence[Summary]
    time_limit_s: float
    sessions: Sequence[Session]
    exhibits: Sequence[Exhibit]
    robot: str
    conditions: tuple[str, ...]


def comparison_page(c: Comparison) -> str:
    """Return the page as HTML."""
    parts = {
        "Certified plans": _certified(c),
        "Success against time": _success(c),
        "Set by set": _sets(c),
        "Quality of the plans": _quality(c),
        "Pair by pair on the same problems": _pairs(c) if _several(c) else [],
        "What the certificate refuses": section(tables.refused(_all(c))),
        "Failures": _failures(c),
        "Published figures, not measured here": _published() if c.robot == ROBOT else [],
        "How it was measured": _how(c),
        "Words": [heading("Words"), _glossary()],
    }
    title = f"Planners compared: {c.name}"
    head = [f"<h1>{escape(title)}</h1>", *_introduction(c), contents([name for name, part in parts.items() if part])]
    return page(title, [*head, *(line for part in parts.values() for line in part)])


def _all(c: Comparison) -> list[Summary]:
    return [s for s in c.summaries if s.set == ALL]


def _several(c: Comparison) -> bool:
    return len(_all(c)) > 1


def _introduction(c: Comparison) -> list[str]:
    problems, sets = len({row.problem for row in c.rows}), len({row.set for row in c.rows})
    seeds = len({row.seed for row in c.rows})
    commands = list(dict.fromkeys(command(s.machine.command) for s in c.sessions))
    made = "One command makes" if len(commands) == 1 else f"{len(commands)} commands, one after the other, make"
    counts = [_count(len(_all(c)), "planner"), _count(problems, "problem"), _count(sets, "set"), _count(seeds, "seed")]
    return [
        f"<p>{counts[0]} on {counts[1]} in {counts[2]} with {counts[3]}, at most {c.time_limit_s:g} s of planning "
        "each. A run counts as a success only if the motion is <strong>certified</strong>: a separate program, the "
        "same for all, found the whole of it free of contact on the exact meshes and within the robot's limits. What "
        "a planner believes of its own plan does not count.</p>",
        f"<p>{made} every figure of this page (with results.csv, a row for each run):</p>",
        *(f"<p>{line}</p>" for line in commands),
    ]


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def _certified(c: Comparison) -> list[str]:
    table = tables.overview("Certified plans", _all(c), c.time_limit_s)
    meaning = (
        "How many runs ended with a certified plan, how far chance may move that share (95 % interval), and how long "
        "planning took. Refused claims: the share of a planner's own successes that the certificate refuses."
    )
    return [heading(table.title), f"<p>{meaning}</p>", html_table(table), f'<p class="note">{escape(table.note)}</p>']


def _success(c: Comparison) -> list[str]:
    return [
        heading("Success against time"),
        "<p>The share of all runs that have a certified plan by a given planning time: higher and further left is "
        "better. A line that ends below 100 % has failures, which never join it.</p>",
        f"<figure>{success_plot(c.rows, c.time_limit_s)}<figcaption>The time axis is logarithmic. Bars at the right, "
        "and shades where few planners are compared: 95 % intervals.</figcaption></figure>",
    ]


def _sets(c: Comparison) -> list[str]:
    names = list(dict.fromkeys(s.set for s in c.summaries if s.set != ALL))
    parts = [heading("Set by set"), *section(tables.by_set(c.summaries, c.time_limit_s), 3)]
    for name in names:
        table = tables.overview(name, [s for s in c.summaries if s.set == name], c.time_limit_s)
        parts += [heading(name, 3), html_table(table)]
    return parts


def _quality(c: Comparison) -> list[str]:
    return [
        heading("Quality of the plans"),
        "<p>Half of a planner's certified plans lie within its box, nine of ten within the whiskers; the thick line "
        "and the number are the median. Plans of runs that failed are not there, so read a box together with the share "
        "certified.</p>",
        quality_plots(c.rows, c.time_limit_s),
        *section(tables.quality(_all(c)), 3),
        *section(tables.times(_all(c), c.time_limit_s, dict(longest_warm_up(c.sessions))), 3),
    ]


def _pairs(c: Comparison) -> list[str]:
    compared = paired(c.rows, c.time_limit_s)
    first = [pair for pair in compared if pair.before == compared[0].before]
    table, others = tables.pairs("Pair by pair on the same problems", first), compared[len(first) :]
    parts = [heading(table.title), f"<p>{escape(table.note)}</p>", html_table(table)]
    if others:
        more = html_table(tables.pairs("The other pairs", others))
        parts.append(f"<details><summary>the other {len(others)} pairs</summary>{more}</details>")
    return parts


def _failures(c: Comparison) -> list[str]:
    runs = tables.failed_runs(c.rows, c.time_limit_s, _FAILED_RUNS)
    if not runs.rows:
        return [heading("Failures"), "<p>Every run has a certified plan.</p>"]
    parts = [heading("Failures"), *section(tables.failures(c.rows, c.time_limit_s), 3)]
    if c.exhibits:
        parts += [
            heading("Pictures of failures", 3),
            "<p>Some runs of each planner, from different sets, chosen by rule. Green arm: start; magenta arm: goal. "
            "Where the certificate refused a motion, the arm stands where it is deepest in contact, the link that "
            "touches in red, and the tube is the way of the tool.</p>",
            f'<div class="cards">{"".join(map(_card, c.exhibits))}</div>',
        ]
    shown = html_table(runs) + (f'<p class="note">{escape(runs.note)}</p>' if runs.note else "")
    return [
        *parts,
        f'<details class="screen"><summary>the failed runs, one by one ({len(runs.rows)})</summary>{shown}</details>',
    ]


def _card(exhibit: Exhibit) -> str:
    row = exhibit.row
    title = f"{row.planner}: {row.problem}, seed {row.seed}"
    ended = tables.outcome(row).replace("_", " ") + (f": {row.message}" if row.message else "")
    if row.certified and row.plan_time_s is not None:
        ended = f"late: certified, but after {seconds(row.plan_time_s)} of planning"
    picture = image(exhibit.png, f"{title}: {exhibit.shows}") if exhibit.png else ""
    return (
        f"<figure>{picture}<figcaption><strong>{escape(title)}</strong><p>{escape(ended)}</p>"
        f'<p class="note">Picture: {escape(exhibit.shows)}.</p>{command(exhibit.command)}</figcaption></figure>'
    )


def _published() -> list[str]:
    table = published_table()
    return [
        heading(table.title),
        f"<p><strong>{escape(WARNING)}</strong></p>",
        html_table(table),
        f"<p>{escape(table.note)}</p>",
    ]


def _how(c: Comparison) -> list[str]:
    parts = [heading("How it was measured"), bullets([escape(note) for note in (*NOTES, *c.conditions)])]
    for number, session in enumerate(c.sessions, start=1):
        many = f" ({number} of {len(c.sessions)})" if len(c.sessions) > 1 else ""
        facts = [command(session.machine.command), *map(escape, machine_facts(session.machine)), escape(_ran(session))]
        parts += [heading(f"Command{many}", 3), bullets(facts)]
    return parts


def _ran(session: Session) -> str:
    """Return in words when a session ran, how many problems at a time, and which rows it made."""
    at_a_time = "one problem at a time" if session.jobs == 1 else f"{session.jobs} problems at a time, one thread each"
    end = "stopped before its end"
    if session.rows_after is not None and session.time_s is not None:
        end = f"{session.rows_after - session.rows_before} runs in {session.time_s:.0f} s"
    return f"begun {session.begun}, {at_a_time}, with {session.rows_before} runs there already; {end}"


def _glossary() -> str:
    return "<dl>" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in _WORDS) + "</dl>"
