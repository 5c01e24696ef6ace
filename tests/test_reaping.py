"""Orphans are adopted and reaped, all of them and at once."""

import collections
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from testkit.processes import children, until
from testkit.programs import INSTALLED, PYTHON, compile_c

from pyinit import processes

ORPHANS = 20_000
KEPT = 1_000  # events that the log keeps in any case
SHORTAGE = Path(__file__).with_name("out_of_memory.c")


def test_twenty_thousand_orphans_leave_no_zombie(start, compiled, tmp_path):
    """20,000 orphans, made as fast as one core can: none stays a zombie, each is accounted for.

    Its code is logged; or it is counted as dropped, if other work keeps the log from following.
    """
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        run = start(["-w"], [compiled("orphans"), str(ORPHANS)], stderr=stderr)
        assert "gone" == run.line()
        workload = children(run.init)[0]
        assert until(lambda: children(run.init) == [workload])
        assert 0 == run.stop().code
    events = [json.loads(line) for line in log.read_text().splitlines()]

    told = collections.Counter(event["code"] for event in events if "code" in event)
    dropped = sum(event["count"] for event in events if event["event"] == "events_dropped")

    assert {"orphan_reaped", "events_dropped"} >= {event["event"] for event in events}
    assert ORPHANS == told.total() + dropped
    assert told <= collections.Counter(number % 256 for number in range(ORPHANS))
    assert told.total() >= KEPT


def test_orphans_are_reaped_while_the_child_lives(start, compiled):
    """At the default verbosity, too, nothing but the child remains below pyinit."""
    run = start(command=[compiled("orphans"), "500"])
    assert "gone" == run.line()
    workload = children(run.init)[0]

    assert until(lambda: children(run.init) == [workload])
    assert (0, "") == (run.stop().code, run.finish().err)


@pytest.mark.parametrize("options", [["-w"], ["-vv"], []], ids=["-w", "-vv", "quiet"])
def test_storm_of_orphans_does_not_starve_signals(start, compiled, options):
    """Orphans that come faster than they can be reaped do not keep a signal from the child."""
    run = start(options, [compiled("storm"), "8"], stderr=subprocess.DEVNULL)
    run.ready()
    for _ in range(3):
        run.send(signal.SIGUSR1)
        assert "got it" == run.line()

    assert 0 == run.stop().code


@pytest.mark.parametrize(
    ("options", "level"), [(["-w"], "warning"), (["-vv"], "debug"), (["-wvv"], "warning")]
)
def test_orphan_is_named(start, options, level):
    """-w and -vv name each orphan, its pid, and how it ended."""
    orphan = "echo $BASHPID; echo -n orphan >/proc/self/comm; exit 9"
    # sh, because bash might reap its job before it leaves it behind.
    command = ["sh", "-c", f"(bash -c '{orphan}' &); read x"]
    run = start(options, command, stdin=subprocess.PIPE)
    pid = int(run.line())
    event = run.event("orphan_reaped")
    wanted = {"level": level, "name": "orphan", "pid": pid, "code": 9}

    assert wanted == {key: event[key] for key in wanted}


def test_orphan_killed_by_a_signal_is_told_so(start):
    """An orphan that a signal killed has the signal in its event, not a code."""
    run = start(["-w"], ["sh", "-c", "(sh -c 'kill -KILL $$' &); read x"], stdin=subprocess.PIPE)
    event = run.event("orphan_reaped")

    assert "SIGKILL" == event["signal"]
    assert "code" not in event


def test_without_w_orphans_are_not_told(start, compiled):
    """At the default verbosity an orphan's end is not worth a word."""
    run = start(command=[compiled("orphans"), "10"])
    run.line()

    assert "" == run.stop().err


ONE_PID = """
import os
for code in range(1, 31):
    parent = os.fork()
    if not parent:
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write("299")
        os._exit(0 if os.fork() else code)
    os.waitpid(parent, 0)
    try:
        while True:
            os.kill(300, 0)
            os.sched_yield()
    except ProcessLookupError:
        pass
"""


