"""How a rehearsal finds the fate of each process and the verdict, from hand-made runs."""

import os
import re
import signal

import pytest

from pyinit.rehearse import fates, model, verdict
from pyinit.rehearse.census import Seen, Signals
from pyinit.rehearse.model import Leak, Load, Plan, Process, Run

BIT = 1 << (signal.SIGTERM - 1)
HANDLES, IGNORES, BLOCKS = Signals(caught=BIT), Signals(ignored=BIT), Signals(blocked=BIT)
TERM, KILL = int(signal.SIGTERM), int(signal.SIGKILL)
GRACE = 10.0


def exited(code: int) -> int:
    """Return the status of a process that exited, as waitpid(2) gives it."""
    return code << 8


def test_status_is_that_of_waitpid():
    """The kernel's status is read as waitpid(2) gives it."""
    assert 3 == os.waitstatus_to_exitcode(exited(3))


def seen(pid, name, parent=1, *, status=None, **process) -> Seen:
    """Return a process that was seen, in a process group of its own; times count from the stop."""
    how = {"began": -1.0, **process}
    found = Seen(Process(pid, name, name, parent, **how), outer=1000 + pid, birth=0, pidfd=-1)
    found.status = status
    found.group = pid
    return found


def init(ended=None, status=None, name="pyinit", **more) -> Seen:
    return seen(1, name, 0, ended=ended, status=status, **more)


def child(ended=None, status=None, name="app", **more) -> Seen:
    return seen(2, name, ended=ended, status=status, **more)


def helper(ended=None, status=None, **more) -> Seen:
    return seen(3, "helper", 2, ended=ended, status=status, **more)


def event(name, at, **keys):
    return {"event": name, "at": at, **keys}


def run_of(everybody=(), *, init="pyinit", events=(), **more) -> Run:
    run = Run(init, [init, "--"], ["app"], "SIGTERM", GRACE, events=list(events), **more)
    run.processes = [each.process for each in everybody]
    return run


def settled(everybody, events=(), killed=None, **more) -> Run:
    run = run_of(events=events, **more)
    fates.settle(run, everybody, 0.0, killed)
    return run


DRAIN = event("drain_started", 1.0, signal="SIGTERM")
FATES = {
    "code": ([child(1.0, exited(3))], [], None, (model.BY_ITSELF, 3, None)),
    "signal": ([child(1.0, TERM)], [], None, (model.BY_ITSELF, None, "SIGTERM")),
    "core": ([child(1.0, signal.SIGSEGV | 0x80)], [], None, (model.BY_ITSELF, None, "SIGSEGV")),
    "still-there": ([child()], [], None, (None, None, None)),
    "not-told": ([child(1.0)], [], None, (None, None, None)),
    "told-by-pyinit": (
        [child(1.0)],
        [event("child_exited", 1.0, pid=2, code=7)],
        None,
        (model.BY_ITSELF, 7, None),
    ),
    "told-otherwise-by-pyinit": (
        [child(1.0, exited(3))],
        [event("child_exited", 1.0, pid=2, code=7)],
        None,
        (model.BY_ITSELF, 3, None),
    ),
    "asked": (
        [child(1.0, 0), helper(1.5, TERM, is_left=True)],
        [DRAIN],
        None,
        (model.ASKED, None, "SIGTERM"),
    ),
    "asked-as-pyinit-tells": (
        [child(1.0, 0), helper(1.5)],
        [DRAIN, event("orphan_reaped", 1.5, pid=3, code=0)],
        None,
        (model.ASKED, 0, None),
    ),
    "an-orphan-before": (
        [child(3.0, 0), helper(0.5)],
        [event("orphan_reaped", 0.5, pid=3, code=0)],
        None,
        (model.BY_ITSELF, 0, None),
    ),
    "named-survivor": (
        [child(1.0, 0), helper(6.0, KILL, is_left=True)],
        [DRAIN, event("drain_survivor", 6.0, pid=3)],
        None,
        (model.KILLED_BY_INIT, None, "SIGKILL"),
    ),
    "unnamed-survivor": (
        [child(1.0, 0), helper(6.0, KILL, is_left=True)],
        [DRAIN, event("drain_finished", 6.0, killed=4)],
        None,
        (model.KILLED_BY_INIT, None, "SIGKILL"),
    ),
    "killed-before-the-drains-end": (
        [child(1.0, 0), helper(2.0, KILL, is_left=True)],
        [DRAIN, event("drain_finished", 6.0, killed=4)],
        None,
        (model.KILLED_BY_ANOTHER, None, "SIGKILL"),
    ),
    "nobody-killed-in-the-drain": (
        [child(1.0, 0), helper(6.0, KILL, is_left=True)],
        [DRAIN, event("drain_finished", 6.0, killed=0)],
        None,
        (model.KILLED_BY_ANOTHER, None, "SIGKILL"),
    ),
    "kill-after": (
        [child(4.0, KILL)],
        [event("kill_after_expired", 4.0, pid=2, target="process 2")],
        None,
        (model.KILLED_BY_INIT, None, "SIGKILL"),
    ),
    "kill-after-of-the-group": (
        [child(4.0, KILL), helper(4.0, KILL)],
        [event("kill_after_expired", 4.0, pid=2, target="process group 2")],
        None,
        (model.KILLED_BY_INIT, None, "SIGKILL"),
    ),
    "kill-after-of-all": (
        [child(4.0, KILL), helper(4.0, KILL)],
        [event("kill_after_expired", 4.0, pid=2, target="every process")],
        None,
        (model.KILLED_BY_INIT, None, "SIGKILL"),
    ),
    "kill-after-of-another": (
        [child(4.0, KILL), helper(4.0, KILL)],
        [event("kill_after_expired", 4.0, pid=2, target="process 2")],
        None,
        (model.KILLED_BY_ANOTHER, None, "SIGKILL"),
    ),
    "before-kill-after": (
        [child(4.0, KILL), helper(1.0, KILL)],
        [event("kill_after_expired", 4.0, pid=2, target="every process")],
        None,
        (model.KILLED_BY_ANOTHER, None, "SIGKILL"),
    ),
    "engine": ([child(10.01, KILL)], [], 10.0, (model.KILLED_BY_ENGINE, None, "SIGKILL")),
    "before-the-engine": ([child(9.0, KILL)], [], 10.0, (model.KILLED_BY_ANOTHER, None, "SIGKILL")),
    "ended-beside-the-engine": ([child(10.01, 0)], [], 10.0, (model.BY_ITSELF, 0, None)),
}


