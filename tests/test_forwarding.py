"""Signals sent to pyinit reach the child."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from testkit.marks import BOTH
from testkit.programs import PYTHON, victim
from testkit.signalsets import FORWARDED


def own_name() -> str:
    """Return the name of the process that runs the tests."""
    return Path("/proc/self/comm").read_text().strip()


@BOTH
def test_every_signal_reaches_the_child(start, namespace):
    """Each of 1-64 but KILL, STOP, CHLD, 32 and 33 arrives, and arrives as itself."""
    run = start(command=victim("listener"), namespace=namespace)
    run.ready()
    for signum in FORWARDED:
        run.send(signum)

        assert f"got {signum}" == run.line()


def test_realtime_signals_do_not_merge(start):
    """As many real-time signals arrive as were sent, however fast they come."""
    run = start(command=victim("listener"))
    run.ready()
    for _ in range(200):
        run.send(signal.SIGRTMIN + 1)

    assert [f"got {signal.SIGRTMIN + 1}"] * 200 == [run.line() for _ in range(200)]


def test_sigchld_is_not_forwarded(start):
    """SIGCHLD sent by anybody is for pyinit itself: the next signal is the first to arrive."""
    run = start(command=victim("listener"))
    run.ready()
    run.send(signal.SIGCHLD)
    run.send(signal.SIGUSR1)

    assert f"got {int(signal.SIGUSR1)}" == run.line()


def test_without_g_the_child_alone_gets_it(start):
    """Without -g a member of the child's group sees nothing of what is sent to pyinit."""
    run = start(command=victim("family"))
    run.ready()
    run.line()
    run.send(signal.SIGUSR1)
    assert f"leader got {int(signal.SIGUSR1)}" == run.line()
    run.send(signal.SIGTERM)

    # The leader's SIGUSR2 is the first signal that the member ever saw.
    seen = run.finish().out.splitlines()
    assert [f"leader got {int(signal.SIGTERM)}", f"member got {int(signal.SIGUSR2)}"] == seen


@pytest.mark.parametrize(
    "how",
    [
        {"options": ["-g"]},
        {"wrap": ["env", "PYINIT_KILL_PROCESS_GROUP=1"]},
        {"wrap": ["env", "TINI_KILL_PROCESS_GROUP="]},
    ],
    ids=["-g", "PYINIT_KILL_PROCESS_GROUP", "TINI_KILL_PROCESS_GROUP"],
)
def test_with_g_the_whole_group_gets_it(start, how):
    """With -g all of the child's process group get what is sent to pyinit."""
    run = start(command=victim("family"), **how)
    run.ready()
    run.line()
    run.send(signal.SIGUSR1)
    seen = {run.line(), run.line()}

    assert {f"{who} got {int(signal.SIGUSR1)}" for who in ("leader", "member")} == seen


@pytest.mark.parametrize("namespace", [True, False], ids=["pid1", "not-pid1"])
@pytest.mark.parametrize("option", ["-a", "-g"])
def test_child_gets_each_signal_once(start, option, namespace):
    """The child is one of all that are reached: a real-time signal, which queues, shows it."""
    run = start([option], victim("listener"), namespace=namespace)
    run.ready()
    for signum in (signal.SIGRTMIN + 1, signal.SIGRTMAX):  # the lower number comes first
        run.send(signum)

        assert f"got {signum}" == run.line()


def test_fault_signal_sent_by_kill_is_forwarded(start):
    """SIGABRT sent to pyinit ends the child, as one does for a core dump."""
    run = start(command=["sh", "-c", "ulimit -c 0; echo 'ready (pid: 2)'; exec sleep 60"])
    run.ready()

    assert 128 + signal.SIGABRT == run.stop(signal.SIGABRT).code


@BOTH
def test_sender_outside_or_inside_is_told(start, namespace):
    """The event names the sender: its pid and name, or that it is not of this PID namespace."""
    run = start(["-v"], victim("listener"), namespace=namespace)
    pid = run.ready()
    run.send(signal.SIGUSR1)
    event = run.event("signal_forwarded")
    target = {"signal": "SIGUSR1", "target": f"process {pid}"}
    if namespace:
        sender = {"sender": "outside the namespace", "sender_pid": None}
    else:
        sender = {"sender": own_name(), "sender_pid": os.getpid()}

    assert target | sender == {key: event[key] for key in target | sender}


def test_sender_inside_is_named(start):
    """A process in the container that signals PID 1 is named in the event."""
    script = "trap : USR1; kill -USR1 1; echo $$; read x"
    run = start(["-gv"], ["sh", "-c", script], stdin=subprocess.PIPE)
    shell = int(run.line())
    event = run.event("signal_forwarded")
    run.finish()
    wanted = {"signal": "SIGUSR1", "sender": "sh", "sender_pid": shell}

    assert wanted == {key: event[key] for key in wanted}
    assert f"process group {shell}" == event["target"]


def test_sender_kernel_is_told(start):
    """An alarm that was set before exec comes from the kernel, as a terminal's ^C does."""
    arm = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]);"
    arm += "signal.setitimer(signal.ITIMER_REAL, 0.1); os.execvp(sys.argv[1], sys.argv[1:])"
    run = start(["-v"], victim("listener"), wrap=[*PYTHON, "-c", arm])
    event = run.event("signal_forwarded")

    assert ["SIGALRM", "terminal or kernel"] == [event["signal"], event["sender"]]
