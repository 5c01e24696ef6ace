"""What happens at the very same moment does no harm: each race is run 200 times.

Every other run is PID 1. At verbosity 0, where nothing but an error of pyinit's own would be told.
"""

import contextlib
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from testkit.namespaces import ROOT
from testkit.processes import children, status, until
from testkit.programs import victim
from testkit.refusals import MAY_NOT_KILL, OTHER_USER
from testkit.signalsets import FORWARDED, OF_C_LIBRARY, signal_set

TIMES = 200
AT_ONCE = 4
QUIET = ("env", "PYINIT_VERBOSITY=0")
READY = "echo 'ready (pid: 2)'; read x"


@pytest.fixture
def repeat(start):
    """Run a race many times, some at once; return the outcomes that there were."""

    def repeat_it(command, race, *, wrap=(), options=()):
        def once(number):
            how = {"wrap": [*wrap, *QUIET], "namespace": bool(number % 2)}
            run = start(options, command, stdin=subprocess.PIPE, **how)
            race(run)
            result = run.finish()
            return result.code, result.out, result.err

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return set(pool.map(once, range(TIMES)))

    return repeat_it


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
def test_forward_is_refused(repeat):
    """EPERM, and the end of the child right behind it."""

    def race(run):
        run.ready()
        run.send(signal.SIGHUP)
        run.close_stdin()

    command = [*OTHER_USER, "sh", "-c", f"{READY}; exit 7"]

    assert {(7, "", "")} == repeat(command, race, wrap=MAY_NOT_KILL)


@pytest.mark.parametrize("options", [[], ["-g"], ["-a"]], ids=["child", "group", "all"])
def test_child_dies_when_a_signal_comes(repeat, options):
    """A forward at the very moment of the child's death."""

    def race(run):
        run.ready()
        send_while_stdin_ends(run, signal.SIGUSR1)

    command = ["sh", "-c", f"trap '' USR1; {READY}; exit 7"]

    assert {(7, "", "")} == repeat(command, race, options=options)


def test_asked_twice(repeat):
    """SIGTERM again, before, at or after the child's end."""

    def race(run):
        run.ready()
        run.send(signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            run.send(signal.SIGTERM)

    assert {(5, f"got {int(signal.SIGTERM)}\n", "")} == repeat(victim("listener", 5), race)


def test_asked_while_draining(repeat, compiled):
    """SIGTERM for pyinit while helpers finish their work."""

    def race(run):
        run.ready()
        send_while_stdin_ends(run, signal.SIGTERM)

    command = [
        "sh",
        "-c",
        "trap '' TERM; exec \"$@\"",
        "-",
        compiled("helpers"),
        "2",
        "finish",
        "7",
    ]

    assert {(7, "done\ndone\n", "")} == repeat(command, race)


def test_asked_before_the_child_is_the_program(repeat):
    """SIGTERM between pyinit's first statement and the child's exec, or just after it."""

    def race(run):
        assert until(lambda: has_begun(run))
        run.send(signal.SIGTERM)

    assert {(128 + signal.SIGTERM, "", "")} == repeat(["sleep", "60"], race)


def send_while_stdin_ends(run, signum):
    """Let the child go and signal pyinit, which may be gone as well by then."""
    assert run.init
    run.close_stdin()
    with contextlib.suppress(ProcessLookupError):
        run.send(signum)


def has_begun(run):
    """Tell whether pyinit has blocked the signals; while it waits for some, these are not shown.

    The C library blocks its own two as well, for a moment, where it forks and where Python starts.
    """
    if run.namespace and not children(run.process.pid):
        return False
    blocked = signal_set(status(run.init)["SigBlk"])
    return (set(FORWARDED) <= blocked and not OF_C_LIBRARY & blocked) or children(run.init)