@pytest.mark.parametrize(("others", "events", "killed", "expected"), FATES.values(), ids=FATES)
def test_fate(others, events, killed, expected):
    """How the last of these processes ended."""
    run = settled([init(), *others], events, killed)
    last = run.processes[-1]

    assert expected == (last.fate, last.code, last.signal)


REAPED = event("orphan_reaped", 1.0, pid=3, signal="SIGKILL")
WITH = {
    "with": (1.0, [], {}, True),
    "long-before": (0.5, [], {}, False),
    "after-its-child": (1.0, [], {"child_ended": 0.99}, True),
    "long-before-init-after-its-child": (0.5, [], {"child_ended": 0.4}, True),
    "before-its-child": (0.95, [], {"child_ended": 0.99}, False),
    "reaped": (1.0, [REAPED], {}, False),
    "in-a-drain": (1.0, [event("drain_started", 0.5)], {}, False),
}


@pytest.mark.parametrize(("at", "events", "run", "expected"), WITH.values(), ids=WITH)
def test_kernel_kills_what_pid1_leaves(at, events, run, expected):
    """A process that PID 1 did not reap, and that got SIGKILL when PID 1 exited, got it then."""
    everybody = [init(1.0, 0), child(0.9, 0), helper(at, KILL)]
    last = settled(everybody, events, init="tini", **run).processes[-1]

    assert expected == (last.fate == model.KILLED_WITH_PID1) == last.is_left
    assert expected or last.fate == model.KILLED_BY_ANOTHER


@pytest.mark.parametrize(
    ("name", "ended", "fate"),
    [
        ("tini", 1.01, model.KILLED_WITH_PID1),
        ("tini", 0.99, model.KILLED_BY_ANOTHER),
        ("none", 0.99, model.KILLED_WITH_PID1),
    ],
)
def test_killed_with_pid1_only_after_the_child(name, ended, fate):
    """An init exits after its child; as PID 1, the child itself takes the others with it."""
    first = [init(1.02, 0, name)] if name == "tini" else []
    run = settled([*first, child(1.0, 0), helper(ended, KILL)], child_ended=1.0, init=name)

    assert fate == run.processes[-1].fate