def test_status_is_not_told_of_the_next_with_that_pid(run):
    """If waitid is refused now and then, each orphan is logged once, as it ended."""
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=waitid:error=EPERM:when=1+3"]
    wrap = ["sh", "-c", '"$@"; exit $?', "-", *strace]
    result = run(["-w"], [*PYTHON, "-c", ONE_PID], wrap=wrap)

    assert 0 == result.code
    assert list(range(1, 31)) == [
        event["code"] for event in result.named("orphan_reaped") if event["pid"] == 300
    ]


# A process of its own: the children of the one that runs the tests are not to be touched.
PREPARED = """
import os, signal
from pyinit import child as children, processes

def reap(pid, most=9):
    global known
    known = children.unborn()
    known.pid = pid
    return processes.reap_orphans(known, most)

def dead(code, before=bool):
    pid = os.fork()
    if not pid:
        before()
        os._exit(code)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid

def alive():
    return os.fork() or signal.pause()

def refuse(*_):
    raise ChildProcessError("not this one")

"""


def printed_by(lines: str) -> str:
    """Return what a process prints that has functions to make children, dead and alive."""
    command = [*INSTALLED, PREPARED + lines]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("child = dead(2); dead(1); print(reap(child))", "CHILD_OR_NOBODY"),
        ("child = 0; dead(1); dead(2); dead(3); print(reap(0, 2))", "MORE"),
        ("child = alive(); dead(1); print(reap(child))", "NONE"),
        ("child = 0; dead(1); dead(2); print(reap(0))", "CHILD_OR_NOBODY"),
    ],
    ids=["child", "more", "nobody-dead", "no-children"],
)
def test_orphans_of_whom_nobody_asks_are_reaped(lines, left):
    """They are reaped up to the child, up to so many, or until no zombie or no process is left."""
    kill = "os.kill(child, 9) if child else None"

    assert str(getattr(processes, left)) == printed_by(f"{lines}\n{kill}")


@pytest.mark.parametrize(("most", "left"), [(2, 1), (3, 0)])
def test_no_more_orphans_are_reaped_than_that(most, left):
    """The rest are zombies still, each of which is reaped once."""
    lines = f"dead(1); dead(2); dead(3); one = alive(); reap(one, {most})\n"
    lines += "left = 0\nwhile processes.take_any(): left += 1\nprint(left); os.kill(one, 9)"

    assert str(left) == printed_by(lines)


def test_child_is_left_a_zombie_by_who_reaps_orphans():
    """Its status is still there, and so are the orphans: the next call takes both."""
    lines = "dead(1); child = dead(2); reap(child)\n"
    lines += "print(known.status, processes.take(child) >> 8, processes.take_any()[1] >> 8)"

    assert "None 2 1" == printed_by(lines)


DIES_MEANWHILE = """
look = processes.posix.waitid
processes.posix.waitid = lambda *_: None  # it is alive when it is looked for
"""


def test_child_that_dies_while_orphans_are_reaped_has_its_status():
    """It is noted, and those that died after it are left for the next time."""
    lines = DIES_MEANWHILE + "dead(1); child = dead(7); dead(2)\n"
    lines += "print(reap(child), known.status >> 8, processes.take_any()[1] >> 8)"

    assert f"{processes.CHILD_OR_NOBODY} 7 2" == printed_by(lines)


NO_MEMORY = """
first, orphans = dead(7), [dead(1) for _ in range(5)]
known = children.unborn()
known.pid = first
try:
    processes.reap_orphans(known, 9)
except MemoryError:
    pass
os.sched_yield()
try:
    print((processes.take(first) if known.status is None else known.status) >> 8)
except ChildProcessError:
    print("lost")
"""


