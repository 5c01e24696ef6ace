"""The hot path imports nothing, and what is cold stays out until it is needed."""

import os
import re
import subprocess
import sys

import pytest
from harness import PYINIT, PYTHON, children, command_line, until, victim

HOT = {
    "pyinit",
    "pyinit.child",
    "pyinit.cli",
    "pyinit.ending",
    "pyinit.everyone",
    "pyinit.lifecycle",
    "pyinit.reaping",
    "pyinit.report",
    "pyinit.settings",
    "pyinit.signals",
    "pyinit.start",
    "pyinit.supervise",
    "pyinit.telling",
    "pyinit.terminal",
}
AFTER_FORK = {"pyinit.cgroup"}
TIMED = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}


def imported(text: str) -> set[str]:
    """Return the modules in a report of `python -X importtime`."""
    return set(re.findall(r"^import time:.*\|\s*([\w.]+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def bare():
    """Return what the interpreter imports by itself, `site` and the builtins included."""
    command = [sys.executable, "-c", "pass"]
    text = subprocess.run(command, env=TIMED, capture_output=True, text=True, check=True).stderr
    return imported(text) | {"os"} | set(sys.builtin_module_names)


def test_uneventful_run_imports_pyinits_own_modules_only(start, bare, compiled):
    """As PID 1, with a signal forwarded and orphans reaped: no module but these, to the end."""
    run = start(command=[compiled("orphans"), "200"], env=TIMED)
    assert "gone" == run.line()
    assert until(lambda: 1 == len(children(run.init)))  # the last may still be dying: no drain

    assert HOT | AFTER_FORK == imported(run.stop().err) - bare


def test_off_pid1_prctl_is_added_and_no_more(run, bare):
    """Where a prctl call is needed python-prctl is loaded, and what it consists of."""
    result = run(namespace=False, env=TIMED)

    prctl = {"pyinit.kernel", "prctl", "_prctl"}
    walking = {"pyinit.descendants", "pyinit.procfs"}  # loaded after the fork, too

    assert HOT | AFTER_FORK | prctl | walking == imported(result.err) - bare


@pytest.fixture
def traced(tmp_path):
    """Run pyinit as PID 1 under strace; return what init and what the child called, in order."""

    def run_traced(options) -> tuple[list[str], list[str]]:
        calls = "trace=openat,rt_sigprocmask,clone,clone3,fork,vfork,execve"
        strace = ["strace", "-ff", "-qq", "-o", str(tmp_path / "calls"), "-e", calls]
        command = [*strace, *command_line(options, ["/bin/true"])]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        logs = [path.read_text().splitlines() for path in tmp_path.glob("calls.*")]
        return from_exec(logs, PYINIT), up_to_exec(logs, "/bin/true")

    return run_traced


def from_exec(logs: list[list[str]], program: str) -> list[str]:
    """Return what the process that became the program called from then on."""
    ((log, begin),) = (
        (log, number)
        for log in logs
        for number, line in enumerate(log)
        if line.startswith(f'execve("{program}"')
    )
    return log[begin:]


def up_to_exec(logs: list[list[str]], program: str) -> list[str]:
    """Return what the process that became the program called until then."""
    (log,) = (log for log in logs if any(line.startswith(f'execve("{program}"') for line in log))
    return log[: next(n for n, line in enumerate(log) if line.startswith("execve("))]


def test_verbose_run_loads_its_log_after_the_child_is_forked(traced):
    """With -vv, too, only the hot modules are opened before the fork, none between it and exec."""
    init, child = traced(["-vv"])
    fork = next(n for n, line in enumerate(init) if re.match(r"clone3?\(|v?fork\(", line))
    before, after = "\n".join(init[:fork]), "\n".join(init[fork:])
    opened = set(re.findall(r"/pyinit/(?:__pycache__/)?(\w+)\.", before))

    assert {name.removeprefix("pyinit.") for name in HOT - {"pyinit"}} == opened - {"__init__"}
    assert "structlog" not in before
    assert "/pyinit/__pycache__/log." in after
    assert [] == [line for line in child if line.startswith("openat(")]


def test_signals_are_blocked_before_anything_is_imported(traced):
    """The first statement that runs blocks every signal: no module is opened before it."""
    init, _ = traced([])
    opened = next(n for n, line in enumerate(init) if re.match(r"openat\(.*/pyinit/__", line))
    blocked = next(
        n for n, line in enumerate(init) if re.match(r"rt_sigprocmask\(SIG_BLOCK, ~", line)
    )

    assert blocked < opened


def test_default_verbosity_loads_no_log_for_forwards(start):
    """A forwarded signal is no event at the default verbosity, so structlog stays out."""
    run = start(command=victim("listener", 3), env=TIMED)
    run.ready()
    result = run.stop()

    assert 3 == result.code
    assert not {
        name for name in imported(result.err) if name.startswith(("structlog", "pyinit.log"))
    }


@pytest.mark.parametrize("how", [[PYINIT], [*PYTHON[:1], "-m", "pyinit"]], ids=["script", "module"])
def test_both_ways_to_start_do_the_same(how):
    """`python -m pyinit` runs a command as the installed script does."""
    done = subprocess.run([*how, "--", "sh", "-c", "exit 8"], check=False)

    assert 8 == done.returncode
