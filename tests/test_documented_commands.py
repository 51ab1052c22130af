"""Every command that README and docs name is one of the program's, with options that it has."""

import argparse
import re
from pathlib import Path

import pytest

from diffplan.cli.parser import build_parser, parsers

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_COMMAND = re.compile(
    r"(?:^|\s)((?:diffplan (?=[a-z\[-])|(?:python )?scripts/\w)[^#\n]*?)(?=  diffplan|#|$)", re.MULTILINE
)
_CODE = re.compile(r"^```(\w*)\n(.*?)^```|`((?:python |)(?:diffplan|scripts/)[^`]*)`", re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Return the commands of a page, those of its blocks and those within its text, each on one line."""
    found = []
    for kind, block, inline in _CODE.findall(page):
        if kind in ("", "bash"):
            found += _COMMAND.findall(block.replace("\\\n", " ") or " ".join(inline.split()))
    return found


def _options(parser: argparse.ArgumentParser) -> set[str]:
    return {word for each in parsers(parser) for action in each._actions for word in action.option_strings}


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    own = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(own[0].choices) if own else {}


def test_the_commands_of_a_page_are_found():
    block = "x=1 diffplan serve &  # ready\ndiffplan bench A \\\n  --out B\n"
    page = f"`diffplan plan A --seed 3`, `--seed`\n```python\ndp.plan()\n```\n```\n{block}```\n"
    found = [" ".join(command.split()) for command in commands(page)]
    assert found == ["diffplan plan A --seed 3", "diffplan serve &", "diffplan bench A --out B"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_of_a_page_is_there_with_the_options_that_it_names(page):
    whole = build_parser()
    for command in commands(page.read_text()):
        program, *words = command.removeprefix("python ").split()
        named = {word for word in re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", command)}
        if program.startswith("scripts/"):
            file = ROOT / program
            assert file.is_file(), command
            assert all(option in file.read_text() for option in named), command
            continue
        parser = whole
        for word in words:
            if word not in _actions(parser):
                break
            parser = _actions(parser)[word]
        assert parser is not whole or not words or words[0].startswith(("-", "[")) or words[0] == "COMMAND", command
        assert named <= _options(parser), command