@pytest.mark.parametrize(
    ("is_outlived", "fate"), [(False, model.KILLED_WITH_PID1), (True, model.KILLED_BY_ANOTHER)]
)
def test_killed_with_a_pid1_that_exits_slowly(is_outlived, fate):
    """On a busy machine PID 1 is gone long after the processes that the kernel killed with it."""
    killed = seen(2, "helper", status=KILL, ended=1.0)
    killed.is_outlived = is_outlived
    run = settled([init(3.0, 0, "none"), killed], init="none")

    assert fate == run.processes[-1].fate


def test_left_by_tini_where_the_kernel_tells_no_status():
    """Before Linux 6.15, a process that ended after the child was killed; one before was not."""
    everybody = [init(1.02, name="tini"), child(1.0), helper(1.01), seen(4, "early", 2, ended=0.9)]
    run = settled(everybody, child_ended=1.0, init="tini")

    assert [None, None, model.KILLED_WITH_PID1, None] == [each.fate for each in run.processes]
    assert [False, False, True, False] == [each.is_left for each in run.processes]


def test_killed_by_the_engine_where_the_kernel_tells_no_status():
    run = settled([init(3.0), child(3.0)], killed=3.0, child_ended=3.0)

    assert [model.KILLED_BY_ENGINE] * 2 == [each.fate for each in run.processes]


def test_reaped_by_pyinit_is_not_killed_with_it():
    """Pyinit reaps a process that another one killed, but not one that is killed with pyinit."""
    reaped = event("orphan_reaped", 1.0, pid=3, signal="SIGKILL")
    run = settled([init(1.01, 0), child(1.0, 0), helper(1.0, KILL)], [reaped], child_ended=1.0)

    assert model.KILLED_BY_ANOTHER == run.processes[-1].fate


def test_pid1_is_killed_by_no_pid1():
    """If PID 1 itself got SIGKILL, it came from inside."""
    assert model.KILLED_BY_ANOTHER == settled([init(1.0, KILL)]).processes[0].fate


def test_times_count_from_the_stop():
    """Monotonic times become times that count from the stop."""
    run = run_of()
    fates.settle(run, [child(101.5, 0, began=90.0)], 100.0, None)

    assert (-10.0, 1.5, 1.5) == (run.processes[0].began, run.processes[0].ended, run.seconds)


def test_nobody_was_seen():
    """A run without processes takes no time."""
    run = settled([])

    assert ([], 0.0) == (run.processes, run.seconds)


def test_reason_is_the_last_one_told():
    """What pyinit found out becomes the reason; an event without a reason keeps it."""
    told = event("stop_is_slow", 5.0, pid=2, reason="it waits")
    last = event("kill_after_expired", 9.0, pid=2, target="process 2")
    run = settled([init(), child(9.0, KILL)], [told, last])

    assert "it waits" == run.processes[1].reason


def test_pid_that_was_given_twice():
    """An event is about the process that had the pid then, not about a later one."""
    first, second = child(0.5, began=-1.0), child(3.0, exited(1), "other", began=2.0)
    run = settled([init(), first, second], [event("child_exited", 0.5, pid=2, code=7)])

    assert [7, 1] == [process.code for process in run.processes[1:]]


def test_event_of_nobody_who_was_seen():
    """A process that was too short to be seen is not listed, even if an event names it."""
    run = settled([init()], [event("orphan_reaped", 0.5, pid=9, code=0)])

    assert [1] == [process.pid for process in run.processes]


MARKS = {
    "child": ("process 2", [True, False, False]),
    "group": ("process group 2", [True, True, False]),
    "all": ("every process", [True, True, True]),
}


@pytest.mark.parametrize(("target", "expected"), MARKS.values(), ids=MARKS)
def test_forwarded_signals_are_marked_where_they_went(target, expected):
    """On the child, on each member of its group, or on every process."""
    sent = event("signal_forwarded", 0.0, signal="SIGTERM", sent="SIGQUIT", target=target)
    member = helper()
    member.group = 2
    run = settled([init(), child(), member, seen(4, "other", 2)], [sent])
    marks = [[(mark.signal, mark.by) for mark in each.marks] for each in run.processes[1:]]

    assert [[("SIGQUIT", "pyinit")] if told else [] for told in expected] == marks


