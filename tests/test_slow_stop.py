"""A slow stop says why, before the grace period of the process above is over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testkit.marks import BOTH
from testkit.namespaces import UNSHARE_TIED
from testkit.processes import only_child, until
from testkit.programs import PYTHON

from pyinit.later import causes, proc, slow_stop, stacks, survivors
from pyinit.later import look as looks
from pyinit.later.proc import Stat
from pyinit.later.stacks.frames import Frame
from pyinit.report import Report
from pyinit.settings import WARNING, Settings

AT_ONCE = ("--explain-after", "0.5")
# Long enough for the program to hang in its handler by then, even on a busy machine.
HANGS_BY_THEN = ("--explain-after", "2")

HANGING = """
import os, signal, threading

def handler(signum, frame):
    held.acquire()

def work():
    print(f"ready (pid: {os.getpid()})", flush=True)
    while True:
        signal.pause()

held = threading.Lock()
held.acquire()
signal.signal(signal.SIGTERM, handler)
work()
"""

COUNTING = """
import os, signal, sys, threading
held = threading.Lock()
held.acquire()
started = threading.Semaphore(0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
signal.signal(signal.SIGTERM, signal.SIG_IGN)

def work():
    started.release()
    held.acquire()

for _ in range(500):
    threading.Thread(target=work, daemon=True).start()
for _ in range(500):
    started.acquire()
print(f"ready (pid: {os.getpid()})", flush=True)
while True:
    signal.sigwait([signal.SIGUSR1])
    print("got it", flush=True)
"""


@pytest.fixture
def hanging(tmp_path):
    """Return the command of a program whose handler for SIGTERM does not come back."""
    path = tmp_path / "app.py"
    path.write_text(HANGING)
    return [*PYTHON, str(path)]


@BOTH
def test_slow_stop_is_told(start, hanging, namespace):
    """One warning, without any -v: what hangs, at which line, and what to do about it."""
    run = start(HANGS_BY_THEN, hanging, namespace=namespace)
    pid = run.ready()
    run.send(signal.SIGTERM)
    told = run.event("stop_is_slow")
    name = Path(PYTHON[0]).name
    line = HANGING.splitlines().index("    held.acquire()") + 1

    assert {"level": "warning", "pid": pid, "name": name, "signal": "SIGTERM"}.items() <= (
        told.items()
    )
    assert told["seconds"] >= 2
    assert "futex" == told["waits_for"]
    assert f"app.py:{line} handler" in told["reason"]
    assert told["stack"][0].endswith(f"app.py:{line} handler (signal handler)")
    assert [" work", " <module>"] == [frame[frame.rindex(" ") :] for frame in told["stack"][1:]]


def test_it_is_told_once(start, hanging):
    """Of several requests to stop the first counts."""
    run = start(AT_ONCE, hanging)
    run.ready()
    run.send(signal.SIGTERM)
    run.event("stop_is_slow")
    run.send(signal.SIGTERM)
    os.kill(only_child(run.init), signal.SIGKILL)

    assert ["child_exited"] == [event["event"] for event in run.finish().events]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_it_can_be_turned_off(start, hanging, how):
    """With 0 nothing is told but what is killed, and why."""
    options = ["--explain-after", "0"] if how == "option" else []
    wrap = ["env", "PYINIT_EXPLAIN_AFTER=0"] if how == "variable" else []
    run = start(["-k", "0.2", *options], hanging, wrap=wrap)
    run.ready()
    result = run.stop()

    assert ["kill_after_expired", "child_exited"] == [event["event"] for event in result.events]


@BOTH
def test_the_killed_are_looked_at(start, patient, hanging, namespace):
    """What -k kills is named with where it hung."""
    run = start(["-k", "4"], hanging, wrap=patient(), namespace=namespace)
    run.ready()
    (killed,) = run.stop().named("kill_after_expired")

    assert "app.py" in killed["reason"]
    assert killed["stack"][0].endswith("handler (signal handler)")


@BOTH
def test_survivors_of_the_drain_are_looked_at(start, patient, hanging, namespace):
    """So is what the drain kills."""
    command = ["sh", "-c", '"$@" & read x', "-", *hanging]
    how = {"wrap": patient(), "namespace": namespace, "stdin": subprocess.PIPE}
    run = start(["-d", "4"], command, **how)
    pid = run.ready()
    run.close_stdin()
    (killed,) = run.finish().named("drain_survivor")

    assert pid == killed["pid"]
    assert "app.py" in killed["reason"]
    assert killed["stack"][0].endswith("handler (signal handler)")


def test_loop_that_cannot_be_woken_is_not_told_of_it(monkeypatch):
    """A filter refuses even a signal for oneself: its own clock wakes it up."""
    monkeypatch.setattr(looks, "start_new_thread", lambda *_: None)
    monkeypatch.setattr(looks.processes, "wake", lambda: 1 // 0)
    made = looks.Look([], (0.0, 15, 15), 1.0, target=0, stacks=False)
    made._run()

    assert made.is_over


def test_earlier_look_is_asked_for_what_is_not_found_yet(monkeypatch):
    """What it knows is better than nothing; what is known by now is better than that."""
    monkeypatch.setattr(looks, "start_new_thread", lambda *_: None)
    first, second = (looks.Look([7], (0.0, 15, 15), 1.0, target=0, stacks=False) for _ in range(2))
    second.before = first
    assert {} == second.keys(7)
    first.found[7] = {"reason": "once"}
    assert {"reason": "once"} == second.keys(7)
    second.found[7] = {"reason": "now"}

    assert {"reason": "now"} == second.keys(7)


def test_nothing_is_told_of_how_a_process_looks_after_it_was_killed(monkeypatch):
    """A look that takes longer than it should meets a dying process, and would tell of that."""
    monkeypatch.setattr(looks, "start_new_thread", lambda *_: None)
    monkeypatch.setattr(survivors, "alive", lambda _: iter([(7, proc.stat(os.getpid()))]))
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    report = Report(Settings(("true",), verbosity=WARNING), b"")
    report.open()
    first, second = (looks.Look(None, (0.0, 15, 15), 1.0, target=2, stacks=False) for _ in "12")
    second.before = first
    first.found[7] = {"reason": "before"}
    found = survivors.Survivors(report, 1.0)
    found.name_all(second)
    first.found[7] = second.found[7] = second.found[8] = {"reason": "it has exited"}
    found.reaped(8, "eight", signal.SIGKILL)
    found.tell_named()

    assert [(8, None), (7, "before")] == [
        (keys["pid"], keys.get("reason")) for _, _, _, keys in report.backlog
    ]


def test_stacks_can_be_turned_off(start, hanging):
    """PYINIT_STACKS=0: no stack is read; all the rest is told."""
    run = start(AT_ONCE, hanging, wrap=["env", "PYINIT_STACKS=0"])
    run.ready()
    run.send(signal.SIGTERM)
    told = run.event("stop_is_slow")

    assert ("PYINIT_STACKS is off", False) == (told["no_stack"], "stack" in told)
    assert "SIGTERM" in told["reason"]


def test_signals_go_on_meanwhile(start):
    """PID 1 forwards while a child with 500 threads is looked at."""
    run = start(AT_ONCE, [*PYTHON, "-c", COUNTING])
    run.ready()
    run.send(signal.SIGTERM)
    for _ in range(200):
        run.send(signal.SIGUSR1)
        assert "got it" == run.line()
    told = run.event("stop_is_slow")

    assert "ignores SIGTERM" in told["reason"]


def test_foreign_proc_is_not_looked_at(start, hanging):
    """Where /proc is that of another PID namespace its number 2 is another process."""
    wrap = [word for word in UNSHARE_TIED if word != "--mount-proc"]
    run = start(AT_ONCE, hanging, wrap=wrap, namespace=False)
    run.ready()
    os.kill(only_child(run.process.pid), signal.SIGTERM)
    told = run.event("stop_is_slow")

    assert (None, False) == (told["name"], "stack" in told or "reason" in told)
    assert slow_stop.NO_PROC == told["no_stack"]
    assert told["message"].endswith(f" after SIGTERM; {slow_stop.NO_PROC}")


def test_memory_that_may_not_be_read(start):
    """A process that is not dumpable hides what it is at; that it hangs is told all the same."""
    hiding = f"import ctypes\nctypes.CDLL(None).prctl(4, 0)\n{HANGING}"
    wrap = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
    run = start(HANGS_BY_THEN, [*PYTHON, "-c", hiding], wrap=wrap)
    run.ready()
    run.send(signal.SIGTERM)
    told = run.event("stop_is_slow")

    assert "has a handler for SIGTERM but continues" in told["reason"]
    assert slow_stop.MAY_NOT == told["no_stack"]


@pytest.mark.parametrize(("switches", "state"), [(["7"], "D"), (["7", "8"], "R")])
def test_who_is_in_a_wait_for_a_moment_is_not_held_by_it(monkeypatch, switches, state):
    """A process that starts others is in state D again and again, each time for a moment."""
    fields = b"D 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0".split()
    monkeypatch.setattr(slow_stop.proc, "stat", lambda _: Stat(fields))
    left = switches * 2
    monkeypatch.setattr(slow_stop, "_switches", lambda _: left.pop())
    subject = slow_stop.Subject(os.getpid())
    assert "D" == subject.state
    subject.look_closer(0.0, stacks=False)

    assert state == subject.state


def test_who_has_run_meanwhile_has_switched():
    """A thread that waits anew has given up the processor once more; one that is gone has not."""
    before = slow_stop._switches(os.getpid())
    time.sleep(0.001)

    assert before != slow_stop._switches(os.getpid())
    assert [] == slow_stop._switches(1 << 30)


GONE = 1 << 30  # no process has such a pid
FOREVER = float("inf")


def test_of_who_is_gone_nothing_is_known():
    """It may end at any time while it is looked at."""
    subject = slow_stop.Subject(GONE)
    subject.look_closer(FOREVER, stacks=True)

    assert (False, "", None) == (subject.is_alive, subject.state, subject.began)
    assert (None, {}) == (subject.process, subject.stacks)
    assert "its program cannot be seen: No such file or directory" == subject.unread


def test_where_no_clock_tells_when_it_began(monkeypatch):
    """Then it is not known, and the rest is."""

    def refuse(_):
        raise OSError

    monkeypatch.setattr(time, "clock_gettime", refuse)

    assert (None, True) == (slow_stop.Subject(os.getpid()).began, bool(slow_stop.Subject(1).name))


def test_threads_are_told_apart(monkeypatch):
    """The main thread first; another one by its name, where that is one of its own."""
    subject = slow_stop.Subject(os.getpid())
    names = {7: "worker", 8: None, 9: slow_stop.proc.name(subject.pid)}
    monkeypatch.setattr(slow_stop.proc, "thread_name", lambda _, tid: names[tid])
    handler, awaits = Frame("a.py", 1, "stop"), Frame("a.py", 2, "main")
    handler.is_handler = awaits.is_awaiting = True
    subject.stacks = {7: [Frame("a.py", 3, "work")], subject.pid: [handler, awaits]}
    subject.stacks |= {8: [Frame("a.py", 4, "work")], 9: [Frame("a.py", 5, "work")]}
    subject.stacks[9][0].is_greenlet = True

    assert [
        "a.py:1 stop (signal handler)",
        "a.py:2 main (awaits)",
        "a.py:3 work [thread 7 worker]",
        "a.py:4 work [thread 8]",
        "a.py:5 work (greenlet) [thread 9]",
    ] == subject.told()


@pytest.mark.parametrize("library", ["greenlet/_greenlet", "other/_other"])
def test_greenlets_are_marked(monkeypatch, library):
    """Where a process has them, what grows neither from a script nor from a thread is one."""
    told = {1: [Frame("a.py", 1, "f"), Frame("a.py", 2, "run")], 2: [Frame("a.py", 3, "<module>")]}
    monkeypatch.setattr(stacks, "objects", lambda _: {f"/lib/{library}.cpython-313.so": 4096})
    monkeypatch.setattr(stacks, "reader", lambda *_: None)
    monkeypatch.setattr(stacks, "_stacks", lambda *_: told)
    found = stacks.read(os.getpid(), FOREVER)
    marks = [frame.is_greenlet for stack in found.values() for frame in stack]

    assert [False, library.startswith("greenlet"), False] == marks


def test_stacks_leave_room_in_the_line():
    """Engines cut a line of more than 16 KiB, and what is cut is no JSON any more."""
    subject = slow_stop.Subject(os.getpid())
    subject.stacks = {subject.pid: [Frame("/app/" + "x" * 90, at, "work") for at in range(10, 20)]}

    assert subject.told()[:4] == slow_stop._stack_of(subject, 450)["stack"]
    assert {"no_stack": slow_stop.NO_ROOM} == slow_stop._stack_of(subject, 10)


@pytest.fixture
def look(monkeypatch):
    """Return what looks without a thread of its own."""
    monkeypatch.setattr(looks, "start_new_thread", lambda *_: None)
    monkeypatch.setattr(looks.sys, "setswitchinterval", lambda _: None)
    monkeypatch.setattr(looks.processes, "wake", lambda: None)

    def look(pids, seconds):
        end = time.monotonic() + seconds
        made = looks.Look(pids, (FOREVER, 15, 15), end, target=0, stacks=False)
        made._run()
        assert made.is_over
        return made

    return look


def test_those_below_are_looked_at(look, monkeypatch):
    """Where there is time; else it is told that they are there."""
    child = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(slow_stop, "_below", lambda _: [child.pid])
    try:
        # Popen returns when exec closes a pipe, before the process has its new name.
        assert until(lambda: proc.name(child.pid) == "sleep")
        for seconds in (60, -1):
            (below,) = look([os.getpid()], seconds).keys(os.getpid())["below"]
            assert (child.pid, "sleep") == (below["pid"], below["name"])
            assert (seconds > 0) == ("no_stack" in below)
    finally:
        child.kill()
        child.wait()


def test_all_who_are_left_are_looked_at(look, monkeypatch):
    """As far as there is time."""
    monkeypatch.setattr(survivors, "alive", lambda _: [(os.getpid(), None)])

    assert "reason" in look(None, 60).keys(os.getpid())
    assert {} == look(None, -1).found


def test_what_fails_leaves_what_was_found(look, monkeypatch):
    """It is told, and that is all."""

    def fail(_):
        raise MemoryError

    monkeypatch.setattr(slow_stop, "_below", fail)

    assert ["waits_for"] == list(look([os.getpid()], 60).keys(os.getpid()))


def test_foreign_proc_is_not_looked_into(look, monkeypatch):
    """What it has of this number is another process."""
    monkeypatch.setattr(slow_stop.proc, "is_ours", lambda: False)

    assert {7: {"no_stack": slow_stop.NO_PROC}} == look([7], 60).found
    assert {} == look(None, 60).found


def test_who_is_waited_for_is_named():
    """Its children, or the one; where they are not known, the call alone."""
    subject, one, two = map(slow_stop.Subject, (GONE, GONE + 1, GONE + 2))
    one.parent = two.parent = GONE
    one.is_alive = two.is_alive = True
    subject.wait = slow_stop.waits.Wait("wait4", pid=two.pid)
    assert f"wait4 for {two}" == slow_stop._waits_for(subject, [one, two])
    subject.wait = slow_stop.waits.Wait("wait4", pid=0)
    assert f"wait4 for {one}, {two}" == slow_stop._waits_for(subject, [one, two])

    assert "wait4" == slow_stop._waits_for(subject, [])


def test_below_is_all_that_descends(monkeypatch):
    """The nearest first; a ring of parents has an end, and nothing is there without /proc."""
    fields = b"S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0".split()
    told = {pid: Stat(fields) for pid in range(5, 8)}
    told[5].parent, told[6].parent, told[7].parent = 6, 5, 5
    monkeypatch.setattr(slow_stop.proc, "stats", lambda: told)
    assert [6, 7, 5, 6, 7] == slow_stop._below(5)[:5]
    assert causes.MOST_BELOW == len(slow_stop._below(5))
    monkeypatch.setattr(slow_stop.proc, "stats", lambda: None)

    assert [] == slow_stop._below(5)


def test_who_has_gone_while_looked_at_again_stays_as_seen(monkeypatch):
    """What is not there any more is in no other state."""
    subject = slow_stop.Subject(os.getpid())
    subject.state = "D"
    monkeypatch.setattr(slow_stop.proc, "stat", lambda _: None)
    subject.look_closer(0.0, stacks=False)

    assert "D" == subject.state