def test_status_is_not_lost_for_want_of_memory(tmp_path, monkeypatch):
    """It is noted, or the child is a zombie still, wherever in between memory runs out."""
    how = ("-shared", "-fPIC", "-fno-builtin")
    monkeypatch.setenv("LD_PRELOAD", str(compile_c(SHORTAGE, tmp_path, *how)))
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    told = []
    for fresh in range(16):  # blocks of memory: the first few are not enough to look at all
        monkeypatch.setenv("FRESH", str(fresh))
        told.append(printed_by(NO_MEMORY))

    assert ["7"] * 16 == told


@pytest.mark.parametrize(
    "spoil",
    ["processes.posix.waitpid = refuse", "processes.posix.waitid = refuse"],
    ids=["ECHILD", "looking-refused"],
)
def test_zombie_that_cannot_be_had_is_no_end(spoil):
    """If one cannot be reaped, this is neither the end nor tried for ever."""
    lines = "one = dead(1)\nprint(reap(1))"

    assert str(processes.CHILD_OR_NOBODY) == printed_by(f"{spoil}\n{lines}")


ENDS = {"code": "os._exit(3)", "signal": "os.kill(os.getpid(), 15)"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_status_is_known_before_the_zombie_is_taken(end):
    """What is told of a zombie is what waitpid says of it then."""
    lines = (
        f"pid = os.fork()\nif not pid: {end}\nos.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
    )
    lines += "print(processes.next_dead() == (pid, processes.take(pid)))"

    assert "True" == printed_by(lines)


@pytest.mark.parametrize(("how", "status"), [("EXITED", 0x600), ("KILLED", 6), ("DUMPED", 0x86)])
def test_status_tells_of_a_core(monkeypatch, how, status):
    """As WCOREDUMP of wait(2); whether there may be a core dump depends on the machine."""
    told = os.waitid_result((7, 0, signal.SIGCHLD, 6, getattr(os, f"CLD_{how}")))
    monkeypatch.setattr(processes.posix, "waitid", lambda *_: told)

    assert (7, status) == processes.next_dead()


def test_who_is_reaped_unseen_is_gone():
    """Where looking is refused a child is reaped at once, its status with it."""
    lines = "pid = dead(3, os.setsid)\n"
    lines += "print(processes.take_any() == (pid, 3 << 8))\n"
    lines += "try: processes.take(pid)\nexcept ChildProcessError: print('gone')"

    assert "True\ngone" == printed_by(lines)


IMPORTS_NOTHING = """
import builtins
def without(*_):
    raise MemoryError
builtins.__import__ = without
"""


@pytest.mark.parametrize(
    "spoil",
    ["pass", "import sys; sys.modules['resource'] = None", IMPORTS_NOTHING],
    ids=["there", "missing", "no-memory"],
)
def test_usage_is_told_where_it_can_be(spoil):
    """Without the module, or memory for it, the status comes alone."""
    lines = f"{spoil}\npid = dead(3)\nstatus, usage = processes.take_with_usage(pid)\n"
    lines += "print(status >> 8, usage is None)"

    assert f"3 {spoil != 'pass'}" == printed_by(lines)


@pytest.mark.parametrize("call", ["take", "take_with_usage"])
def test_who_is_alive_is_not_taken(call):
    """Nor is there a wait for its end."""
    lines = f"one = alive(); print(processes.{call}(one)); os.kill(one, 9)"

    assert ("None" if call == "take" else "(None, None)") == printed_by(lines)


def test_nobody_is_dead_where_looking_is_refused():
    """A running process is not taken, and that is no error."""
    lines = "one = alive(); print(processes.take_any()); os.kill(one, 9)"

    assert "None" == printed_by(lines)


def test_that_nobody_is_there_is_told_where_looking_is_refused():
    """As it is where one may look."""
    lines = "for call in (processes.take_any, processes.next_dead):\n"
    lines += "    try: call()\n    except ChildProcessError: print('nobody')"

    assert "nobody\nnobody" == printed_by(lines)