def test_engines_signals_are_marked_on_pid1():
    """The stop signal, the second one, and SIGKILL."""
    run = settled([init(10.1, KILL), child()], killed=10.0, again=0.5)

    assert [(0.0, "SIGTERM"), (0.5, "SIGTERM"), (10.0, "SIGKILL")] == [
        (mark.at, mark.signal) for mark in run.processes[0].marks
    ]
    assert {"engine"} == {mark.by for mark in run.processes[0].marks}


def test_drain_and_its_end_are_marked():
    """SIGTERM when it begins, SIGKILL for those that it kills."""
    left = helper(6.0, KILL, is_left=True)
    run = settled([init(), child(1.0, 0), left], [DRAIN, event("drain_survivor", 6.0, pid=3)])

    assert [(1.0, "SIGTERM", "drain"), (6.0, "SIGKILL", "pyinit")] == [
        (mark.at, mark.signal, mark.by) for mark in run.processes[2].marks
    ]


def test_no_mark_beyond_a_life():
    """A process that had not begun yet, or had ended, got no signal."""
    sent = [
        event("stop_escalated", at, signal="SIGINT", target="every process") for at in (0.0, 5.0)
    ]
    late, early = seen(3, "late", 2, began=2.0), seen(4, "early", 2, ended=1.0, status=0)
    run = settled([init(6.0, 0), late, early], sent)

    assert [[5.0], [0.0]] == [[mark.at for mark in each.marks] for each in run.processes[1:]]


# The tests below are about the verdict; fates and everything else are given.

ASKED = {"fate": model.ASKED, "signal": "SIGTERM", "is_left": True}
BY_ENGINE = {"fate": model.KILLED_BY_ENGINE, "signal": "SIGKILL"}
BY_INIT = {"fate": model.KILLED_BY_INIT, "signal": "SIGKILL"}
BY_ANOTHER = {"fate": model.KILLED_BY_ANOTHER, "signal": "SIGKILL"}
WITH_PID1 = {"fate": model.KILLED_WITH_PID1, "signal": "SIGKILL", "is_left": True}


def doing(process: Seen, now: Signals, before: Signals | None = None) -> Seen:
    """Set what a process does with signals, at the end and at the stop."""
    process.signals, process.before = now, now if before is None else before
    return process


def judged(everybody, plan=None, **run) -> Run:
    how = {"seconds": 1.0, "code": 143}
    found = run_of(everybody, **how | run)
    verdict.judge(found, plan or Plan(("app",)), everybody)
    return found


