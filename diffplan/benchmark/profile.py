"""Where the milliseconds of a planner's calls go: sampled call stacks, by part of the program, and as a flame picture.

pyinstrument takes the stack at the first call or return of a function that is `INTERVAL_S` after the last one, and
gives it the time since then, so that time within compiled code counts for the Python function that called it. Shares
are those of the sampled runs, milliseconds those of runs without sampling.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from diffplan.benchmark.suites import Case
from diffplan.errors import InputError
from diffplan.planners.base import Options
from diffplan.system.files import write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVAL_S = 0.0005
_PACKAGE = "diffplan"
_CALL = ("plan", "diffplan.planning")

PARTS: dict[str, str] = {
    "prior": "prior: network and sampler",
    "refinement": "pushing and tightening",
    "collision.obstacles": "scene for the kernel",
    "collision": "kernel: distances, gradients",
    "planners": "planner",
    "search": "search",
    "timing": "timing",
    "pace": "timing",
    "curves.path_speed": "timing",
    "certificate.world": "certificate: world",
    "certificate.loaded": "certificate: world",
    "certificate": "certificate",
    "preflight": "start and goal",
    "ends": "goals, inverse kinematics",
    "ik": "goals, inverse kinematics",
    "formats": "fingerprints, files",
    "planning": "call",
}
"""The part of each module, by the longest name that it begins with; one that is not listed counts for its caller."""

REST = "rest"


@dataclass(frozen=True)
class Frame:
    """A function in the tree of calls: its time with all that it called, and without [s] in all runs."""

    name: str
    module: str
    time: float
    own: float
    called: tuple[Frame, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What `profile` found for one planner: `calls_s` [runs] are whole calls without sampling, `root` all with it."""

    planner: str
    calls_s: tuple[float, ...]
    certified: int
    root: Frame
    html: str

    @property
    def parts(self) -> dict[str, float]:
        """The share of each part in the sampled time, the greatest first."""
        found: dict[str, float] = defaultdict(float)
        for part, own in _by_part(self.root, REST):
            found[part] += own
        return {part: own / self.root.time for part, own in sorted(found.items(), key=lambda item: -item[1])}


def part_of(module: str) -> str | None:
    """Return the part that a module is of; None for one that counts for its caller."""
    name = module.removeprefix(f"{_PACKAGE}.")
    while name:
        if name in PARTS:
            return PARTS[name]
        name = name.rpartition(".")[0]
    return None


def _by_part(frame: Frame, part: str) -> Iterator[tuple[str, float]]:
    part = part_of(frame.module) or part
    yield part, frame.own
    for called in frame.called:
        yield from _by_part(called, part)


def profile(cases: Sequence[Case], planner: str, *, timeout: float, fallback: bool, options: Options | None) -> Profile:
    """Plan every case with seed 0 three times: unrecorded, for its time, and with its call stacks sampled.

    Raises:
        InputError: if pyinstrument is not installed.
    """
    try:
        from pyinstrument import Profiler
    except ImportError:
        raise InputError("--profile needs pyinstrument", allowed='pip install "diffplan[profile]"') from None

    def run(case: Case) -> tuple[float, bool]:
        begin = perf_counter()
        plan = case.plan(planner=planner, seed=0, timeout=timeout, fallback=fallback, options=options)
        return perf_counter() - begin, plan.solved

    for case in cases:
        run(case)
    times = [run(case) for case in cases]
    sampler = Profiler(interval=INTERVAL_S)
    with sampler:
        for case in cases:
            run(case)
    session = sampler.last_session
    if session is None:
        raise RuntimeError("pyinstrument took no stack")
    return Profile(
        planner=planner,
        calls_s=tuple(seconds for seconds, _ in times),
        certified=sum(solved for _, solved in times),
        root=_tree(session.frame_records),
        html=sampler.output_html(),
    )


@dataclass
class _Growing:
    """A frame while stacks are added to it."""

    own: float = 0.0
    called: dict[tuple[str, str], _Growing] = field(default_factory=dict)

    def frame(self, name: str, module: str) -> Frame:
        called = tuple(grown.frame(*key) for key, grown in self.called.items())
        return Frame(name, module, self.own + sum(frame.time for frame in called), self.own, called)


