"""Fuzz every reader of files: whatever a file holds is read or refused by an `InputError`, in little time and memory.

Sound files of each reader (fuzz_seeds.py) are damaged (fuzz_mutations.py) and read in worker processes. Anything but an
answer or an `InputError` counts: another exception, an answer that does not come within the limit (a hang), a worker
that dies (a native crash). Exits with 1 if there is one; the input is kept in the folder `--keep`.

    python scripts/fuzz_readers.py --cases 20000 --jobs 2 --seed 0
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path

from fuzz_mutations import AS_IT_IS, Make, gzip_bomb, monsters, mutated
from fuzz_seeds import Reader, readers

from diffplan.errors import InputError

_SPACE = 4 << 30  # bytes of address space that a worker may take on top of what it begins with
_PATIENCE = 5.0  # how many times the limit a case may take by the clock on the wall
_FAULTS = ("exception", "hang", "crash")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a case: `outcome` accepted, refused, exception, hang or crash; time of the processor, memory."""

    outcome: str
    words: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0


@dataclass(kw_only=True)
class Tally:
    """What came of a reader's cases, and the names of its slowest and its largest one."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    megabytes: float = 0.0
    slowest: str = ""
    largest: str = ""

    def add(self, case: Case, result: Result) -> None:
        """Count a case."""
        self.outcomes[result.outcome] += 1
        if result.seconds > self.seconds:
            self.seconds, self.slowest = result.seconds, case.what
        if result.megabytes > self.megabytes:
            self.megabytes, self.largest = result.megabytes, case.what


@dataclass(frozen=True, kw_only=True)
class Case:
    """One damaged file of a reader: the input made for harm of this name, or if it has none what `number` gives."""

    reader: int
    number: int
    file: str
    monster: str = ""

    @property
    def what(self) -> str:
        """The case in words."""
        return f"{self.file}: {self.monster or f'case {self.number}'}"


def cases(tried: Sequence[Reader], count: int, seed: int, *, large: bool) -> list[Case]:
    """Return `count` cases in a random order; up to a quarter are inputs made for harm, each once for each file."""
    found = [
        Case(reader=index, number=0, file=file, monster=name)
        for index, reader in enumerate(tried)
        for file, syntax in reader.damaged.items()
        for name in monsters(b"", syntax, large=large)
    ]
    rng = random.Random(seed)
    rng.shuffle(found)
    found.sort(key=lambda case: case.monster != AS_IT_IS)  # all readers must take their sound files
    del found[max(len(tried), count // 4) :]
    weights = [reader.weight for reader in tried]
    for number in range(len(found), count):
        (index,) = rng.choices(range(len(tried)), weights)
        found.append(Case(reader=index, number=number, file=rng.choice(list(tried[index].damaged))))
    rng.shuffle(found)
    return found


def lay_out(case: Case, reader: Reader, seed: int, folder: Path) -> None:
    """Write the files of a case into an empty folder."""
    for name, data in reader.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != case.file:
            path.write_bytes(data)
            continue
        make = _monster(case, reader) if case.monster else None
        if make is not None:
            make(path)
        else:
            path.write_bytes(mutated(data, reader.damaged[name], random.Random(f"{seed} {case.number}")))


def _monster(case: Case, reader: Reader) -> Make:
    return monsters(reader.files[case.file], reader.damaged[case.file], large=True)[case.monster]


def attempt(reader: Reader, folder: Path) -> Result:
    """Read a case, in this process."""
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    begun = time.process_time()
    outcome, words = "accepted", ""
    try:
        reader.read(folder / reader.target)
    except InputError as error:
        outcome, words = "refused", str(error)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome, words = "exception", f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"[:500]
        traceback.print_exc()
    seconds = time.process_time() - begun
    return Result(outcome=outcome, words=words, seconds=seconds, megabytes=max(0.0, _memory("VmHWM") - before))


def _memory(key: str) -> float:
    """Return a size of this process in MB."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(key)) / 1024


def work(tried: Sequence[Reader], seed: int, folder: Path, pipe: Connection) -> None:
    """Try the cases that come through the pipe, one after the other; each is laid out in `folder`."""
    quiet = os.open(folder.parent / f"{folder.name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    space = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + _SPACE
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (case := pipe.recv()) is not None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        reader = tried[case.reader]
        lay_out(case, reader, seed, folder)
        os.ftruncate(quiet, 0)
        pipe.send("laid out")
        pipe.send(attempt(reader, folder))


class Worker:
    """A worker process, and the case that it is at; a new process takes the place of one that hung or died."""

    def __init__(self, tried: Sequence[Reader], seed: int, folder: Path) -> None:
        self._start = partial(self._begin, tried, seed)
        self.folder = folder
        self.case: Case | None = None
        self.since, self.spent = 0.0, 0.0
        self._start()

    def _begin(self, tried: Sequence[Reader], seed: int) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(tried, seed, self.folder, other), daemon=True)
        self.process.start()
        other.close()

    def give(self, case: Case | None) -> None:
        """Hand over a case; None ends the process."""
        self.case = case
        self._restart_clocks()
        self.pipe.send(case)

    def _restart_clocks(self) -> None:
        self.since, self.spent = time.monotonic(), self._processor_time()

    def _processor_time(self) -> float:
        """Return the time [s] that the process had of the processor, which tells a hang from a busy machine."""
        try:
            words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def answer(self, limit: float) -> Result | None:
        """Return what came of the case, if anything did."""
        try:
            while self.pipe.poll():
                found = self.pipe.recv()
                if isinstance(found, Result):
                    return found
                self._restart_clocks()
        except (EOFError, OSError):
            self.process.join()
            return Result(outcome="crash", words=f"the worker died (exit code {self.process.exitcode})")
        waited, spent = time.monotonic() - self.since, self._processor_time() - self.spent
        if spent <= limit and waited <= _PATIENCE * limit:
            return None
        return Result(outcome="hang", words=f"no answer in {waited:.0f} s, {spent:.0f} s of work", seconds=spent)

    def renew(self) -> None:
        """End the process and start another."""
        self.process.kill()
        self.process.join()
        self._start()