LONGER = "use a longer drain (pyinit -d SECONDS) and a grace period longer than that"
CHILD = {"ended": 10.0, **BY_ENGINE}
ALONE = {"name": "app", **CHILD}  # as PID 1
SECOND = {"signal": "SIGTERM", "fate": model.BY_ITSELF}
CASES = {
    "graceful": (
        [init(1.0), child(1.0)],
        {"code": 0},
        (model.GRACEFUL, "the last process exited 1.00 s after SIGTERM, code 0", []),
    ),
    "graceful-with-the-signals-code": (
        [init(1.0), doing(child(1.0, **SECOND), Signals())],
        {},
        (
            model.GRACEFUL,
            (
                "the last process exited 1.00 s after SIGTERM, code 143: app (pid 2) "
                "has no handler "
                "for SIGTERM, so it exits without cleaning up"
            ),
            [],
        ),
    ),
    "graceful-with-helpers-asked": (
        [init(1.0), child(1.0), helper(1.0, **ASKED)],
        {"code": 0},
        (
            model.GRACEFUL,
            (
                "the last process exited 1.00 s after SIGTERM, code 0; helper (pid 3), "
                "left behind by "
                "the child, exited after SIGTERM from pyinit"
            ),
            [],
        ),
    ),
    "graceful-with-many-helpers-asked": (
        [init(1.0), child(1.0), *(seen(n, "h", 2, ended=1.0, **ASKED) for n in range(3, 8))],
        {"code": 0},
        (
            model.GRACEFUL,
            (
                "the last process exited 1.00 s after SIGTERM, code 0; h (pid 3), h "
                "(pid 4), h (pid "
                "5) and 2 more, left behind by the child, exited after SIGTERM from pyinit"
            ),
            [],
        ),
    ),
    "graceful-with-a-load-that-was-over": (
        [init(1.0), child(1.0)],
        {"code": 0, "load": Load("curl", -2.0, -1.0, 0)},
        (
            model.GRACEFUL,
            (
                "the last process exited 1.00 s after SIGTERM, code 0; the load had "
                "finished before "
                "the stop, so no request was in progress"
            ),
            [],
        ),
    ),
    "graceful-with-a-load": (
        [init(1.0), child(1.0)],
        {"code": 0, "load": Load("curl", -2.0, 0.5, 0)},
        (model.GRACEFUL, "the last process exited 1.00 s after SIGTERM, code 0", []),
    ),
    "graceful-as-rewritten": (
        [init(1.0), child(1.0)],
        {"code": 131, "events": [event("signal_forwarded", 0.0, sent="SIGQUIT")]},
        (model.GRACEFUL, "the last process exited 1.00 s after SIGTERM, code 131", []),
    ),
    "graceful-in-time-or-not-seen": (
        [init(9.0), child(9.0)],
        {"code": 0, "seconds": 9.0, "unwatched": 4.5},
        (
            model.GRACEFUL,
            (
                "the last process exited 9.00 s after SIGTERM, code 0; pyinit-rehearse itself did "
                "not run for the last 4.50 s of that (^Z, or a busy machine), so the stop may "
                "have been faster"
            ),
            [],
        ),
    ),
    "slow-in-spite-of-what-was-not-seen": (
        [init(9.0), child(9.0)],
        {"code": 0, "seconds": 9.0, "unwatched": 3.5},
        (model.SLOW, "the stop took 9.00 s of the grace period of 10 s", []),
    ),
    "killed-with-a-reason": (
        [init(10.0, **BY_ENGINE), child(**CHILD, reason="sh (pid 2) waits: use -g")],
        {},
        (
            model.KILLED,
            "sh (pid 2) waits: use -g",
            ['set ENTRYPOINT ["pyinit", "-g", "--"] in the Dockerfile'],
        ),
    ),
    "killed-and-ignores": (
        [init(10.0, **BY_ENGINE), doing(child(**CHILD), IGNORES)],
        {},
        (model.KILLED, "app (pid 2) ignores SIGTERM; handle it in the program", []),
    ),
    "killed-and-blocks": (
        [init(10.0, **BY_ENGINE), doing(child(**CHILD), BLOCKS)],
        {},
        (model.KILLED, "app (pid 2) blocks SIGTERM; handle it in the program", []),
    ),
    "killed-and-handles": (
        [init(10.0, **BY_ENGINE), doing(child(**CHILD), HANDLES)],
        {},
        (
            model.KILLED,
            (
                "app (pid 2) has a handler for SIGTERM, and was still running 10 s later; exit in "
                "the handler, or use a longer grace period if the program needs one"
            ),
            [],
        ),
    ),
    "killed-for-no-reason-that-is-known": (
        [init(10.0, **BY_ENGINE), doing(child(**CHILD), Signals())],
        {},
        (model.KILLED, "app (pid 2) was still running 10 s after SIGTERM", []),
    ),
    "killed-with-a-signal-lost-at-boot": (
        [init(10.0, **BY_ENGINE), doing(child(**CHILD), HANDLES, IGNORES)],
        {},
        (
            model.KILLED,
            (
                "SIGTERM was lost: app (pid 2) still ignored it when it arrived, and set its "
                "handler later; set the handler before anything else"
            ),
            [],
        ),
    ),
    "killed-as-pid-1-with-a-signal-lost-at-boot": (
        [doing(init(**ALONE), HANDLES, Signals())],
        {"init": model.NONE},
        (
            model.KILLED,
            (
                "SIGTERM was lost: app (pid 1) still had no handler for it as PID 1 when it "
                "arrived, and set its handler later; set the handler before anything else"
            ),
            [],
        ),
    ),
    "killed-as-pid-1-without-a-handler": (
        [doing(init(**ALONE), Signals())],
        {"init": model.NONE},
        (
            model.KILLED,
            (
                "app (pid 1) is PID 1 and has no handler for SIGTERM, so the kernel drops it; run "
                "the command under an init, or handle the signal in the program"
            ),
            [],
        ),
    ),
    "killed-what-was-left": (
        [init(10.0, **BY_ENGINE), child(1.0), helper(10.0, **BY_ENGINE)],
        {},
        (
            model.KILLED,
            (
                "helper (pid 3), left behind by the child, did not exit within the grace period of "
                "10 s"
            ),
            [],
        ),
    ),
    "killed-what-was-left-with-a-reason": (
        [
            init(10.0, **BY_ENGINE),
            child(1.0),
            helper(10.0, **BY_ENGINE, reason="give it a handler"),
        ],
        {},
        (
            model.KILLED,
            (
                "helper (pid 3), left behind by the child, did not exit within the grace period of "
                "10 s: give it a handler"
            ),
            ["handle SIGTERM in the program, or set another STOPSIGNAL"],
        ),
    ),
    "killed-the-init-alone": (
        [init(10.0, **BY_ENGINE), child(1.0)],
        {},
        (model.KILLED, "pyinit itself was still running 10 s after SIGTERM", []),
    ),
    "killed-before-the-child-was-seen": (
        [init(10.0, **BY_ENGINE)],
        {},
        (model.KILLED, "pyinit itself was still running 10 s after SIGTERM", []),
    ),
    "lost-the-load": (
        [init(1.0), child(1.0)],
        {"load": Load("curl", -1.0, 1.0, 52)},
        (
            model.LOST,
            "the load failed with code 52: the program exited without serving it",
            ["let the program finish its requests before it exits"],
        ),
    ),
    "lost-the-load-that-waits": (
        [init(1.0), child(1.0)],
        {"load": Load("curl", -1.0, None, None)},
        (
            model.LOST,
            "the load was still waiting for an answer after the program had exited",
            ["let the program finish its requests before it exits"],
        ),
    ),
    "lost-by-the-second-signal": (
        [init(1.0), doing(child(0.55, **SECOND), HANDLES)],
        {"again": 0.5},
        (
            model.LOST,
            (
                "the second SIGTERM killed app (pid 2) while its handler for the first one was "
                "running; let the handler ignore further signals"
            ),
            [],
        ),
    ),
    "lost-to-the-drain": (
        [init(6.0), child(1.0), helper(6.0, **BY_INIT, is_left=True)],
        {},
        (
            model.LOST,
            "helper (pid 3), left behind by the child, did not exit in time, so pyinit killed it",
            [LONGER],
        ),
    ),
    "lost-to-the-drain-unheard": (
        [
            init(6.0),
            child(1.0),
            helper(6.0, **BY_INIT, is_left=True, reason="helper (pid 3) ignores SIGTERM"),
        ],
        {},
        (
            model.LOST,
            (
                "helper (pid 3), left behind by the child, did not exit in time, so pyinit killed "
                "it: helper (pid 3) ignores SIGTERM"
            ),
            [],
        ),
    ),
    "lost-to-kill-after-with-a-reason": (
        [init(6.0), child(6.0, **BY_INIT, reason="send another (-r TERM:QUIT)")],
        {},
        (
            model.LOST,
            "app (pid 2) did not exit in time, so pyinit killed it: send another (-r TERM:QUIT)",
            ["set STOPSIGNAL SIGQUIT in the Dockerfile"],
        ),
    ),
    "lost-two-to-the-drain": (
        [init(6.0), child(1.0), *(seen(n, "h", 2, ended=6.0, **BY_INIT) for n in (3, 4))],
        {},
        (model.LOST, "h (pid 3) and h (pid 4) did not exit in time, so pyinit killed them", []),
    ),
    "lost-to-another": (
        [init(1.0), child(1.0), helper(0.25, **BY_ANOTHER)],
        {},
        (
            model.LOST,
            (
                "helper (pid 3) got SIGKILL 0.25 s after SIGTERM, but not from pyinit or the "
                "engine: another process in the container sent it, or memory ran out"
            ),
            [],
        ),
    ),
    "lost-with-pid-1": (
        [init(1.0, name="tini"), child(1.0), helper(1.0, **WITH_PID1)],
        {"init": "tini"},
        (
            model.LOST,
            (
                "helper (pid 3) got SIGKILL from the kernel, because tini exits as soon as its "
                "child does"
            ),
            ['set ENTRYPOINT ["pyinit", "--"] in the Dockerfile'],
        ),
    ),
    "lost-two-with-pid-1": (
        [init(1.0, name="app"), *(seen(n, "h", 1, ended=1.0, **WITH_PID1) for n in (3, 4))],
        {"init": model.NONE},
        (
            model.LOST,
            (
                "h (pid 3) and h (pid 4) got SIGKILL from the kernel, because PID 1, the command "
                "itself, exited"
            ),
            ['set ENTRYPOINT ["pyinit", "--"] in the Dockerfile'],
        ),
    ),
    "untidy-pid-file": (
        [init(1.0), child(1.0)],
        {"leaks": [Leak("PID file", "/run/a.pid", "a word"), Leak("socket", "/run/s")]},
        (
            model.UNTIDY,
            "the program left a PID file behind: /run/a.pid (a word), and 1 more",
            ["remove the file before the program exits, or keep it in a tmpfs"],
        ),
    ),
    "untidy-system-v": (
        [init(1.0), child(1.0)],
        {"leaks": [Leak("System V shared memory", "segment 0", "1 bytes")]},
        (
            model.UNTIDY,
            "the program left System V shared memory behind: segment 0 (1 bytes)",
            ["unlink the shared memory before the program exits"],
        ),
    ),
    "untidy-posix": (
        [init(1.0), child(1.0)],
        {
            "leaks": [
                Leak("file", "/tmp/x", counts=False),
                Leak("POSIX shared memory", "/dev/shm/a"),
            ]
        },
        (
            model.UNTIDY,
            "the program left POSIX shared memory behind: /dev/shm/a",
            ["unlink the shared memory before the program exits"],
        ),
    ),
    "a-file-is-no-leak": (
        [init(1.0), child(1.0)],
        {"code": 0, "leaks": [Leak("file", "/tmp/x", counts=False)]},
        (model.GRACEFUL, "the last process exited 1.00 s after SIGTERM, code 0", []),
    ),
    "lost-by-a-server-that-has-a-better-signal": (
        [init(1.0), child(1.0, name="nginx")],
        {"load": Load("curl", -1.0, 0.5, 52)},
        (
            model.LOST,
            "the load failed with code 52: the program exited without serving it",
            ["set STOPSIGNAL SIGQUIT in the Dockerfile"],
        ),
    ),
    "lost-to-the-drain-without-a-handler": (
        [
            init(6.0),
            child(1.0),
            helper(6.0, **BY_INIT, is_left=True, reason="it ignores SIGTERM: use -a"),
        ],
        {},
        (
            model.LOST,
            (
                "helper (pid 3), left behind by the child, did not exit in time, so pyinit killed "
                "it: it ignores SIGTERM: use -a"
            ),
            ['set ENTRYPOINT ["pyinit", "-a", "--"] in the Dockerfile'],
        ),
    ),
    "crashed": (
        [init(1.0), child(1.0), helper(0.5, signal="SIGSEGV", fate=model.BY_ITSELF)],
        {"code": 0},
        (model.FAILED, "helper (pid 3) crashed with SIGSEGV after SIGTERM", []),
    ),
    "crashed-before": (
        [init(1.0), child(1.0), helper(-0.5, signal="SIGSEGV", fate=model.BY_ITSELF)],
        {"code": 0},
        (model.GRACEFUL, "the last process exited 1.00 s after SIGTERM, code 0", []),
    ),
    "failed": (
        [init(1.0), child(1.0)],
        {"code": 1},
        (
            model.FAILED,
            (
                "the exit code after SIGTERM was 1, which means failure; exit with 0, or use "
                "--expect 1 if that code is right"
            ),
            [],
        ),
    ),
    "slow": (
        [init(6.0), child(6.0)],
        {"seconds": 6.0},
        (
            model.SLOW,
            "the stop took 6.00 s of the grace period of 10 s",
            ["use docker stop --timeout 9, or terminationGracePeriodSeconds: 9 in Kubernetes"],
        ),
    ),
    "slow-with-a-reason": (
        [init(6.0), child(6.0, reason="the last command, with `exec`")],
        {"seconds": 6.0},
        (
            model.SLOW,
            "the stop took 6.00 s of the grace period of 10 s: the last command, with `exec`",
            [
                "begin the last command of the script with `exec`",
                "use docker stop --timeout 9, or terminationGracePeriodSeconds: 9 in Kubernetes",
            ],
        ),
    ),
}


