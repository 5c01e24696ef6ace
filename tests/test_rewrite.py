"""What is forwarded can be another signal than what came, or none, and can go to everyone."""

import signal
import subprocess

import pytest

from testkit.marks import BOTH
from testkit.programs import victim

PAIRS = [
    ("TERM:QUIT", signal.SIGTERM, signal.SIGQUIT),
    ("RTMIN+3:RTMAX", 37, signal.SIGRTMAX),
    ("TSTP:CONT", signal.SIGTSTP, signal.SIGCONT),
    ("USR1:CHLD", signal.SIGUSR1, signal.SIGCHLD),
]


@BOTH
@pytest.mark.parametrize(("rule", "received", "sent"), PAIRS)
def test_signal_is_rewritten(start, rule, received, sent, namespace):
    """The child gets the signal on the right of the colon in place of that on the left."""
    run = start(["-v", "-r", rule], victim("listener"), namespace=namespace)
    run.ready()
    run.send(received)
    assert f"got {int(sent)}" == run.line()
    event = run.event("signal_forwarded")

    assert (received, sent) == tuple(signal_number(event[key]) for key in ("signal", "sent"))


def signal_number(name):
    """Return the number of a name such as SIGRTMIN+3."""
    base, _, distance = name.partition("+")
    return (34 if base == "SIGRTMIN" else getattr(signal, base)) + int(distance or 0)


def test_0_drops_a_signal(start):
    """What is rewritten to 0 reaches no process, and is logged at -v: the next signal is first."""
    run = start(["-v", "-r", "HUP:0"], victim("listener"))
    run.ready()
    run.send(signal.SIGHUP)
    event = run.event("signal_dropped")
    run.send(signal.SIGUSR1)

    assert f"got {int(signal.SIGUSR1)}" == run.line()
    assert ("SIGHUP", "outside the namespace") == (event["signal"], event["sender"])


def test_other_signals_stay_what_they_are(start):
    """A rule is for its own signal, and rules make no chain."""
    run = start(["-r", "HUP:INT", "-r", "INT:QUIT"], victim("listener"))
    run.ready()
    seen = []
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR2):
        run.send(signum)
        seen.append(run.line())

    assert [f"got {int(signum)}" for signum in (2, 3, signal.SIGUSR2)] == seen


def test_variable_has_rules_as_well(start):
    """PYINIT_REWRITE has rules joined by commas; the command line wins."""
    wrap = ["env", "PYINIT_REWRITE=HUP:INT,USR1:QUIT"]
    run = start(["-r", "HUP:USR2"], victim("listener"), wrap=wrap)
    run.ready()
    seen = []
    for signum in (signal.SIGHUP, signal.SIGUSR1):
        run.send(signum)
        seen.append(run.line())

    assert [f"got {int(signal.SIGUSR2)}", f"got {int(signal.SIGQUIT)}"] == seen


@BOTH
def test_group_gets_what_is_rewritten(start, namespace):
    """-r and -g work together."""
    run = start(["-g", "-r", "HUP:USR1"], victim("family"), namespace=namespace)
    run.ready()
    run.line()
    run.send(signal.SIGHUP)
    seen = {run.line(), run.line()}

    assert {f"{who} got {int(signal.SIGUSR1)}" for who in ("leader", "member")} == seen


ALONE = 'trap "" USR1; "$@" & setsid "$@" & wait; read x'


@BOTH
@pytest.mark.parametrize("how", ["-a", "--all", "PYINIT_FORWARD_ALL"])
def test_all_reaches_everyone(start, namespace, how):
    """With --all a signal reaches those in sessions of their own, too; rewritten, if so wished."""
    options = ["-r", "HUP:USR1", *([how] if how.startswith("-") else [])]
    wrap = [] if how.startswith("-") else ["env", f"{how}=1"]
    command = ["bash", "-c", ALONE, "-", *victim("listener")]
    run = start(["-v", *options], command, wrap=wrap, namespace=namespace)
    run.ready()
    run.ready()
    run.send(signal.SIGHUP)
    wanted = "every process" if namespace else "every descendant"

    assert [f"got {int(signal.SIGUSR1)}"] * 2 == [run.line(), run.line()]
    assert wanted == run.event("signal_forwarded")["target"]


def test_all_reaches_the_child_although_the_package_breaks(start, sabotage):
    """When not PID 1, the child is signalled even if no module can be loaded for the others."""
    wrap = sabotage("import sys; sys.modules['pyinit.later.descendants'] = None\n")
    run = start(["-a"], victim("listener", 5), wrap=wrap, namespace=False)
    run.ready()
    run.send(signal.SIGUSR1)

    assert f"got {int(signal.SIGUSR1)}" == run.line()
    result = run.stop()
    assert (5, {"internal_error"}) == (result.code, {event["event"] for event in result.events})


def test_without_all_the_child_alone_gets_it(start):
    """Without --all those in sessions of their own see nothing until the child has gone."""
    script = 'trap "exit 4" USR1; setsid "$@" & read x'
    run = start([], ["bash", "-c", script, "-", *victim("listener")], stdin=subprocess.PIPE)
    run.ready()
    run.send(signal.SIGUSR1)

    assert f"got {int(signal.SIGTERM)}" == run.line()  # by the drain


@BOTH
def test_all_reaches_the_child_once(start, namespace):
    """With --all the child gets a signal once, also if it is signalled by itself (not PID 1)."""
    run = start(["-a"], victim("listener"), namespace=namespace)
    run.ready()
    seen = []
    for signum in (signal.SIGRTMIN + 1, signal.SIGUSR1):  # the first would be queued twice
        run.send(signum)
        seen.append(run.line())

    assert [f"got {signal.SIGRTMIN + 1}", f"got {int(signal.SIGUSR1)}"] == seen
