"""Off PID 1 the processes below are looked at one by one: who gets a signal, and who does not."""

import os
import signal
import subprocess
import sys

import pytest
from harness import UNSHARE, children, until

from pyinit import descendants, everyone, procfs

ASKING = (0,)  # no signal: kill(2) asks whether it could be sent


@pytest.fixture
def family():
    """Run a process with a child of its own; return the pids of both, as below as they are seen."""
    command = ["sh", "-c", "sleep infinity & wait"]
    parent = subprocess.Popen(command)
    assert until(lambda: children(parent.pid))
    (child,) = children(parent.pid)
    yield parent.pid, child
    os.kill(child, 9)
    parent.wait()


def known(pid: int) -> tuple[int, int]:
    """Return pid and birth of a process."""
    return pid, procfs.stat(pid).birth


def test_who_is_where_it_was_seen_is_reached(family):
    """A process below one that is below pyinit is sent the signal, once."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, None)
    for _ in range(2):
        sending._meet(parent, sending._own, is_first=True)
    sending._meet(child, parent, is_first=True)

    assert sending._send(child, parent)
    assert (3, 0) == (sending.reached, sending.refused)


def test_who_has_another_parent_is_not_reached(family):
    """What changed since it was seen is not signalled: the process, its parent, or the parent's."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, None)
    later = [(pid, birth + 1) for pid, birth in (parent, child)]

    assert not sending._send(later[1], parent)
    assert not sending._send(child, later[0])
    assert not sending._send(child, known(os.getpid()))
    assert sending._send(parent, child)  # pyinit's own by now, as an orphan becomes


def test_who_is_not_reached_may_be_met_again(family):
    """Whom it missed below one parent it may find below another."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, None)
    sending._meet(child, (parent[0], parent[1] + 1), is_first=True)
    assert (0, False) == (sending.reached, child in sending._met)
    sending._meet(child, parent, is_first=True)

    assert (1, True) == (sending.reached, child in sending._met)


def test_who_is_alive_is_looked_up_within_a_time(family):
    """Where /proc is slow not all are named, but the first one is."""
    found, in_no_time = (list(everyone.alive(seconds)) for seconds in (30, -1))

    assert set(family) <= set(found)
    assert found[:1] == in_no_time


def test_looking_up_who_is_alive_ends_in_time(monkeypatch):
    """After so many seconds by the clock nobody else is looked up."""
    times = iter([100.0, 104.0, 106.0, 106.0])
    monkeypatch.setattr(everyone, "monotonic", lambda: next(times))
    monkeypatch.setattr(everyone, "pids", lambda: [os.getpid()] * 3)

    assert 2 == len(list(everyone.alive(5.0)))


def test_who_is_gone_is_no_refusal():
    """A process that is reaped before it is opened, or after, is neither reached nor refused."""
    gone = subprocess.Popen(["true"])
    descriptor = os.pidfd_open(gone.pid)
    gone.wait()
    sending = descendants.Sending(ASKING, None)
    sending._meet((gone.pid, 1), sending._own, is_first=True)
    with pytest.raises(ProcessLookupError):
        descendants._kill(gone.pid, descriptor, 0)
    os.close(descriptor)

    assert (0, 0) == (sending.reached, sending.refused)


KILL_THE_NEWEST = """
import os, signal
from pyinit import descendants, procfs

procfs.LOOKING_SECONDS = -1  # as on a machine that is too slow to see more than one
pids = [os.fork() or (os.setsid(), signal.pause()) for _ in range(2)]
for pid in pids:
    while os.getpgid(pid) != pid:
        os.sched_yield()
descendants.send((signal.SIGKILL,), besides=None)
ended, status = os.wait()
print(pids.index(ended), os.WTERMSIG(status), os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOHANG))
os.kill(pids[0], signal.SIGKILL)
"""


def test_groups_are_not_killed_where_not_all_are_seen():
    """Somebody unseen may be in the group who is not below: each is killed by its own pid."""
    command = [*UNSHARE, "sh", "-c", '"$@"; exit $?', "-", sys.executable, "-c", KILL_THE_NEWEST]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert "1 9 None\n" == done.stdout


@pytest.mark.parametrize("seen", [True, False], ids=["all-seen", "oldest-unseen"])
def test_group_is_killed_where_the_oldest_is_seen_only(monkeypatch, seen):
    """Who was read last tells whether all were: PID 1 is the oldest."""
    killed = []
    monkeypatch.setattr(os, "kill", lambda *words: killed.append(words))
    alike = procfs.stat(os.getpid())
    alike.group = alike.session = 30000
    stats = {30000: alike} | ({1: procfs.stat(1)} if seen else {})
    sending = descendants.Sending((signal.SIGKILL,), None)
    sending._kill_groups(stats, {os.getpid(): [30000]})

    assert ([(-30000, signal.SIGKILL)] if seen else []) == killed