@pytest.mark.parametrize(("everybody", "run", "expected"), CASES.values(), ids=CASES)
def test_verdict(everybody, run, expected):
    """The verdict, the cause in a sentence, and what to change."""
    found = judged(everybody, **run)

    assert expected == (found.verdict, found.cause, found.advice)


@pytest.mark.parametrize("code", [0, 1])
def test_code_that_is_expected(code):
    """With --expect no other code is right, not even 0."""
    plan, everybody = Plan(("app",), expected_code=143), [init(1.0), child(1.0)]
    found = judged(everybody, plan, code=code)

    assert judged(everybody, plan, code=143).is_graceful
    assert model.FAILED == found.verdict
    assert f"the exit code was {code}, not 143 as expected (--expect)" == found.cause


def test_code_of_the_stop_signal_that_was_asked_for():
    """128 and the number of the signal that was sent is right, that of another signal is not."""
    plan = Plan(("app",), signal=signal.SIGQUIT)
    verdicts = [judged([init(1.0), child(1.0)], plan, code=code).verdict for code in (131, 143)]

    assert [model.GRACEFUL, model.FAILED] == verdicts


NOT_CUT_SHORT = {
    "once": (child(0.55, **SECOND), HANDLES, {}),
    "long-after": (child(2.0, **SECOND), HANDLES, {"again": 0.5}),
    "long-before": (child(0.1, **SECOND), HANDLES, {"again": 0.5}),
    "by-itself": (child(0.55, code=0, fate=model.BY_ITSELF), HANDLES, {"again": 0.5}),
    "without-a-handler": (child(0.55, **SECOND), Signals(), {"again": 0.5}),
    "never": (child(), HANDLES, {"again": 0.5}),
}


