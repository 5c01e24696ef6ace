"""Why a program does not stop: some of the programs of `make hung`.

Others are in docs/troubleshooting.md, whose commands are run as well.
"""

import glob
import json
import os
import sys

import pytest

from trials.hung import trial
from trials.hung.catalogue import PROGRAMS

# Long enough for the program to be asked and to hang by then, even on a busy machine.
AFTER = 2
SOURCES = {program.source: program for program in reversed(PROGRAMS) if program.source}
NAMES = {program.name: program for program in PROGRAMS}
CHOSEN = [
    SOURCES["socket_recv.py"],
    SOURCES["asyncio_blocked.py"],
    SOURCES["gil_in_c.py"],
    SOURCES["fork_after_threads.py"],
    SOURCES["vfork.py"],
    SOURCES["wsgi.py"],
    NAMES["a PID namespace of its own"],
    NAMES["a stopped process"],
]
OF_EACH_VERSION = [SOURCES["handler_deadlock.py"], SOURCES["asyncio_await.py"]]

KNOWN = ("3.11", "3.12", "3.13", "3.14")


def interpreters() -> dict[str, str]:
    """Return the installed versions of Python, with their programs."""
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found = {"own": sys.executable}
    for version in KNOWN:
        pyenv = glob.glob(f"{root}/versions/{version}.*/bin/python3")
        for path in (*pyenv, f"/usr/bin/python{version}"):
            if os.access(path, os.X_OK) and not os.path.samefile(path, sys.executable):
                found[f"{version} {path}"] = path
    return found


def told(program, python=sys.executable):
    return trial.attempt(program, python=python, after=AFTER, look=False).event


@pytest.mark.parametrize("program", CHOSEN, ids=lambda program: program.name)
def test_cause_and_line_are_told(program):
    event = told(program)

    assert trial.is_right(program, event), json.dumps(event, indent=1)


@pytest.mark.parametrize("python", interpreters().values(), ids=interpreters())
@pytest.mark.parametrize("program", OF_EACH_VERSION, ids=lambda program: program.name)
def test_each_version_of_python_is_read(program, python):
    event = told(program, python)

    assert trial.is_right(program, event), json.dumps(event, indent=1)


def test_a_wrong_cause_is_noticed():
    """A wrong cause, a wrong line, and silence are noticed."""
    program = SOURCES["lock.py"]
    cause = "python3 (pid 2) has a handler for SIGTERM but continues"
    right = {"reason": f"{cause} at {program.lines[0]} <module>", "waits_for": "futex"}

    assert trial.is_right(program, right)
    assert not trial.is_right(program, {})
    assert not trial.is_right(program, right | {"waits_for": "read on a pipe"})
    assert not trial.is_right(program, right | {"reason": f"{cause} at {program.lines[0]}0 work"})
    assert not trial.is_right(
        program, right | {"reason": f"stopped at {program.lines[0]} <module>"}
    )


def test_every_program_that_has_a_line_marks_it():
    assert all(program.lines for program in SOURCES.values())
