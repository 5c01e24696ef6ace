"""Every command in README.md and docs/ does what the page shows, or is marked as an illustration.

A fenced block of `console` holds commands behind `$ ` (continued behind `> `) and what they print,
`...` standing for anything. The test runs it in bash, in the root of the repository. A line before
the fence says why it is not run, if it is not: `<!-- illustration: needs Docker -->`.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from testkit.namespaces import ROOT
from testkit.programs import PYINIT, ROOT_DIRECTORY

PAGES = [
    *sorted(ROOT_DIRECTORY.glob("README*.md")),
    *sorted((ROOT_DIRECTORY / "docs").rglob("*.md")),
]
LANGUAGES = {"console", "dockerfile", "ini", "json", "text", "yaml"}
FENCE = re.compile(r"(?:^<!-- illustration: (.+?) -->\n)?^```(.*)\n((?s:.*?))^```$", re.MULTILINE)


def blocks(page: Path) -> list[tuple[str | None, str, str]]:
    """Return of each fenced block why it is not run, its language and its text."""
    return [(found[1], found[2], found[3]) for found in FENCE.finditer(page.read_text())]


def runnable() -> list:
    """Return the blocks of all pages that are to be run.

    Not those of translations: they equal the English page's, as tests/test_pages.py shows.
    """
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT_DIRECTORY)}-{number}")
        for page in PAGES
        if not page.name.endswith(".zh-CN.md")
        for number, (illustration, language, text) in enumerate(blocks(page), 1)
        if language == "console" and not illustration
    ]


def dialogue(text: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what it prints."""
    steps: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif line.startswith("> ") and not steps[-1][1]:
            steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", "")
        else:
            steps[-1] = (steps[-1][0], f"{steps[-1][1]}{line}\n")
    return steps


def matches(expected: str, printed: str) -> bool:
    """Tell whether a text is the expected one, in which `...` stands for anything."""
    parts = map(re.escape, expected.strip().split("..."))
    return re.fullmatch(".*?".join(parts), printed.strip(), re.DOTALL) is not None


@pytest.fixture
def surroundings(folder):
    """Return an environment in which `pyinit` and the Python below it are the ones under test.

    Without root what root may do takes a user namespace first; the pages write it as for root.
    """
    path = [os.path.dirname(PYINIT), os.environ["PATH"], "/usr/sbin"]
    if not ROOT:
        for name, options in (
            ("unshare", "--user --map-root-user"),
            ("nsenter", "--user --preserve-credentials"),
        ):
            shim = folder / name
            shim.write_text(f'#!/bin/sh\nexec /usr/bin/{name} {options} "$@"\n')
            shim.chmod(0o755)
        path.insert(0, str(folder))
    return {**os.environ, "PATH": ":".join(path), "LC_ALL": "C.UTF-8", "TMPDIR": str(folder)}


def converse(commands: list[str], environment: dict[str, str]) -> list[tuple[str, int]]:
    """Run commands in one bash; return what each printed and its exit code."""
    script = "".join(
        f"{command}\ncode=$?; printf '\\0%d\\0' $code; (exit $code)\n" for command in commands
    )
    done = subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=ROOT_DIRECTORY,
        env=environment,
        start_new_session=True,  # without a terminal, whatever this is run from
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed = done.stdout.decode(errors="backslashreplace").split("\0")
    return [(text, int(code)) for text, code in zip(printed[::2], printed[1::2], strict=False)]


@pytest.mark.parametrize("text", runnable())
def test_commands_print_what_the_page_shows(text, surroundings):
    """A command prints what stands below it; where nothing does, it succeeds."""
    steps = dialogue(text)
    results = converse([command for command, _ in steps], surroundings)

    assert len(steps) == len(results)
    for (command, expected), (printed, code) in zip(steps, results, strict=True):
        if expected:
            assert matches(expected, printed), f"$ {command}\n{printed}--- expected:\n{expected}"
        else:
            assert 0 == code, f"$ {command}\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT_DIRECTORY)))
def test_blocks_are_of_known_languages(page):
    """A command in a block of another language would not be run: each block says what it is."""
    assert {language for _, language, _ in blocks(page)} <= LANGUAGES


def test_a_page_that_is_wrong_is_noticed(surroundings):
    """Neither other words, nor words that are missing, nor a command that fails pass."""
    ((printed, code),) = converse(["echo one; false"], surroundings)

    assert ("one\n", 1) == (printed, code)
    assert matches("o...", printed)
    assert not matches("two", printed)
    assert not matches("one two", printed)


def test_links_lead_somewhere():
    """A link to a file of the repository leads to one that is there."""
    missing = [
        (page.name, link)
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]

    assert [] == missing