@pytest.mark.parametrize(("process", "now", "run"), NOT_CUT_SHORT.values(), ids=NOT_CUT_SHORT)
def test_second_signal_that_cut_nothing_short(process, now, run):
    """A second stop signal is the cause only if it killed the child in its handler."""
    assert judged([init(1.0), doing(process, now)], **run).is_graceful


def test_who_was_killed_before_the_stop_does_not_count():
    """A helper that was killed before the stop does not matter."""
    assert judged([init(1.0), child(1.0), helper(-0.5, **BY_ANOTHER)]).is_graceful


def test_second_signal_that_came_to_nothing():
    """The cause says that the second signal was not sent."""
    plan = Plan(("app",), twice=True)
    causes = [judged([init(1.0), child(1.0)], plan, again=again).cause for again in (None, 0.5)]

    assert [True, False] == ["it had exited before the second SIGTERM" in cause for cause in causes]


def test_nobody_to_be_judged():
    """A run without processes gets a verdict as well."""
    assert judged([], init=model.NONE).is_graceful


def test_the_worst_counts():
    """The worst of several faults is the verdict."""
    everybody = [init(10.0, **BY_ENGINE), child(**CHILD), helper(0.5, **BY_ANOTHER)]
    bad = {
        "code": 1,
        "seconds": 10.0,
        "leaks": [Leak("socket", "/run/s")],
        "load": Load("curl", -1.0, 1.0, 1),
    }
    found = []
    for better in ({}, {"load": None}, {"leaks": []}, {"code": 0}, {"seconds": 1.0}):
        bad |= better
        if better:
            everybody = [init(1.0), child(1.0)]
        if better == {"load": None}:
            everybody.append(helper(0.5, **BY_ANOTHER))
        found.append(judged(everybody, **bad).verdict)

    assert [model.KILLED, model.LOST, model.FAILED, model.SLOW, model.GRACEFUL] == found


@pytest.mark.parametrize(
    ("seconds", "enough"), [(0.001, 1), (0.7, 2), (4.0, 6), (8.1, 13)], ids=str
)
def test_grace_period_that_is_enough(seconds, enough):
    """One and a half times what it took, in whole seconds; none if it was killed."""
    bad = [init(6.0), child(1.0), helper(6.0, **BY_INIT)]  # how long it would have run is not known

    assert enough == judged([init(1.0), child(1.0)], seconds=seconds).enough
    assert judged([init(10.0, **BY_ENGINE), child(**CHILD)], seconds=seconds).enough is None
    assert judged(bad, seconds=seconds).enough is None


def test_every_verdict_is_reached():
    """Each verdict and each fate has a case."""
    assert set(model.VERDICTS) == {expected[0] for *_, expected in CASES.values()}
    assert set(model.FATES) == {expected[0] for *_, expected in FATES.values()} - {None} | {
        model.KILLED_WITH_PID1
    }


def test_causes_are_one_sentence():
    """No line break, no full stop, nothing doubled."""
    for everybody, run, _ in CASES.values():
        cause = judged(everybody, **run).cause
        assert re.fullmatch(r"\S.*[^.\s]", cause), cause
        assert "  " not in cause
