"""A child that does not stop in time is killed, and so is named."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from testkit.marks import BOTH
from testkit.namespaces import ROOT
from testkit.processes import only_child, state, until
from testkit.programs import PYTHON, victim
from testkit.refusals import MAY_NOT_KILL, OTHER_USER


@BOTH
@pytest.mark.parametrize("how", ["option", "variable"])
def test_child_that_will_not_stop_is_killed(start, namespace, how):
    """One warning names the child, which gets SIGKILL; the code says so."""
    given = {"options": ["-k", "0.2", "--explain-after", "0"]} if how == "option" else {}
    given["wrap"] = (
        [] if how == "option" else ["env", "PYINIT_KILL_AFTER=0.2", "PYINIT_EXPLAIN_AFTER=0"]
    )
    run = start(command=[*PYTHON, "-c", HANGS], namespace=namespace, **given)
    pid = run.ready()
    assert until(lambda: state(only_child(run.init)) == "S")
    result = run.stop()
    assert ["kill_after_expired", "child_exited"] == [each["event"] for each in result.events]

    expired, exited = result.events
    wanted = {"level": "warning", "pid": pid, "seconds": 0.2}
    wanted |= {"name": Path(PYTHON[0]).name, "state": "sleeping", "target": f"process {pid}"}

    assert 128 + signal.SIGKILL == result.code
    assert wanted == {key: expired[key] for key in wanted}
    assert "SIGKILL" == exited["signal"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT])
def test_other_requests_to_stop_count(start, signum):
    """SIGINT and SIGQUIT start the clock as SIGTERM does."""
    run = start(["-k", "0.1"], victim("listener"))
    run.ready()

    assert 128 + signal.SIGKILL == run.stop(signum).code


def test_child_that_stops_in_time_is_left_alone(start):
    """A child that stops by itself keeps its code, and nothing is logged."""
    run = start(["-k", "60"], victim("listener", 5))
    run.ready()
    result = run.stop()

    assert (5, "") == (result.code, result.err)


def test_nothing_else_starts_the_clock(start):
    """A child that was not asked to stop is not killed, however long it takes."""
    run = start(["-k", "0.1"], victim("listener", 5))
    run.ready()
    for signum in (signal.SIGHUP, signal.SIGUSR1):
        run.send(signum)
        assert f"got {int(signum)}" == run.line()
    os.kill(only_child(run.init), signal.SIGTERM)  # not through pyinit, whose clock would start

    assert 5 == run.finish().code


def test_what_the_child_leaves_may_finish_all_the_same(start, compiled):
    """After the SIGKILL for the child the drain follows."""
    script = 'trap "" TERM; "$@" & while :; do read x; done'
    command = ["sh", "-c", script, "-", compiled("helpers"), "1", "finish"]
    run = start(["-k", "0.1"], command)
    run.ready()
    result = run.stop()

    assert (128 + signal.SIGKILL, "done\n") == (result.code, result.out)


@BOTH
def test_group_is_killed_with_g(start, namespace):
    """With -g all of the child's group get SIGKILL, not the child alone."""
    script = "trap '' TERM; sh -c 'echo \"ready (pid: $$)\"; while :; do sleep 60; done'; exit 3"
    run = start(["-gv", "-k", "0.1"], ["sh", "-c", script], namespace=namespace)
    run.ready()
    result = run.stop()
    (expired,) = result.named("kill_after_expired")

    assert 128 + signal.SIGKILL == result.code
    assert expired["target"].startswith("process group ")
    assert [] == result.named("drain_survivor")  # as all were that had ignored SIGTERM


LEAVE = """
import os, signal
helper = os.fork()
if not helper:
    os.setpgid(0, 0)
    while True:
        signal.pause()
while os.getpgid(helper) != helper:
    os.sched_yield()
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"got SIGTERM\\n"))
os.setpgid(0, helper)
print(f"ready (pid: {os.getpid()})", flush=True)
while True:
    signal.pause()
"""


