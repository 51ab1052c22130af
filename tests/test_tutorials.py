"""Each tutorial does what it says: its blocks are run in order, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
_FILE = re.compile(r"^(?:# file: (\S+)|<!-- file: (\S+) -->)\n")


def program(page: str) -> str:
    """Return the program of a page: Python as it stands, commands in the same process, files written."""
    lines = ["from pathlib import Path", "from diffplan.cli import main"]
    for kind, block in re.findall(r"^```(python|bash|yaml|xml)\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        named = _FILE.match(block)
        if kind == "python":
            lines.append(block)
        elif kind == "bash":
            for command in block.splitlines():
                program, *words = shlex.split(command)
                assert program == "diffplan", command
                lines.append(f"assert main({words!r}) == 0, {command!r}")
        else:
            assert named, f"a {kind} block that no file is named for:\n{block}"
            name = named.group(1) or named.group(2)
            lines.append(f"Path({name!r}).write_text({block[named.end() :]!r})")
    return "\n".join(lines)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_does_what_it_says(page, tmp_path):
    ways = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(ways), "DIFFPLAN_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", program(page.read_text())],
        cwd=tmp_path,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_each_tutorial_of_the_site_is_run():
    named = set(re.findall(r"tutorials/(\w+)\.md", (ROOT / "mkdocs.yml").read_text()))
    assert named == {page.stem for page in TUTORIALS}
