"""When pyinit is not PID 1, it looks at each process below it: which get a signal, which do not."""

import os
import posix
import signal
import subprocess

import pytest

from testkit.namespaces import UNSHARE
from testkit.processes import children, until
from testkit.programs import INSTALLED

from pyinit import processes
from pyinit.later import descendants, proc, survivors

BEYOND = 5_000_000  # no process has such a pid (PID_MAX_LIMIT)
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
    return pid, proc.stat(pid).birth


def test_who_is_where_it_was_seen_is_reached(family):
    """A process below one that is below pyinit is sent the signal, once."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, 0)
    for _ in range(2):
        sending._meet(parent, sending._own, is_first=True)
    sending._meet(child, parent, is_first=True)

    assert sending._send(child, parent)
    assert (3, 0) == (sending.reached, sending.refused)


def test_who_is_left_out_is_not_reached(family):
    """The child that got the signal already does not get it twice; those below it do get it."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, parent[0])
    sending._meet(parent, sending._own, is_first=True)
    assert (0, True) == (sending.reached, parent in sending._met)
    sending._meet(child, parent, is_first=False)

    assert (1, 0) == (sending.reached, sending.refused)


def test_who_has_another_parent_is_not_reached(family):
    """What changed since it was seen is not signalled: the process, its parent, or the parent's."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, 0)
    later = [(pid, birth + 1) for pid, birth in (parent, child)]

    assert not sending._send(later[1], parent)
    assert not sending._send(child, later[0])
    assert not sending._send(child, known(os.getpid()))
    assert sending._send(parent, child)  # pyinit's own by now, as an orphan becomes


def test_who_is_not_reached_may_be_met_again(family):
    """A process that it missed below one parent it may find below another."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, 0)
    sending._meet(child, (parent[0], parent[1] + 1), is_first=True)
    assert (0, False) == (sending.reached, child in sending._met)
    sending._meet(child, parent, is_first=True)

    assert (1, True) == (sending.reached, child in sending._met)


def test_who_is_alive_is_looked_up_within_a_time(family):
    """Where /proc is slow not all are named before SIGKILL; others are when they are reaped."""
    found, in_no_time = ([pid for pid, _ in survivors.alive(seconds)] for seconds in (30, -1))

    assert set(family) <= set(found)
    assert len(in_no_time) <= 1


def test_looking_up_who_is_alive_ends_in_time(monkeypatch):
    """After so many seconds it looks up no more processes."""
    times = iter([100.0, 104.0, 106.0, 106.0])
    monkeypatch.setattr(survivors, "monotonic", lambda: next(times))
    own = (os.getpid(), proc.stat(os.getpid()))
    monkeypatch.setattr(survivors, "_stats", lambda _: iter([own] * 3))

    assert 2 == len(list(survivors.alive(5.0)))


def test_who_is_gone_is_no_refusal():
    """A process that is reaped before it is opened, or after, is neither reached nor refused."""
    gone = subprocess.Popen(["true"])
    descriptor = os.pidfd_open(gone.pid)
    gone.wait()
    sending = descendants.Sending(ASKING, 0)
    sending._meet((gone.pid, 1), sending._own, is_first=True)
    with pytest.raises(ProcessLookupError):
        processes.send_to(gone.pid, descriptor, 0)
    os.close(descriptor)

    assert (0, 0) == (sending.reached, sending.refused)


def made_up(parents: dict[int, int]) -> dict[int, proc.Stat]:
    """Return what would be told of processes with these parents, each born in its own tick."""
    stats = {pid: proc.stat(os.getpid()) for pid in parents}
    for pid, stat in stats.items():
        stat.parent, stat.birth = parents[pid], 1000 + pid
    return stats


@pytest.mark.parametrize(
    ("parent", "seen_below", "is_below"),
    [
        (500, (600, 1600), True),  # pyinit's own by now
        (600, (600, 1600), True),
        (600, (600, 1601), False),  # another process has that pid now
        (700, (600, 1600), False),
        (1, (600, 1600), False),
    ],
)
def test_who_is_below(monkeypatch, parent, seen_below, is_below):
    """pyinit's own child is below it, and a child of one below it; no other, by its numbers."""
    stats = made_up({7: parent, 600: 500, 700: 500, 1: 0})
    monkeypatch.setattr(proc, "stat", stats.get)
    sending = descendants.Sending(ASKING, 0)
    sending._own = (500, 0)

    assert is_below == sending._is_below((7, 1007), seen_below)