@BOTH
def test_child_that_left_its_group_is_asked_with_g(start, namespace):
    """With -g it gets signals in whatever group it is."""
    run = start(["-g"], [*PYTHON, "-c", LEAVE], namespace=namespace)
    run.ready()
    run.send(signal.SIGTERM)

    assert "got SIGTERM" == run.line()


@BOTH
def test_child_that_left_its_group_is_killed_with_g(start, namespace):
    """And SIGKILL as well."""
    run = start(["-g", "-k", "0.1"], [*PYTHON, "-c", LEAVE], namespace=namespace)
    run.ready()
    result = run.stop()

    assert 128 + signal.SIGKILL == result.code
    told = ["stop_is_slow", "kill_after_expired", "child_exited"]
    assert told == [event["event"] for event in result.events]


@BOTH
def test_everyone_is_killed_with_all(start, compiled, namespace):
    """With --all those in sessions of their own get it as well."""
    script = 'trap "" TERM; "$@" & while :; do read x; done'
    command = ["sh", "-c", script, "-", compiled("helpers"), "3", "ignore"]
    run = start(["-a", "-k", "0.1", "-d", "60"], command, namespace=namespace)
    run.ready()
    result = run.stop()
    wanted = "every process" if namespace else "every descendant"

    assert (128 + signal.SIGKILL, "") == (result.code, result.out)
    assert [wanted] == [event["target"] for event in result.named("kill_after_expired")]


def test_clock_looks_at_what_was_received(start):
    """SIGTERM rewritten to a signal that ends no process is still a request to stop."""
    run = start(["-v", "-k", "0.1", "-r", "TERM:USR1"], victim("listener", 5))
    run.ready()
    result = run.stop()
    (forwarded,) = result.named("signal_forwarded")

    assert ("SIGTERM", "SIGUSR1") == (forwarded["signal"], forwarded["sent"])
    assert 128 + signal.SIGKILL == result.code


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
@BOTH
@pytest.mark.parametrize("options", [[], ["-g"], ["-a"]], ids=["child", "-g", "-a"])
def test_refused_kill_is_told(start, options, namespace):
    """Where pyinit may not kill the child it says so, and waits for its end."""
    command = [*OTHER_USER, "sh", "-c", "echo 'ready (pid: 2)'; read x; exit 7"]
    options = [*options, "-k", "0.1"]
    run = start(options, command, wrap=MAY_NOT_KILL, namespace=namespace, stdin=subprocess.PIPE)
    run.ready()
    run.send(signal.SIGTERM)
    event = run.event("kill_refused")
    run.close_stdin()

    assert ("SIGKILL", "EPERM") == (event["signal"], event["error"])
    assert 7 == run.finish().code


@BOTH
def test_steps_come_as_signals(start, namespace):
    """The first signal comes in place of the request, SIGCONT behind the others."""
    run = start(["-k", "INT:0.2,TERM:0.2,PWR:1000,KILL"], victim("listener"), namespace=namespace)
    run.ready()
    run.send(signal.SIGTERM)
    first = [signal.SIGINT, signal.SIGTERM, signal.SIGCONT]  # of several the lowest number is told
    then = {signal.SIGPWR, signal.SIGCONT}

    assert [f"got {int(signum)}" for signum in first] == [run.line() for _ in first]
    told = [run.line()]
    while told[-1] != f"got {int(signal.SIGPWR)}":
        told.append(run.line())
    assert {f"got {int(signum)}" for signum in then} >= set(told)


@BOTH
@pytest.mark.parametrize("how", ["option", "variable"])
def test_steps_follow_each_other(start, namespace, how):
    """As the log says; the last one kills."""
    steps = "INT:0.3,TERM:0.3,USR1:0.3,KILL"
    options, wrap = ["-v", "-k", steps], []
    if how == "variable":
        options, wrap = ["-v"], ["env", f"PYINIT_KILL_AFTER={steps}"]
    run = start(options, victim("listener"), wrap=wrap, namespace=namespace)
    pid = run.ready()
    result = run.stop()
    (forwarded,) = result.named("signal_forwarded")
    escalated = [(each["signal"], each["seconds"]) for each in result.named("stop_escalated")]
    (expired,) = result.named("kill_after_expired")

    assert 128 + signal.SIGKILL == result.code
    assert ("SIGTERM", "SIGINT") == (forwarded["signal"], forwarded["sent"])
    assert ["SIGTERM", "SIGUSR1"] == [name for name, _ in escalated]
    assert 0.3 <= escalated[0][1] < escalated[1][1]
    assert (0.9, f"process {pid}") == (expired["seconds"], expired["target"])