def _tree(records: Iterable[tuple[list[str], float]]) -> Frame:
    """Merge stacks into one tree of our functions, below the planner's call; others' functions count for their callers.

    A record is a stack, outermost first, and its time [s]; a frame is `function NUL file NUL line...`, as pyinstrument
    keeps it. Numba's compiled functions come without their callers, and stand below the call itself.
    """
    root = _Growing()
    for stack, seconds in records:
        frames = [(name, _module(file)) for name, file, *_ in (frame.split("\x00") for frame in stack)]
        frames = [(name, module) for name, module in frames if module]
        if _CALL in frames:
            frames = frames[frames.index(_CALL) + 1 :]
        elif not frames or any(module == __name__ for _, module in frames):
            continue  # another thread, or between the calls
        at = root
        for frame in frames:
            at = at.called.setdefault(frame, _Growing())
        at.own += seconds
    return root.frame(*_CALL)


def _module(file: str) -> str:
    """Return the module of one of our files, by its path; "" for others."""
    parts = Path(file).with_suffix("").parts
    if _PACKAGE not in parts:
        return ""
    last = len(parts) - 1 - parts[::-1].index(_PACKAGE)
    return ".".join(parts[last:])


def part_table(found: Iterable[Profile]) -> list[list[str]]:
    """Return rows [part, ms a planner ...]: the mean of a call's time by part, then mean, median, runs, certified."""
    found = list(found)
    means = [1000 * sum(one.calls_s) / len(one.calls_s) for one in found]
    shares = [one.parts for one in found]
    names = dict.fromkeys(part for each in shares for part in each)
    rows = [
        [part, *(f"{each.get(part, 0.0) * mean:.2f}" for each, mean in zip(shares, means, strict=True))]
        for part in names
    ]
    rows.append(["call, mean", *(f"{mean:.2f}" for mean in means)])
    rows.append(["call, median", *(f"{1000 * median(one.calls_s):.2f}" for one in found)])
    rows.append(["certified", *(f"{one.certified} of {len(one.calls_s)}" for one in found)])
    return rows


def write_profiles(found: Sequence[Profile], folder: Path) -> list[Path]:
    """Write profile.csv (the table), and for each planner a flame picture and pyinstrument's page; return the files.

    Raises:
        NotWritten: if a file cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [["part", *(f"{one.planner} [ms]" for one in found)], *part_table(found)]
    )
    files = [folder / "profile.csv"]
    write_text(files[0], text.getvalue())
    for one in found:
        picture, page = folder / f"profile-{one.planner}.png", folder / f"profile-{one.planner}.html"
        write_bytes(picture, flame_picture(one))
        write_text(page, one.html)
        files += [picture, page]
    return files


_DEEPEST = 22
_NARROWEST = 0.002  # of the whole width
_NAMED = 2.0  # narrowest bars a letter


def flame_picture(one: Profile) -> bytes:
    """Draw the tree of calls as a PNG: a bar's width is its time, below it stands what it called; colours are parts."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    names = list(one.parts)
    colours = {name: colormaps["tab20"](i % 20) for i, name in enumerate(names)}
    figure = Figure(figsize=(15, 8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    mean_ms = 1000 * sum(one.calls_s) / len(one.calls_s)
    scale = mean_ms / one.root.time
    _bars(axes, one.root, left=0.0, depth=0, part=REST, scale=scale, narrowest=_NARROWEST * mean_ms, colours=colours)
    axes.set(xlim=(0, mean_ms), ylim=(_DEEPEST, 0), xlabel="ms of the mean call", yticks=[])
    axes.set_title(f"{one.planner}: {len(one.calls_s)} calls, mean {mean_ms:.1f} ms", loc="left")
    shown = [Patch(color=colours[name], label=f"{name} {100 * share:.0f} %") for name, share in one.parts.items()]
    axes.legend(handles=shown, loc="lower right", fontsize=8)
    png = io.BytesIO()
    canvas.print_png(png)
    return png.getvalue()


def _bars(
    axes: Axes,
    frame: Frame,
    *,
    left: float,
    depth: int,
    part: str,
    scale: float,
    narrowest: float,
    colours: dict[str, tuple[float, float, float, float]],
) -> None:
    """Draw a frame and what it called; too narrow bars are left out."""
    width = frame.time * scale
    if depth >= _DEEPEST or width < narrowest:
        return
    part = part_of(frame.module) or part
    axes.barh(depth + 0.5, width, left=left, height=0.94, color=colours[part], edgecolor="white", linewidth=0.4)
    if width > _NAMED * len(frame.name) * narrowest:
        axes.text(left + width / 2, depth + 0.5, frame.name, ha="center", va="center", fontsize=7, clip_on=True)
    for called in sorted(frame.called, key=lambda called: -called.time):
        _bars(
            axes,
            called,
            left=left,
            depth=depth + 1,
            part=part,
            scale=scale,
            narrowest=narrowest,
            colours=colours,
        )
        left += called.time * scale
