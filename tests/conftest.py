"""Fixtures: start pyinit and leave nothing behind."""

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

# For testkit and trials. The last: pyinit itself is the installed one.
sys.path.append(str(Path(__file__).parent.parent))

from testkit.programs import VICTIMS, compile_c
from testkit.running import Result, Run, command_line

# In the background, tests have the first two ignored (a shell) or the last (nohup), and
# everything that they start does, too.
for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(signum) == signal.SIG_IGN:
        signal.signal(signum, signal.SIG_DFL)

with contextlib.suppress(ImportError):  # the tests of containers and of installing do not need it
    from hypothesis import HealthCheck
    from hypothesis import settings as hypothesis

    # The machine may be busy.
    hypothesis.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis.load_profile("busy")

os.umask(0o022)  # some tests look at the modes of files


@pytest.fixture
def launch():
    """Start any command; whatever is left of it at the end of the test is killed."""
    runs = []

    def launch_one(line, *, namespace=True, **popen) -> Run:
        runs.append(Run(line, namespace=namespace, **popen))
        return runs[-1]

    yield launch_one
    for run in runs:
        run.kill()


@pytest.fixture
def start(launch):
    """Start pyinit."""

    def start_one(options=(), command=("true",), *, wrap=(), namespace=True, **popen) -> Run:
        line = command_line(options, command, wrap=wrap, namespace=namespace)
        return launch(line, namespace=namespace, **popen)

    return start_one


@pytest.fixture
def run(start):
    """Run pyinit to its end and return the result."""

    def run_one(options=(), command=("true",), **how) -> Result:
        return start(options, command, **how).finish()

    return run_one


@pytest.fixture
def sabotage(tmp_path):
    """Return what makes Python run some lines before pyinit does, to spoil it from within."""

    def prepare(lines: str) -> list[str]:
        (tmp_path / "sitecustomize.py").write_text(lines)
        return ["env", f"PYTHONPATH={tmp_path}"]

    return prepare


PATIENT = """
from pyinit import lifecycle
from pyinit.later import survivors
lifecycle.LAST_SECONDS, survivors.NAMING_SECONDS = {last}, {naming}

LOOKED_FOR, HELD = (lifecycle.EXPLAIN, *lifecycle.PEEKED_BEFORE), 60.0
due, peeked = lifecycle.Lifecycle.due, lifecycle.Lifecycle.peeked
held = set()

def put_off(life, now):
    step = due(life, now)
    if step is not None and step[0] == lifecycle.PEEK:
        held.update(life._clocks.keys() & LOOKED_FOR)
        life._clocks |= {{each: life._clocks[each] + HELD for each in held}}
    return step

def go_on(life, now):
    life._clocks |= {{each: life._clocks[each] - HELD for each in held & life._clocks.keys()}}
    held.clear()
    peeked(life, now)

lifecycle.Lifecycle.due, lifecycle.Lifecycle.peeked = put_off, go_on
"""


@pytest.fixture
def patient(sabotage):
    """Return what gives pyinit the time to look at processes, and those that it kills to end.

    Where other work starves them, both may take longer than pyinit usually waits. What comes after
    a look is put off until the look is over.
    """

    def prepare(*, last: float = 60.0, naming: float = 60.0) -> list[str]:
        return sabotage(PATIENT.format(last=last, naming=naming))

    return prepare


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Return the path of a victim written in C."""
    folder = tmp_path_factory.mktemp("compiled")

    def compile_one(name: str) -> str:
        program = folder / name
        if not program.exists():
            compile_c(VICTIMS / f"{name}.c", folder, "-pthread")
        return str(program)

    return compile_one


@pytest.fixture
def folder():
    """Return a folder that every user may enter, with a name that is short enough for sockets."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def pytest_terminal_summary(terminalreporter):
    """Print how many predictions of `--inspect` came true."""
    made, true = "predictions", "predictions that came true"
    counts = {made: 0, true: 0}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties if report.when == "call" else ():
            counts[name] += value
    if counts[made]:
        terminalreporter.write_line(f"{counts[true]} of {counts[made]} {true}")