def test_later_request_changes_no_step(start):
    """It is forwarded as it came."""
    run = start(["-k", "INT:1000,KILL"], victim("listener", 5))
    run.ready()
    run.send(signal.SIGTERM)
    assert f"got {int(signal.SIGINT)}" == run.line()

    assert 5 == run.stop().code


@BOTH
def test_stopped_child_ends_by_a_step(start, namespace):
    """It could not act on the request, which is pending until it is continued."""
    run = start(["-k", "0.1,TERM:1000,KILL"], ["sh", "-c", STOPPED], namespace=namespace)
    assert "ready" == run.line()

    assert 128 + signal.SIGTERM == run.stop().code


STOPPED = "echo ready; kill -STOP $$"


def test_dump_before_the_end(start):
    """On SIGABRT, faulthandler writes where the program is, and pyinit logs the sender."""
    command = [*PYTHON, "-X", "faulthandler", victim("listener")[-1]]
    run = start(["-k", "0.2,ABRT:1000,KILL"], [*command[:-1], "-c", HANGS])
    run.ready()
    result = run.stop()
    *dump, told = result.err.splitlines()

    assert 128 + signal.SIGABRT == result.code
    assert "Fatal Python error: Aborted" == dump[0]
    assert '"event": "child_exited"' in told
    assert "pyinit sent it, as a step of -k" in told


HANGS = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(f"ready (pid: {os.getpid()})", flush=True)
while True:
    signal.pause()
"""


def test_plain_stop_by_a_step_is_no_crash(start):
    """A step that ends the child as SIGTERM would is as good as that."""
    run = start(["-k", "INT:0.1,TERM:1000,KILL", "--explain-after", "0"], [*PYTHON, "-c", DEAF])
    run.ready()
    result = run.stop()

    assert (128 + signal.SIGTERM, "") == (result.code, result.err)


DEAF = HANGS.replace("SIGTERM", "SIGINT")


@BOTH
@pytest.mark.parametrize(
    ("option", "target"), [("-g", "process group "), ("-a", "every ")], ids=["-g", "-a"]
)
def test_steps_go_where_signals_go(start, namespace, option, target):
    """To the group or to everyone, as what was forwarded did."""
    script = "trap : TERM; sh -c 'trap \"exit 5\" INT; trap : TERM; echo ready; wait_for_it' & "
    script = script.replace("wait_for_it", "while :; do :; done") + "while ! wait $!; do :; done"
    run = start(
        [option, "-v", "-k", "0.2,INT:1000,KILL"], ["sh", "-c", script], namespace=namespace
    )
    assert "ready" == run.line()
    result = run.stop()
    (escalated,) = result.named("stop_escalated")

    assert 128 + signal.SIGINT == result.code
    assert ("SIGINT", True) == (escalated["signal"], escalated["target"].startswith(target))


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
@BOTH
def test_refused_step_is_told(start, namespace):
    """As a refused SIGKILL is; the steps go on."""
    command = [*OTHER_USER, "sh", "-c", "echo 'ready (pid: 2)'; read x; exit 7"]
    options = ["-k", "0.1,INT:0.1,KILL", "--explain-after", "0"]
    run = start(options, command, wrap=MAY_NOT_KILL, namespace=namespace, stdin=subprocess.PIPE)
    run.ready()
    run.send(signal.SIGTERM)
    refused = [run.event("kill_refused") for _ in range(2)]
    run.close_stdin()

    assert ["SIGINT", "SIGKILL"] == [event["signal"] for event in refused]
    assert 7 == run.finish().code
