"""What the learned parts are expected to buy, beside what was measured, whichever way it goes."""

from __future__ import annotations

from dataclasses import dataclass

from diffplan.benchmark.ablation import Ablation
from diffplan.benchmark.page import p_value, seconds
from diffplan.benchmark.variants import ADAPTIVE

_POINTS_AT_BATCH_4 = 15.0
_POINTS_AT_EQUAL_TIME = 20.0
_TIME_RATIO = 0.5
_SHORTER_PERCENT = 5.0
_SIGNIFICANT = 0.01


@dataclass(frozen=True, kw_only=True)
class Check:
    """An expectation, what was measured, and whether it is met (None: the runs cannot tell)."""

    expected: str
    measured: str
    met: bool | None


def checks(a: Ablation) -> tuple[Check, ...]:
    """Return the checks of those variants that were run."""
    titles = {variant.name: variant.title for variant in a.variants}
    names = list(titles)
    found: list[Check] = []
    for name in dict.fromkeys(("prior", names[-1])):
        if name in names[1:]:
            over = f"{'everything on' if name == names[-1] else titles[name]} over {titles[names[0]]}"
            found += [
                _at_small_batch(a, names[0], name, over),
                *_in_half_the_time(a, names[0], name, over),
                _equal_time(a, names[0], name, f"{over}, hard problems", _POINTS_AT_EQUAL_TIME),
            ]
    if "guidance" in names and "prior" in names:
        over = "guidance inside the reverse process over guidance only afterwards"
        found.append(_equal_time(a, "prior", "guidance", over, 0.0))
    if "value" in names:
        found.append(_shorter(a, names[names.index("value") - 1]))
    return tuple(found)


def _at_small_batch(a: Ablation, before: str, after: str, over: str) -> Check:
    batch = 4 if 4 in a.batches else a.batches[-1]
    x, y = a.point(before, batch), a.point(after, batch)
    (pair,) = (p for p in a.paired if (p.before, p.after, p.mode) == (before, after, str(batch)))
    points = 100 * (y.share - x.share)
    shares = f"{100 * x.share:.1f} to {100 * y.share:.1f} %"
    return Check(
        expected=f"{over}: at least +{_POINTS_AT_BATCH_4:.0f} points in one round at batch {batch}",
        measured=f"{points:+.1f} points ({shares}; McNemar {p_value(pair.p_success)})",
        met=points >= _POINTS_AT_BATCH_4,
    )


def _in_half_the_time(a: Ablation, before: str, after: str, over: str) -> list[Check]:
    times = {time.variant: time for time in a.time_for_95}
    x, y = times[before], times[after]
    modes = (
        ("one round, interpolated between batch sizes", x.round_s, y.round_s, x.round_limit_s),
        ("the planner's own rounds", x.adaptive_s, y.adaptive_s, a.time_limit_s),
    )
    return [
        Check(
            expected=f"{over}: 95 % success in at most half the time ({mode})",
            measured=_time_ratio(slow, fast, limit),
            met=_halved(slow, fast, limit),
        )
        for mode, slow, fast, limit in modes
    ]


def _time_ratio(slow: float | None, fast: float | None, limit: float) -> str:
    if fast is None:
        return "neither reaches 95 %" if slow is None else f"95 % is not reached; by the other in {seconds(slow)}"
    if slow is None:
        return f"{seconds(fast)}; the other not within {seconds(limit)}: a ratio below {fast / limit:.2f}"
    return f"{seconds(fast)} for {seconds(slow)}: a ratio of {fast / slow:.2f}"


def _halved(slow: float | None, fast: float | None, limit: float) -> bool | None:
    """Whether the faster takes at most half the time; where the slower one never gets there, half of its limit."""
    if fast is None:
        return None if slow is None else False
    if fast <= _TIME_RATIO * (limit if slow is None else slow):
        return True
    return None if slow is None else False


def _equal_time(a: Ablation, before: str, after: str, over: str, wanted: float) -> Check:
    (entry,) = (e for e in a.equal_time if (e.before, e.after) == (before, after))
    expected = f"{over}: at least {f'+{wanted:.0f} points' if wanted else 'as good'} at equal time"
    if entry.mean_points is None:
        return Check(expected=expected, measured="their planning times lie apart", met=None)
    points = [time.points for time in entry.times]
    first, last = seconds(entry.times[0].time_s), seconds(entry.times[-1].time_s)
    measured = (
        f"{entry.mean_points:+.1f} points in the mean from {first} to {last} "
        f"({len(points)} times, {min(points):+.1f} to {max(points):+.1f})"
    )
    return Check(expected=expected, measured=measured, met=entry.mean_points >= wanted)


def _shorter(a: Ablation, before: str) -> Check:
    (pair,) = (p for p in a.paired if (p.before, p.after, p.mode) == (before, "value", ADAPTIVE))
    change = pair.duration
    expected = f"learned value on over off: motions shorter in time by {_SHORTER_PERCENT:.0f} %, p < {_SIGNIFICANT}"
    if change.percent is None or change.p is None:
        return Check(expected=expected, measured="no problem is certified both ways", met=None)
    success = f"success: {pair.only_before} only off, {pair.only_after} only on, {p_value(pair.p_success)}"
    return Check(
        expected=expected,
        measured=f"{change.percent:+.1f} %, {p_value(change.p)}, {change.n} pairs ({success})",
        met=change.percent <= -_SHORTER_PERCENT and change.p < _SIGNIFICANT,
    )
