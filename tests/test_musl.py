"""Real-time signals where the C library is musl, which keeps 34 to itself: played, or for real."""

import os
import signal

import pytest

from testkit.marks import BOTH
from testkit.programs import victim

# What _signal says there. Where it says so anyway it stays the same.
MUSL = """
import _signal
_signal.SIGRTMIN = 35
kept = _signal.valid_signals() - {34}
_signal.valid_signals = lambda: kept
"""


@pytest.fixture
def musl(sabotage):
    """Return what makes pyinit believe that its C library is musl."""
    return sabotage(MUSL)


@BOTH
def test_engines_number_has_the_engines_name(start, musl, namespace):
    """An engine's SIGRTMIN+3 is 37 and is told, and rewritten, as SIGRTMIN+3."""
    run = start(["-v", "-r", "RTMIN+3:TERM"], victim("listener"), wrap=musl, namespace=namespace)
    run.ready()
    run.send(37)

    assert f"got {int(signal.SIGTERM)}" == run.line()
    event = run.event("signal_forwarded")
    assert ("SIGRTMIN+3", "SIGTERM") == (event["signal"], event["sent"])


def test_34_does_nothing_to_pid_1(start, musl):
    """No process can wait for it, and the kernel drops it: the next signal arrives first."""
    run = start(["-v"], victim("listener"), wrap=musl)
    run.ready()
    run.send(34)
    run.send(signal.SIGTERM)

    assert f"got {int(signal.SIGTERM)}" == run.line()
    assert "SIGTERM" == run.event("signal_forwarded")["signal"]


def test_34_ends_pyinit_that_is_not_pid_1(start, musl):
    """No program that is linked to musl can block it."""
    wrap = ["env", "--default-signal=RTMIN", *musl]  # what runs the tests may ignore it
    run = start(command=victim("listener"), wrap=wrap, namespace=False)
    child = run.ready()
    run.send(34)
    code = run.process.wait(20)
    os.kill(child, signal.SIGKILL)  # it is the machine's init's by now

    assert -34 == code


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-r", "RTMIN:TERM"], "-r 'RTMIN': expected a signal that a program can handle; SIG"),
        (["-r", "TERM:34"], "the C library keeps 32 to 34 for its threads"),
        (["-p", "34"], "-p '34': expected a signal that a program can handle; SIGRTMIN cannot"),
    ],
    ids=["from", "to", "parent"],
)  # fmt: skip
def test_34_is_refused(run, musl, options, complaint):
    """A user who asks for the one signal that is not available is told so."""
    result = run(options, wrap=musl)

    assert (1, "") == (result.code, result.out)
    assert complaint in result.err