def test_who_is_met_below_whom(monkeypatch):
    """Each is met once, parents first, below a parent that is known by its birth as well."""
    met = []
    monkeypatch.setattr(proc, "stats", lambda: made_up({1: 0, 500: 1, 300: 500, 700: 300, 9: 1}))
    monkeypatch.setattr(descendants.Sending, "_meet", lambda _, *words, **__: met.append(words))
    sending = descendants.Sending(ASKING, 0)
    sending._own = (500, 0)
    sending.walk()

    assert [((300, 1300), (500, 0)), ((700, 1700), (300, 1300))] == met


@pytest.mark.parametrize("birth", [9, 10, 11])
@pytest.mark.parametrize("pid", [4, 5, 6])
def test_who_is_older_than_a_moment(pid, birth):
    """By the tick, and within one by the pid."""
    assert ((birth, pid) <= (10, 5)) == descendants._is_older((pid, birth), (10, 5))


@pytest.mark.parametrize("own", [1, BEYOND])
def test_parents_are_checked_whatever_their_numbers(family, own):
    """Pids begin anew at the end of their range, so those below may have smaller ones."""
    parent, child = map(known, family)
    sending = descendants.Sending(ASKING, 0)
    sending._own = (own, 0)

    assert not sending._send(child, (parent[0], parent[1] + 1))


@pytest.mark.parametrize(("parent", "again"), [(1, False), (0, False), (9, True)])
@pytest.mark.parametrize("pid", [7, 700])
def test_who_has_lost_a_parent_costs_one_more_look(monkeypatch, pid, parent, again):
    """One process, not one after the other: if others are hidden there is always one."""
    stats = made_up({1: 0, 500: 9, pid: parent})
    monkeypatch.setattr(proc, "stats", lambda: stats)
    sending = descendants.Sending(ASKING, 0)
    sending._own = (500, 0)

    assert [again, False] == [sending.walk(), sending.walk()]


KILL_A_FAMILY = """
import ctypes, subprocess
from pyinit import processes
from pyinit.later import descendants, proc
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, as pyinit is one
parent = subprocess.Popen(["sh", "-c", "sleep 100 & echo x; wait"], stdout=subprocess.PIPE)
parent.stdout.read(2)
(child,) = proc.children(parent.pid)
names, sent = {parent.pid: "parent", child: "child"}, []
send = processes.send_to
def send_to(pid, descriptor, signum):
    sent.append((int(signum), names[pid]))
    send(pid, descriptor, signum)
processes.send_to = send_to
descendants.CHASING_SECONDS = descendants.DESCENDING_SECONDS = 60
%s
try:
    descendants.send((9,), 0)
except OSError as error:
    print("error", error.errno)
print(sorted(set(sent)))
print([signum for signum, _ in sent] == sorted((signum for signum, _ in sent), reverse=True))
print(parent.wait())
"""


def killed_family(lines: str = "") -> list[str]:
    """Return what is printed where a child and its child are killed in a PID namespace."""
    command = [*UNSHARE, "sh", "-c", '"$@"; exit $?', "-", *INSTALLED, KILL_A_FAMILY % lines]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


BOTH_SENT = "[(9, 'child'), (9, 'parent'), (19, 'child'), (19, 'parent')]"


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "proc.open_children = lambda: None",
        "proc.children = lambda _: []",
        "def fail(_): raise OSError\nproc.own_children = fail",
    ],
    ids=["as-it-is", "no-list-of-own-children", "no-lists-of-others", "unreadable"],
)
def test_all_are_stopped_before_any_is_killed(lines):
    """Whether the kernel has the lists of children (CONFIG_PROC_CHILDREN) or not."""
    assert [BOTH_SENT, "True", "-9"] == killed_family(lines)


def test_who_was_stopped_is_killed_although_others_cannot_be_found():
    """No process stays stopped if /proc cannot be read any more; the error is logged."""
    lines = "proc.stats = lambda: None"

    assert ["error 11", BOTH_SENT, "True", "-9"] == killed_family(lines)


