"""`make inputs` finds what is no outcome: its short form is run, and outcomes that may not be."""

import json

import pytest

from testkit.programs import run_module

from trials.inputs.trial import OutcomeError, outcome
from trials.inputs.words import MARKER, Case


CASE = Case([b"-v", MARKER, b"a\nb"], [b"X=1", b"X=2", b"no"], as_init=False, launcher=False)
STARTED = b"started 2\0./marker\0a\nb\0X=1\0X=2\0no\0"
EVENT = json.dumps({"event": "child_started"}).encode() + b"\n"


def test_random_input_ends_well():
    """Of some command lines each starts a child, shows a page or costs one line."""
    done = run_module("trials.inputs", "--cases=30")

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "parser: 60 cases" in done.stdout
    assert "command: 30 cases" in done.stdout


@pytest.mark.parametrize(
    ("word", "code", "out", "err"),
    [
        ("started", 7, STARTED, b""),
        ("started", 0, STARTED, EVENT),
        ("started", 7, STARTED, b"07:00:01 [info   ] child_started    pid=2\n"),
        ("one line", 1, b"", b"pyinit: '-x' is not an option of pyinit\n"),
        ("cannot be run", 127, b"", b'{"event": "exec_failed"}\n'),
        ("cannot be run", 126, b"", b"07:00:01 [error  ] ./app is a directory, not a program\n"),
        ("a page", 0, b"Usage\n", b""),
    ],
)  # fmt: skip
def test_outcome_that_may_be(word, code, out, err):
    """A child, one line, a page: each has its word."""
    assert word == outcome(CASE, CASE.environment, code, out, err)


@pytest.mark.parametrize(
    ("complaint", "code", "out", "err"),
    [
        ("other words", 7, b"started 1\0./marker\0X=1\0X=2\0no\0", b""),
        ("another environment", 7, b"started 2\0./marker\0a\nb\0X=2\0no\0", b""),
        ("another code", 1, STARTED, b""),
        ("not an event", 7, STARTED, b"Traceback (most recent call last):\n"),
        ("not printable", 7, STARTED, b"\x1b[31m\n"),
        ("has no end", 7, STARTED, b"{}"),
        ("not one line", 1, b"", b"pyinit: a\nb\n"),
        ("not one line", 1, b"", b"pyinit: a"),
        ("not one line", 1, b"x", b"pyinit: a\n"),
        ("not printable", 1, b"", b"Traceback (most recent call last)\n"),
        ("not printable", 1, b"", "pyinit: \u202e\n".encode()),
        ("too long", 1, b"", b"pyinit: " + b"x" * 1000 + b"\n"),
        ("no event fits exec_failed", 127, b"", b""),
        ("no event fits exec_failed", 127, b"", b"07:00:01 [warning] something else\n"),
        ("not a permitted outcome", 0, b"", b""),
        ("not a permitted outcome", 139, b"", b""),
    ],
)  # fmt: skip
def test_outcome_that_may_not_be(complaint, code, out, err):
    """Other words, a traceback, two lines, an escape sequence, silence: each is an error."""
    with pytest.raises(OutcomeError, match=complaint):
        outcome(CASE, CASE.environment, code, out, err)
