"""Deadlines use a clock that cannot be set: the wall clock may jump during one.

`make survive` makes it jump before a deadline begins, with faketime; here it jumps after that.
"""

import signal
import subprocess
from types import SimpleNamespace

import pytest
from testkit.marks import BOTH
from testkit.programs import victim

from pyinit import signals


SOME = range(signal.SIGRTMIN, signal.SIGRTMIN + 8)

# Every way to ask Python for the time of day; it is another one as soon as the file is there.
JUMPING = """
import os, time
def jumping(ask, unit):
    return lambda: ask() + {years} * 365 * 24 * 3600 * unit * os.path.exists({flag!r})
ask = time.clock_gettime
time.time, time.time_ns = jumping(time.time, 1), jumping(time.time_ns, 10**9)
time.clock_gettime = lambda clock: time.time() if clock == time.CLOCK_REALTIME else ask(clock)
"""


@pytest.fixture
def clock(sabotage, tmp_path):
    """Return what makes a wall clock for pyinit, and what makes it jump by so many years."""
    flag = tmp_path / "jump"

    def make(years: int):
        return sabotage(JUMPING.format(years=years, flag=str(flag))), flag.touch

    return make


def ask(run, signum: int) -> str:
    """Send a signal that wakes pyinit, and return what the workload says to it."""
    run.send(signum)
    return run.line()


@BOTH
def test_child_has_its_time_although_the_clock_jumps(start, clock, namespace):
    """A jump of the wall clock does not bring the deadline of -k nearer."""
    wrap, jump = clock(years=10)
    run = start(["-k", "100"], victim("listener"), wrap=wrap, namespace=namespace)
    run.ready()
    assert f"got {int(signal.SIGTERM)}" == ask(run, signal.SIGTERM)
    jump()

    for signum in SOME:  # at each pyinit looks whether it is time, and a drain has several steps
        assert f"got {signum}" == ask(run, signum)


@BOTH
def test_child_is_killed_although_the_clock_jumps(start, clock, namespace):
    """A jump of the wall clock does not put the deadline of -k off."""
    wrap, jump = clock(years=-20)
    run = start(["-k", "5"], victim("listener"), wrap=wrap, namespace=namespace)
    run.ready()
    assert f"got {int(signal.SIGTERM)}" == ask(run, signal.SIGTERM)
    jump()

    assert 128 + signal.SIGKILL == run.finish(timeout=30).code


@pytest.fixture
def leave(start):
    """Have the child leave a process behind that stays; return when its time has begun."""

    def leave_behind(seconds: str, **how):
        script = '"$@" & read ready; exit 7'
        command = ["sh", "-c", script, "-", *victim("listener")]
        run = start(["-v", "-d", seconds], command, stdin=subprocess.PIPE, **how)
        run.ready()
        run.close_stdin()
        run.event("drain_started")
        assert f"got {int(signal.SIGTERM)}" == run.line()
        assert f"got {int(signal.SIGCONT)}" == run.line()
        assert f"got {int(signal.SIGHUP)}" == ask(run, signal.SIGHUP)  # by now the deadline is set
        return run

    return leave_behind


@BOTH
def test_those_left_behind_have_their_time_although_the_clock_jumps(leave, clock, namespace):
    """A jump of the wall clock does not bring the deadline of -d nearer."""
    wrap, jump = clock(years=10)
    run = leave("100", wrap=wrap, namespace=namespace)
    jump()

    for signum in SOME:  # at each pyinit looks whether it is time, and a drain has several steps
        assert f"got {signum}" == ask(run, signum)


@BOTH
def test_those_left_behind_are_killed_although_the_clock_jumps(leave, clock, namespace):
    """A jump of the wall clock does not put the deadline of -d off."""
    wrap, jump = clock(years=-20)
    run = leave("5", wrap=wrap, namespace=namespace)
    jump()
    result = run.finish(timeout=30)

    assert (7, 1) == (result.code, len(result.named("drain_survivor")))


@pytest.mark.parametrize(
    ("info", "is_one"),
    [
        ((-1023971592, 0, 0, 0, 0, 0, 0), False),
        ((0, 0, 0, 0, 0, 0, 0), False),
        ((4, -1689568352, 0, -1685091664, 0, 0, 0), False),
        ((4, 0, 0, -1685091664, 0, 0, 0), False),
        ((4, 0, 32767, 9, 0, 0, 0), False),
        ((15, 0, 0, 9, 0, 0, 0), True),  # by kill(2)
        ((14, 128, 0, 0, 0, 0, 0), True),  # by alarm(2)
    ],
)
@pytest.mark.parametrize(("seconds", "is_late"), [(1e-9, True), (0.0, False), (60.0, False)])
def test_signal_that_nobody_sent(monkeypatch, info, is_one, seconds, is_late):
    """CPython returns whatever its memory holds if SIGSTOP comes and the time is over meanwhile."""
    received = signal.struct_siginfo(info)
    monkeypatch.setattr(signals, "_signal", SimpleNamespace(sigtimedwait=lambda *_: received))

    assert (is_one or not is_late) == (signals.wait(seconds) is received)