def test_own_children_are_told():
    """The list has all of them, zombies too, and none that is gone."""
    descriptor = proc.open_children()
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    before = proc.own_children(descriptor)
    child.wait()
    after = proc.own_children(descriptor)
    os.close(descriptor)

    assert {child.pid} == before - after
    assert child.pid in before


def test_list_of_children_may_be_missing(monkeypatch):
    """Where /proc is another namespace's, or has no such list, there is none to read."""
    monkeypatch.setattr(proc, "is_ours", lambda: False)
    assert proc.open_children() is None
    monkeypatch.setattr(proc, "is_ours", lambda: True)
    monkeypatch.setattr(os, "getpid", lambda: BEYOND)
    assert proc.open_children() is None
    assert [] == proc.children(BEYOND)


def test_list_of_children_that_is_no_list(monkeypatch):
    """A line that cannot be parsed is no process."""
    monkeypatch.setattr(proc, "_read", lambda _: b"1 2x")
    assert [] == proc.children(1)


def test_own_child_is_sent_to_once(monkeypatch, family):
    """The chase skips processes that have got the signal, and those that are left out."""
    parent, child = family
    monkeypatch.setattr(descendants, "CHASING_SECONDS", 60)
    sending = descendants.Sending(ASKING, parent)
    sending._chase()
    assert parent not in sending._pids
    sending = descendants.Sending(ASKING, 0)
    for _ in range(2):
        sending._chase()

    assert parent in sending._pids
    assert child not in sending._pids
    assert sending.reached >= 1


@pytest.mark.parametrize(("state", "refused"), [(b"S", 1), (b"Z", 0), (None, 1)])
def test_refusal_for_a_zombie_is_none(monkeypatch, family, state, refused):
    """Another user's zombie may not be signalled, and need not."""

    def refuse(*_arguments):
        raise PermissionError

    stat = proc.stat(family[0])
    stat.state = state
    monkeypatch.setattr(processes, "send_to", refuse)
    monkeypatch.setattr(proc, "stat", lambda _: stat if state else None)
    sending = descendants.Sending(ASKING, 0)
    sending._send_to_own_child(family[0])

    assert refused == sending.refused


def met_below(monkeypatch, process: tuple, parents: dict[int, int]) -> list:
    """Return which processes are met below a process, with these parents."""
    stats = made_up(parents)
    below: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        below.setdefault(parent, []).append(pid)
    met = []
    sending = descendants.Sending((signal.SIGSTOP,), 0)
    sending._end = float("inf")
    sending._pids = {9}
    sending._met[8, 1008] = (0, 0)
    with monkeypatch.context() as patch:
        patch.setattr(proc, "stat", stats.get)
        patch.setattr(proc, "children", lambda pid: below.get(pid, []))
        patch.setattr(descendants.Sending, "_meet", lambda _, *words, **__: met.append(words))
        sending._descend(process)
    return met


def test_who_is_below_one_that_is_stopped_is_met_at_once(monkeypatch):
    """All the way down; but not those met before, those that the chase signalled, or the gone."""
    parents = {500: 1, 600: 500, 700: 600, 8: 500, 9: 500}
    met = [((600, 1600), (500, 1500)), ((700, 1700), (600, 1600))]

    assert met == met_below(monkeypatch, (500, None), parents)
    assert met == met_below(monkeypatch, (500, 1500), parents)


def test_who_is_below_a_pid_of_another_is_not_met(monkeypatch):
    """A process of another age is another one, and its children are nothing to us."""
    assert [] == met_below(monkeypatch, (500, 1499), {500: 1, 600: 500})
    assert [] == met_below(monkeypatch, (501, 1501), {500: 1, 600: 501})


def test_descent_ends_in_time(monkeypatch):
    """A chain that grows does not hold it for ever."""
    monkeypatch.setattr(proc, "children", lambda _: [1])
    sending = descendants.Sending((signal.SIGSTOP,), 0)
    sending._descend((1, None))

    assert [sending._own] == list(sending._met)


