"""-p: a signal when pyinit's parent dies."""

import os
import posix
import signal
import subprocess

import pytest

from testkit.programs import PYTHON, victim
from testkit.refusals import refusing

from pyinit.before import prctls

# A parent that starts a command and ends, without a word to it, at the end of its own input.
PARENT = """
import subprocess, sys
subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.read()
"""


@pytest.mark.parametrize("word", ["TERM", "SIGTERM", "term", "15"])
def test_signal_comes_when_the_parent_dies(start, word):
    """The signal arrives at pyinit when its parent ends, and goes on to the child."""
    run = start(
        ["-p", word],
        victim("listener", 0),
        wrap=[*PYTHON, "-c", PARENT],
        namespace=False,
        stdin=subprocess.PIPE,
    )
    run.ready()
    run.close_stdin()

    assert f"got {int(signal.SIGTERM)}" == run.line()


def test_signal_comes_without_python_prctl(start, sabotage):
    """Where python-prctl is missing the call is made through ctypes."""
    prepared = sabotage("import sys; sys.modules['prctl'] = None\n")
    wrap = [*prepared, *PYTHON, "-c", PARENT]
    run = start(
        ["-p", "TERM"], victim("listener", 0), wrap=wrap, namespace=False, stdin=subprocess.PIPE
    )
    run.ready()
    run.close_stdin()

    assert f"got {int(signal.SIGTERM)}" == run.line()


def test_signal_comes_to_pid1(start):
    """PID 1 has a parent, too, in the namespace around it."""
    run = start(["-pTERM"], victim("listener", 0))
    run.ready()
    os.kill(run.process.pid, signal.SIGKILL)

    assert f"got {int(signal.SIGTERM)}" == run.line()


def test_without_p_nothing_comes(start):
    """Without -p pyinit outlives its parent: the next signal is the first to arrive."""
    run = start(
        command=victim("listener", 0),
        wrap=[*PYTHON, "-c", PARENT],
        namespace=False,
        stdin=subprocess.PIPE,
    )
    listener = run.ready()
    run.close_stdin()
    run.process.wait()
    os.kill(listener, signal.SIGUSR1)
    seen = run.line()
    os.kill(listener, signal.SIGTERM)

    assert f"got {int(signal.SIGUSR1)}" == seen


def test_parent_that_died_too_early_is_noticed(monkeypatch):
    """A parent that dies while the kernel is asked is not missed: pyinit signals itself."""
    parents = iter([4711, 1])
    sent = []
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(posix, "kill", lambda pid, signum: sent.append((pid, signum)))
    monkeypatch.setattr(prctls, "_call", lambda *_arguments: None)
    prctls.signal_on_parent_death(signal.SIGUSR2, None)

    assert [(os.getpid(), signal.SIGUSR2)] == sent


def test_refusal_starts_nothing(run):
    """-p must work if it is given: if it cannot, nothing is started, code 1."""
    wrap = refusing("prctl:error=EINVAL")
    result = run(["-p", "TERM"], ["echo", "started"], wrap=wrap, namespace=False)

    assert (1, "") == (result.code, result.out)
    assert result.err.startswith(
        "pyinit: cannot get SIGTERM when the parent exits (-p): the kernel"
    )


def test_without_any_way_nothing_is_started(run, sabotage):
    """Neither python-prctl nor ctypes: the line names both, and nothing is started."""
    wrap = sabotage("import sys; sys.modules['prctl'] = sys.modules['_ctypes'] = None\n")
    result = run(["-p", "TERM"], ["echo", "started"], wrap=wrap, namespace=False)

    assert (1, "") == (result.code, result.out)
    assert "cannot load python-prctl (" in result.err
    assert "nor ctypes, which would do as well (" in result.err
