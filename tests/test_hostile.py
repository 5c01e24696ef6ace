"""PID 1 does its work while it looks at a child that rewrites its memory, or has many threads."""

import collections
import contextlib
import select
import signal
import subprocess
import time

import pytest

from testkit.processes import children, only_child, until
from testkit.programs import VICTIMS, compile_c, victim

from pyinit.later import stacks
from pyinit.later.stacks import frames
from pyinit.later.stacks.frames import UnreadableError

SECONDS = 60.0  # a loaded machine may take long
LOOKS = 500
AT_ONCE = ("--explain-after", "0.1")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return what makes the command of a child that hangs in C, below Python."""
    options = ("-shared", "-fPIC", "-pthread")
    library = compile_c(VICTIMS / "hostile.c", tmp_path_factory.mktemp("hostile"), *options)

    def command(*, threads=0, is_garbling=False):
        return victim("hostile", library, threads, int(is_garbling))

    return command


@pytest.mark.parametrize(
    ("threads", "is_garbling"),
    [(0, True), (500, False), (500, True)],
    ids=["garbling", "500-threads", "both"],
)
def test_signals_and_orphans_are_seen_to_meanwhile(start, hostile, threads, is_garbling):
    """Each signal is forwarded, each orphan reaped, until the look is over; and then it ends."""
    run = start(AT_ONCE, hostile(threads=threads, is_garbling=is_garbling))
    pid = run.ready()
    child = only_child(run.init)
    run.send(signal.SIGTERM)
    while not select.select([run.process.stderr], [], [], 0)[0]:
        run.send(signal.SIGUSR1)
        assert "got it" == run.line()
    told = run.event("stop_is_slow")

    assert (pid, "SIGTERM") == (told["pid"], told["signal"])
    assert told["reason"]
    assert "stack" in told or told["no_stack"]
    assert until(lambda: children(run.init) == [child])
    assert 7 == run.stop(signal.SIGUSR2).code


def test_child_that_rewrites_its_memory_is_killed_in_time(start, hostile):
    """It is looked at, twice, and then -k has its way."""
    run = start(["-k", "0.4"], hostile(is_garbling=True))
    run.ready()
    result = run.stop()

    assert 128 + signal.SIGKILL == result.code
    assert ["stop_is_slow", "kill_after_expired", "child_exited"] == [
        event["event"] for event in result.events
    ]


def test_memory_that_changes_without_a_pause(hostile):
    """Stacks within bounds, or that it cannot be read; nothing else, however often one looks."""
    outcomes = collections.Counter()
    command = hostile(is_garbling=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline().startswith(b"ready")
            for _ in range(LOOKS):
                with contextlib.suppress(UnreadableError):
                    found = stacks.read(process.pid, time.monotonic() + SECONDS)
                    outcomes[len(found)] += 1
                    for stack in found.values():
                        assert len(stack) <= frames.MOST_FRAMES
        finally:
            process.kill()

    assert {1} == outcomes.keys()