def fuzz(
    tried: Sequence[Reader], todo: Sequence[Case], *, seed: int, jobs: int, limit: float, keep: Path
) -> list[Tally]:
    """Try all cases and return a tally for each reader; what counts against a reader is told and kept in `keep`."""
    tallies = [Tally() for _ in tried]
    waiting = iter(todo)
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        workers = [Worker(tried, seed, Path(name) / str(i)) for i in range(jobs)]
        try:
            _give(workers, waiting)
            while any(worker.case for worker in workers):
                wait([worker.pipe for worker in workers if worker.case], timeout=0.5)
                for worker in workers:
                    case = worker.case
                    result = worker.answer(limit) if case else None
                    if case is None or result is None:
                        continue
                    if case.monster == AS_IT_IS and result.outcome == "refused":
                        result = replace(result, outcome="exception", words=f"sound and refused: {result.words}")
                    tallies[case.reader].add(case, result)
                    if result.outcome in _FAULTS:
                        _tell(case, result, tried[case.reader], worker.folder, keep, told)
                    if result.outcome in ("hang", "crash"):
                        worker.renew()
                    worker.case = None
                _give(workers, waiting)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.join()
    return tallies


def _give(workers: Sequence[Worker], waiting: Iterator[Case]) -> None:
    for worker in workers:
        if worker.case is None and (case := next(waiting, None)) is not None:
            worker.give(case)


def _tell(case: Case, result: Result, reader: Reader, folder: Path, keep: Path, told: Counter[str]) -> None:
    """Say what happened and keep the files and the worker's output; of one kind three."""
    kind = f"{reader.name} {result.outcome} {result.words[-60:]}"
    told[kind] += 1
    if told[kind] > 3:
        return
    target = keep / f"{reader.name}-{case.file}-{case.monster or case.number}".replace("/", "_").replace(" ", "_")
    print(f"{reader.name}: {result.outcome}: {case.what}: {result.words}; kept in {target}", flush=True)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in [p for p in folder.rglob("*") if p.is_symlink() or (p.is_file() and p.stat().st_size < 50e6)]:
        (target / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / path.relative_to(folder), follow_symlinks=False)
    output = folder.parent / f"{folder.name}.log"
    if output.exists():
        shutil.copy(output, target / "output.txt")


def table(tried: Sequence[Reader], tallies: Sequence[Tally]) -> str:
    """Return a line for each reader and one for all."""
    whole = Tally()
    for tally in tallies:
        whole.outcomes += tally.outcomes
        whole.seconds, whole.megabytes = max(whole.seconds, tally.seconds), max(whole.megabytes, tally.megabytes)
    lines = [
        f"{'reader':<24}{'cases':>7}{'accepted':>9}{'InputError':>11}{'other':>6}{'hangs':>6}{'crashes':>8}{'s':>7}{'MB':>6}"
    ]
    for name, tally in [*zip((reader.name for reader in tried), tallies, strict=True), ("all", whole)]:
        found = tally.outcomes
        lines.append(
            f"{name:<24}{found.total():>7}{found['accepted']:>9}{found['refused']:>11}{found['exception']:>6}"
            f"{found['hang']:>6}{found['crash']:>8}{tally.seconds:>7.2f}{tally.megabytes:>6.0f}  "
            f"{tally.slowest if name != 'all' else ''}{f' | {tally.largest}' if name != 'all' else ''}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, print the table, and return 1 if a reader did anything but read or refuse."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of work after which a case is a hang")
    parser.add_argument("--light", action="store_true", help="without the inputs that are large or slow to make")
    parser.add_argument("--readers", help="only those whose names begin so, with commas between")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder for the inputs that count")
    args = parser.parse_args(argv)
    known = readers()
    begins = tuple(args.readers.split(",")) if args.readers else ("",)
    tried = [reader for reader in known if reader.name.startswith(begins)]
    if not tried:
        parser.error(f"no such reader; there are {', '.join(reader.name for reader in known)}")
    todo = cases(tried, args.cases, args.seed, large=not args.light)
    if not args.light:
        gzip_bomb()  # once, for all workers
    begun = time.monotonic()
    tallies = fuzz(tried, todo, seed=args.seed, jobs=args.jobs, limit=args.limit, keep=args.keep)
    print(table(tried, tallies))
    print(f"{len(todo)} cases in {time.monotonic() - begun:.0f} s, seed {args.seed}, {args.jobs} jobs")
    return 1 if any(tally.outcomes[kind] for tally in tallies for kind in _FAULTS) else 0


if __name__ == "__main__":
    sys.exit(main())