OWN_SESSION = 77
KILL_THE_NEWEST = """
import os, signal
from pyinit.later import descendants, proc

def fork(pid):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(pid - 1))
    return os.fork()

proc.LOOKING_SECONDS = -1  # as on a machine that is too slow to see more than one
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
(ready, begun), (asked, answer) = os.pipe(), os.pipe()
child = fork(300)
if not child:
    os.setsid()
    if fork(200):  # leaves what it forks to PID 1
        os.wait()
        os.write(begun, b"x")
        signal.pause()
    if not os.fork():
        signal.sigwait({signal.SIGUSR1})
        os.write(answer, str(os.getpid()).encode())
    os._exit(0)
os.close(answer)
os.read(ready, 1)
descendants.send((signal.SIGKILL,), 0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try: os.kill(201, signal.SIGUSR1)
except ProcessLookupError: pass
print(os.read(asked, 9).decode())
"""


def test_groups_are_not_killed_where_not_all_are_seen():
    """An unseen process that is not below may be in the group: each is killed by its own pid."""
    command = [*UNSHARE, "sh", "-c", '"$@"; exit $?', "-", *INSTALLED, KILL_THE_NEWEST]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert "-9\n201\n" == done.stdout


def killed_groups(monkeypatch, group: int, session: int, others=()) -> list:
    """Return the kills where a child is in such a group and session, and others in these groups."""
    killed = []
    monkeypatch.setattr(posix, "kill", lambda *words: killed.append(words))
    monkeypatch.setattr(os, "getsid", {0: OWN_SESSION}.__getitem__)
    stats = {pid: proc.stat(os.getpid()) for pid in (BEYOND, *range(1, len(others) + 1))}
    stats[BEYOND].group, stats[BEYOND].session = group, session
    for pid, other in enumerate(others, 1):
        stats[pid].group = other
    sending = descendants.Sending((signal.SIGKILL,), 0)
    sending.groups = sending._own_groups(stats, {os.getpid(): [BEYOND]})
    sending._send_to_groups()
    return killed


def test_group_of_another_session_is_killed(monkeypatch):
    """A number that only those below have is killed as one."""
    assert [(-BEYOND, signal.SIGKILL)] == killed_groups(monkeypatch, BEYOND, BEYOND, others=[5])


def test_group_is_not_killed_where_the_oldest_is_not_seen(monkeypatch):
    """The last process that was read tells whether all were: PID 1 is the oldest."""
    assert [] == killed_groups(monkeypatch, BEYOND, BEYOND)


@pytest.mark.parametrize("group", [0, 1])
def test_group_that_is_no_number_of_ours_is_not_killed(monkeypatch, group):
    """kill(-1) and kill(0) would reach others: 0 is a group of an outer PID namespace."""
    assert [] == killed_groups(monkeypatch, group, BEYOND, others=[5])


@pytest.mark.parametrize("session", [OWN_SESSION, 0], ids=["own", "outer"])
def test_group_of_its_own_session_is_not_killed(monkeypatch, session):
    """Others of the session, which are not below, may be in it; 0 is another namespace's."""
    assert [] == killed_groups(monkeypatch, BEYOND, session, others=[5])


def test_group_with_somebody_else_in_it_is_not_killed(monkeypatch):
    """A process that is not below is not killed, whatever group those below have joined."""
    assert [] == killed_groups(monkeypatch, BEYOND, BEYOND, others=[5, BEYOND])


@pytest.mark.parametrize("has_pidfds", [True, False], ids=["pidfd", "kill"])
def test_signals_reach_the_process_that_was_found(monkeypatch, has_pidfds):
    """One process gets them, if it is of the age that it was; one that has gone gets nothing."""
    if not has_pidfds:
        monkeypatch.setattr(descendants, "_open", lambda _: None)
    found = subprocess.Popen(["sleep", "100"])
    birth = proc.stat(found.pid).birth
    sent = [
        descendants.send_to(found.pid, age, (signal.SIGHUP, signal.SIGCONT))
        for age in (birth + 1, birth)
    ]

    assert ([False, True], -signal.SIGHUP) == (sent, found.wait())
    assert not descendants.send_to(found.pid, birth, (signal.SIGHUP,))


def test_process_of_another_user_is_not_reached(monkeypatch):
    """Where a signal is refused that is no error: others are still to get theirs."""

    def refuse(*_arguments):
        raise PermissionError

    monkeypatch.setattr(processes, "send_to", refuse)

    assert not descendants.send_to(os.getpid(), proc.stat(os.getpid()).birth, (signal.SIGHUP,))
