"""The sentence that says why a process does not stop: each rule, and which comes first."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyinit.later import causes
from pyinit.lifecycle import EVERYONE, GROUP
from pyinit.later.slow_stop import Subject
from pyinit.later.stacks.frames import Frame
from pyinit.later.verdicts import Process, Thread
from pyinit.later.waits import Wait

SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGTERM, SIGSTOP = 1, 2, 3, 10, 15, 19
LIBRARY = "/usr/lib/python3.11"
PACKAGES = "/usr/local/lib/python3.11/site-packages"
NONE = frozenset()
SHUTDOWN = Frame(f"{LIBRARY}/threading.py", 1590, "_shutdown")
JOIN = Frame(f"{LIBRARY}/threading.py", 1119, "Thread.join")
BOOTSTRAP = Frame(f"{LIBRARY}/threading.py", 1002, "Thread._bootstrap")
SELECT = Frame(f"{LIBRARY}/selectors.py", 468, "EpollSelector.select")
HANDLE = Frame(f"{LIBRARY}/asyncio/events.py", 80, "Handle._run")


def at(line=7, function="work", file="/app/app.py", **marks):
    frame = Frame(file, line, function)
    for mark, value in marks.items():
        setattr(frame, mark, value)
    return frame


MAIN = at(1, "<module>")


def make(  # noqa: PLR0913 - the facts that count
    pid=2,
    name="python3",
    *,
    parent=1,
    group=2,
    age=7.0,
    state="S",
    caught=(SIGTERM,),
    ignored=(),
    blocked=(),
    pending=(),
    awaited=(),
    tracer=0,
    is_init=False,
    is_alive=True,
    wait=None,
    stack=(),
    threads=(),
):
    """Return a process as a look would find it."""
    subject = object.__new__(Subject)
    subject.pid, subject.parent, subject.name, subject.state = pid, parent, name, state
    subject.group, subject.began, subject.unread, subject.is_alive = group, -age, "", is_alive
    subject.wait = wait or Wait("futex")
    subject.stacks = {pid: list(stack)} if stack else {}
    subject.stacks |= {100 + number: list(each) for number, each in enumerate(threads)}
    awaits = frozenset(awaited)
    thread = Thread(pid, state, tracer, frozenset(blocked), NONE, awaits, waits=bool(awaits))
    others = (thread._replace(tid=99, state="S"),) if state == "Z" else ()
    subject.process = Process(
        pid=pid,
        namespace_pid=1 if is_init else pid,
        name=name,
        state=state,
        is_machines_init=False,
        in_orphaned_group=True,
        ignored=frozenset(ignored),
        caught=frozenset(caught),
        pending=frozenset(pending),
        threads=(thread, *others),
    )
    return subject


def running():
    wait = Wait()
    wait.is_running = True
    return wait


def explain(subject, *others, signum=SIGTERM, ago=-float("inf"), **how):
    return causes.explain(subject, others, signum, asked_at=-ago, **how)


def unseen(subject):
    """Return a process of which there was no time to see what it does with signals."""
    subject.process = None
    return subject


CHILD = {"pid": 3, "parent": 2, "caught": ()}
ENDS = "; raise an exception in the handler, or set a time limit there"
SENTENCES = {
    # 1. No signal gets to it.
    "traced": (
        explain(make(state="t", tracer=9, ignored=(SIGTERM,))),
        (
            "python3 (pid 2) is traced by pid 9, which has stopped it; continue it there, or end "
            "the tracer"
        ),
    ),
    "stopped": (
        explain(make(state="T", ignored=(SIGTERM,))),
        (
            "python3 (pid 2) is stopped, so SIGTERM has no effect until it is continued; run "
            "kill -CONT 2"
        ),
    ),
    "stopped by -r": (
        explain(make(state="T"), signum=SIGSTOP, came=SIGTERM),
        (
            "python3 (pid 2) is stopped: it got SIGSTOP in place of SIGTERM (-r), and SIGSTOP "
            "does not end a process; use another signal with -r"
        ),
    ),
    "uninterruptible": (
        explain(make(state="D", wait=Wait("openat", "/mnt/x"), stack=[at(), MAIN])),
        (
            "python3 (pid 2) is in an uninterruptible wait (openat on /mnt/x), at /app/app.py:7 "
            "work, so SIGTERM has no effect until that is over; check whether a disk or a file "
            "server does not respond"
        ),
    ),
    "vfork": (
        explain(
            make(state="D", wait=Wait("vfork")),
            make(**CHILD, wait=Wait("openat", "/app/fifo")),
        ),
        (
            "python3 (pid 2) waits until its new child runs a program (exec): python3 (pid 3) is "
            "in openat on /app/fifo"
        ),
    ),
    "traced and not held: that is not the cause": (
        explain(make(tracer=9, caught=(), ignored=(SIGTERM,), name="app")),
        "app (pid 2) ignores SIGTERM; add a handler for it, or send SIGINT instead (-r TERM:INT)",
    ),
    # 2. It does not hear the signal.
    "dropped": (
        explain(make(caught=(), is_init=True)),
        (
            "python3 (pid 2) is PID 1 of its own PID namespace and has no handler for SIGTERM, "
            "so the kernel drops that signal; run it under its own init, or give it a handler"
        ),
    ),
    "ignored": (
        explain(make(caught=(), ignored=(SIGTERM, SIGINT))),
        (
            "python3 (pid 2) ignores SIGTERM; add a handler for it, or send SIGQUIT instead (-r "
            "TERM:QUIT)"
        ),
    ),
    "ignored, and sent in place of another": (
        explain(make(caught=(), ignored=(SIGINT,)), signum=SIGINT, came=SIGTERM),
        (
            "python3 (pid 2) ignores SIGINT; add a handler for it, or send SIGQUIT instead (-r "
            "TERM:QUIT)"
        ),
    ),
    "blocked": (
        explain(make(blocked=(SIGTERM,), pending=(SIGTERM,))),
        (
            "python3 (pid 2) blocks SIGTERM; unblock it in the program, or send SIGINT instead "
            "(-r TERM:INT)"
        ),
    ),
    "all that could be sent is ignored": (
        explain(make(caught=(), ignored=(SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1))),
        (
            "python3 (pid 2) ignores SIGTERM; add a handler for it, or have pyinit kill it after "
            "a time limit (-k SECONDS)"
        ),
    ),
    "an interactive shell": (
        explain(make(name="bash", caught=(), ignored=(SIGTERM,))),
        "bash (pid 2) ignores SIGTERM; add a handler for it, or send SIGHUP instead (-r TERM:HUP)",
    ),
    "deaf, and waits for one that is deaf for another reason": (
        explain(
            make(
                name="unshare",
                caught=(),
                blocked=(SIGTERM,),
                pending=(SIGTERM,),
                wait=Wait("wait4", pid=3),
            ),
            make(**CHILD, name="sh", is_init=True),
        ),
        (
            "unshare (pid 2) blocks SIGTERM and waits for sh (pid 3), which is PID 1 of its "
            "own PID namespace and has no handler for SIGTERM, so the kernel drops that signal; "
            "run it under its own init, or give it a handler"
        ),
    ),
    "deaf, and waits for one that has it from there": (
        explain(
            make(name="sh", caught=(), ignored=(SIGTERM,), wait=Wait("wait4", pid=3)),
            make(**CHILD, name="sleep", ignored=(SIGTERM,)),
        ),
        "sh (pid 2) ignores SIGTERM; add a handler for it, or send SIGHUP instead (-r TERM:HUP)",
    ),
    "one below that blocks it: whether it got one is not known": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="app", blocked=(SIGTERM,)),
        ),
        (
            "sh (pid 2) waits for app (pid 3), which blocks SIGTERM; unblock it in the "
            "program, or send it SIGINT instead"
        ),
    ),
    "sigwait has taken it": (
        explain(make(caught=(), blocked=(SIGTERM,), stack=[at(), MAIN])),
        (
            "python3 (pid 2) got SIGTERM but continues at /app/app.py:7 work (futex); stop that, "
            "or set a time limit there"
        ),
    ),
    "timeout(1), which ignores what it has passed on": (
        explain(
            make(name="timeout", ignored=(SIGTERM,), caught=(), wait=Wait("rt_sigsuspend")),
            make(pid=3, parent=2, stack=[at(), MAIN]),
        ),
        (
            "timeout (pid 2) waits for python3 (pid 3), which has a handler for "
            f"SIGTERM but continues at /app/app.py:7 work (futex){ENDS}"
        ),
    ),
    "a pyinit below pyinit": (
        explain(
            make(name="pyinit", awaited=(SIGTERM,), caught=(), wait=Wait("rt_sigtimedwait")),
            make(pid=3, parent=2, name="sh", caught=(), ignored=(SIGTERM,)),
        ),
        (
            "pyinit (pid 2) waits for sh (pid 3), which ignores SIGTERM; add a handler for "
            "it, or send it SIGHUP instead"
        ),
    ),
    "an init that reads signals from a descriptor": (
        explain(
            make(name="catatonit", caught=(), blocked=(SIGTERM,), wait=Wait("read", "signalfd")),
            make(pid=3, parent=2, name="sh", caught=(), ignored=(SIGTERM,)),
        ),
        (
            "catatonit (pid 2) waits for sh (pid 3), which ignores SIGTERM; add a handler "
            "for it, or send it SIGHUP instead"
        ),
    ),
    # 3. Its handler has not returned.
    "in a handler that is not Python's": (
        explain(make(name="app", blocked=(SIGTERM,), wait=Wait("pause"))),
        (
            "a signal handler of app (pid 2) seems not to have returned (pause); in the handler, "
            "only set a flag or exit"
        ),
    ),
    "in such a handler, and waits for a child": (
        explain(
            make(name="app", blocked=(SIGTERM,), wait=Wait("wait4", pid=3)),
            make(**CHILD, name="sleep"),
        ),
        (
            "a signal handler of app (pid 2) seems not to have returned and waits for sleep (pid "
            "3), which did not get SIGTERM; forward SIGTERM before waiting"
        ),
    ),
    "in its handler": (
        explain(make(stack=[JOIN, at(9, "stop", is_handler=True), at(), MAIN], threads=[[at()]])),
        (
            "a signal handler of python3 (pid 2) has not returned and is at /app/app.py:9 stop "
            "(futex); in the handler, only set a flag or raise an exception"
        ),
    ),
    "in its handler, and waits for a child": (
        explain(
            make(stack=[at(9, "stop", is_handler=True), MAIN], wait=Wait("wait4", pid=3)),
            make(**CHILD, name="app"),
        ),
        (
            "a signal handler of python3 (pid 2) has not returned and waits for app (pid 3), "
            "which did not get SIGTERM; forward SIGTERM before waiting"
        ),
    ),
    # 4. It waits for another process.
    "a shell with a trap": (
        explain(make(name="sh", wait=Wait("wait4", pid=0)), make(**CHILD, name="sleep")),
        (
            "sh (pid 2) waits for sleep (pid 3), which did not get SIGTERM, and a shell runs a "
            "trap only after its command has exited; begin the last command of the script with "
            "`exec`, or use -g so that both get SIGTERM"
        ),
    ),
    "one of several": (
        explain(
            make(name="app", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="one", state="T"),
            make(pid=4, parent=2, name="two"),
        ),
        (
            "app (pid 2) waits for one of its 2 children, one (pid 3), which is stopped, "
            "so SIGTERM has no effect until it is continued; run kill -CONT 3"
        ),
    ),
    "any of several": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(**CHILD, name="sleep"),
            make(pid=4, parent=2, caught=(), name="flock"),
            make(pid=5, parent=2, caught=(), group=5, name="agent"),
        ),
        (
            "sh (pid 2) waits for one of its 3 children, sleep (pid 3) or flock (pid 4), which "
            "did not get SIGTERM, and a shell runs a trap only after its command has exited; "
            "begin the last command of the script with `exec`, or use -g so that both get SIGTERM"
        ),
    ),
    "not for a daemon": (
        explain(
            make(name="app", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, group=3, name="agent"),
            make(pid=4, parent=2, name="sleep", caught=(), ignored=(SIGTERM,)),
        ),
        (
            "app (pid 2) waits for one of its 2 children, sleep (pid 4), which ignores "
            "SIGTERM; add a handler for it, or send it SIGINT instead"
        ),
    ),
    "another parent": (
        explain(
            make(stack=[at(), MAIN], wait=Wait("wait4", pid=3)),
            make(**CHILD, name="app", stack=[at(5), MAIN]),
            make(pid=4, parent=2, name="other", caught=()),
        ),
        (
            "python3 (pid 2) waits for app (pid 3), which did not get SIGTERM, at /app/app.py:5 "
            "work; make python3 (pid 2) forward it, or use -g so that both get SIGTERM"
        ),
    ),
    "one below that is busy": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, stack=[at(), MAIN], wait=running()),
        ),
        (
            "sh (pid 2) waits for python3 (pid 3), which did not get SIGTERM, or "
            "continues after its handler, at /app/app.py:7 work; make its parent forward it, or "
            "use -g"
        ),
    ),
    "a chain": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="sh", wait=Wait("wait4", pid=0)),
            make(pid=4, parent=3, name="app", state="T"),
        ),
        (
            "sh (pid 2) waits for sh (pid 3), which waits for app (pid 4), which is "
            "stopped, so SIGTERM has no effect until it is continued; run kill -CONT 4"
        ),
    ),
    "it is not known whether that got it": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="app", wait=Wait("epoll_wait", "a pipe")),
        ),
        (
            "sh (pid 2) waits for app (pid 3), which did not get SIGTERM, or continues "
            "after its handler (epoll_wait on a pipe); make its parent forward it, or use -g"
        ),
    ),
    "one below that ignores it": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="app", caught=(), ignored=(SIGTERM,)),
        ),
        (
            "sh (pid 2) waits for app (pid 3), which ignores SIGTERM; add a handler for "
            "it, or send it SIGINT instead"
        ),
    ),
    "a shell with a trap and a loop": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)), make(**CHILD, name="sleep", age=1.0), ago=5
        ),
        (
            "sh (pid 2) waits for sleep (pid 3), which started after SIGTERM: the trap started "
            "it, or the program continued after the trap; end the trap with exit"
        ),
    ),
    "a trap that runs a program, beside another one": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(**CHILD, name="app"),
            make(pid=4, parent=2, caught=(), name="cleanup", age=1.0),
            ago=5,
        ),
        (
            "sh (pid 2) waits for one of its 2 children, cleanup (pid 4), which started after "
            "SIGTERM: the trap started it, or the program continued after the trap; end the trap "
            "with exit"
        ),
    ),
    "a command in the foreground, which began last": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="sh", wait=Wait("wait4", pid=0), age=6.0),
            make(pid=4, parent=2, caught=(), name="sleep", age=5.5),
            make(pid=5, parent=3, caught=(), name="sleep", age=1.0),
            ago=5,
        ),
        (
            "sh (pid 2) waits for one of its 2 children, sleep (pid 4), which did not get SIGTERM, "
            "and a shell runs a trap only after its command has exited; begin the last command of "
            "the script with `exec`, or use -g so that both get SIGTERM"
        ),
    ),
    "a shell below, which did not get the signal and goes on": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=3)),
            make(pid=3, parent=2, name="sh", wait=Wait("wait4", pid=4), age=6.0),
            make(pid=4, parent=3, caught=(), name="sleep", age=1.0),
            ago=5,
        ),
        (
            "sh (pid 2) waits for sh (pid 3), which waits for sleep (pid 4), which started "
            "after SIGTERM: sh (pid 3) did not get SIGTERM, or continued after its trap; make its "
            "parent forward it, or use -g"
        ),
    ),
    "a handler that runs a program": (
        explain(
            make(stack=[at(9, "stop", is_handler=True), MAIN], wait=Wait("wait4", pid=3)),
            make(**CHILD, name="cleanup", age=5.0),
            ago=5,
        ),
        (
            "a signal handler of python3 (pid 2) has not returned and waits for cleanup (pid 3), "
            "which started after SIGTERM"
        ),
    ),
    "a thread beside a new child": (
        explain(
            make(stack=[JOIN, MAIN], threads=[[at(3)]]), make(**CHILD, name="app", age=1), ago=5
        ),
        (
            "python3 (pid 2) waits for one of its own threads, which is at /app/app.py:3 work, "
            "and its child app (pid 3) started after SIGTERM"
        ),
    ),
    "a child that began before": (
        explain(
            make(stack=[at(), MAIN], wait=Wait("wait4", pid=3)),
            make(**CHILD, name="app", age=5.02),
            ago=5,
        ),
        (
            "python3 (pid 2) waits for app (pid 3), which did not get SIGTERM; make python3 (pid "
            "2) forward it, or use -g so that both get SIGTERM"
        ),
    ),
    "-g, in another group": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(**CHILD, group=3, name="sleep"),
            target=GROUP,
        ),
        (
            "sh (pid 2) waits for sleep (pid 3), which did not get SIGTERM, and a shell runs a "
            "trap only after its command has exited; begin the last command of the script with "
            "`exec`, or use -a so that both get SIGTERM"
        ),
    ),
    "a trap that runs a program at once, as it seems": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(**CHILD, name="app"),
            make(pid=4, parent=2, caught=(), name="cleanup", age=5.005),
            ago=5,
        ),
        (
            "sh (pid 2) waits for one of its 2 children, cleanup (pid 4), which did not get "
            "SIGTERM, and which started when SIGTERM came; if the trap started it, end the trap "
            "with exit; otherwise use -g so that both get SIGTERM"
        ),
    ),
    "-g, and it began in the same tick": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(**CHILD, name="sleep", age=5.005),
            target=GROUP,
            ago=5,
        ),
        (
            "sh (pid 2) waits for sleep (pid 3), which started after SIGTERM: the trap started "
            "it, or the program continued after the trap; end the trap with exit"
        ),
    ),
    "in another group": (
        explain(make(name="bash", wait=Wait("wait4", pid=0)), make(**CHILD, group=3, name="sleep")),
        (
            "bash (pid 2) waits for sleep (pid 3), which did not get SIGTERM, and a shell runs a "
            "trap only after its command has exited; begin the last command of the script with "
            "`exec`, or use -a so that both get SIGTERM"
        ),
    ),
    "-g, and it goes on": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, name="app", wait=Wait("epoll_wait")),
            target=GROUP,
        ),
        (
            "sh (pid 2) waits for app (pid 3), which has a handler for SIGTERM but "
            "continues (epoll_wait); exit in the handler"
        ),
    ),
    "-a, and it goes on": (
        explain(
            make(name="sh", wait=Wait("wait4", pid=0)),
            make(pid=3, parent=2, group=3, name="app", wait=Wait("epoll_wait")),
            target=EVERYONE,
        ),
        (
            "sh (pid 2) waits for app (pid 3), which has a handler for SIGTERM but "
            "continues (epoll_wait); exit in the handler"
        ),
    ),
    "no time to look at one below": (
        explain(make(name="sh", wait=Wait("wait4", pid=0)), unseen(make(**CHILD, name="app"))),
        "sh (pid 2) waits for app (pid 3), which continues (futex)",
    ),
    "deaf, and no time to look at one below": (
        explain(
            make(name="sh", caught=(), ignored=(SIGTERM,), wait=Wait("wait4", pid=3)),
            unseen(make(**CHILD, name="app")),
        ),
        "sh (pid 2) ignores SIGTERM; add a handler for it, or send SIGHUP instead (-r TERM:HUP)",
    ),
    "its only child, by the pid of another namespace": (
        explain(make(name="init", wait=Wait("wait4", pid=2)), make(**CHILD, name="app")),
        (
            "init (pid 2) waits for app (pid 3), which did not get SIGTERM; make init (pid 2) "
            "forward it, or use -g so that both get SIGTERM"
        ),
    ),
    # 5. It waits for a thread of its own.
    "a non-daemon thread": (
        explain(make(stack=[SHUTDOWN], threads=[[at(), BOOTSTRAP]])),
        (
            "python3 (pid 2) has finished its main thread and waits for a non-daemon thread, "
            "which is at /app/app.py:7 work; stop that thread, or make it a daemon thread"
        ),
    ),
    "one of several threads": (
        explain(make(stack=[SHUTDOWN], threads=[[at(3)], [BOOTSTRAP], [at(5)]])),
        (
            "python3 (pid 2) has finished its main thread and waits for a non-daemon thread, one "
            "of 3, at /app/app.py:3 work, /app/app.py:5 work; stop that thread, or make it a "
            "daemon thread"
        ),
    ),
    "many threads that do the same": (
        explain(make(stack=[SHUTDOWN], threads=[[at(3)]] * 9 + [[at(5)]])),
        (
            "python3 (pid 2) has finished its main thread and waits for a non-daemon thread, one "
            "of 10, at /app/app.py:3 work, /app/app.py:5 work; stop that thread, or make it a "
            "daemon thread"
        ),
    ),
    "a thread that is joined": (
        explain(make(stack=[JOIN, at(), MAIN], threads=[[JOIN, at(3)], [at(5), BOOTSTRAP]])),
        (
            "python3 (pid 2) waits for one of its own threads, which is at /app/app.py:5 work; "
            "end that thread first"
        ),
    ),
    "a pool of processes": (
        explain(
            make(stack=[JOIN, MAIN], threads=[[BOOTSTRAP], [BOOTSTRAP]]),
            make(pid=3, parent=2, stack=[at(), MAIN]),
        ),
        (
            "python3 (pid 2) waits for one of its own threads, and its child python3 (pid 3) is "
            "at /app/app.py:7 work"
        ),
    ),
    "a function of the program with that name": (
        explain(make(stack=[at(3, "_shutdown"), MAIN], threads=[[at(5)]])),
        (
            "python3 (pid 2) has a handler for SIGTERM but continues at /app/app.py:3 _shutdown "
            f"(futex){ENDS}"
        ),
    ),
    # 6. It continues.
    "awaits": (
        explain(make(stack=[at(is_awaiting=True), SELECT, MAIN], wait=Wait("epoll_wait"))),
        (
            "python3 (pid 2) has a handler for SIGTERM but continues, because its event loop "
            "awaits at /app/app.py:7 work; cancel that task, or set a time limit there"
        ),
    ),
    "holds up its loop": (
        explain(make(stack=[at(), HANDLE, MAIN], wait=Wait("clock_nanosleep"))),
        (
            "python3 (pid 2) blocks its event loop at /app/app.py:7 work (clock_nanosleep), and "
            "the loop runs its signal handlers only after that; use await or a thread there"
        ),
    ),
    "in C": (
        explain(make(stack=[at(is_deaf=True), MAIN], wait=running())),
        (
            "python3 (pid 2) is in a call into C that has not returned, at /app/app.py:7 work, "
            "and Python runs its signal handler only after that; make it shorter"
        ),
    ),
    "in C, it or another thread": (
        explain(make(stack=[at(is_deaf=True), MAIN], threads=[[at(3), BOOTSTRAP]])),
        (
            "python3 (pid 2) is in a call into C that has not returned, at /app/app.py:7 work "
            "(futex), or another thread holds the GIL in such a call, which is at /app/app.py:3 "
            "work, and Python runs its signal handler only after that; make it shorter"
        ),
    ),
    "busy": (
        explain(make(stack=[at(), MAIN], wait=running())),
        (
            "python3 (pid 2) has a handler for SIGTERM but is busy at /app/app.py:7 work; raise "
            "an exception in the handler, or check its flag there"
        ),
    ),
    "a hook at its end": (
        explain(make(stack=[at(3, "flush")])),
        (
            "python3 (pid 2) seems to be exiting, in an atexit hook or a destructor, at "
            "/app/app.py:3 flush (futex); set a time limit there"
        ),
    ),
    "a stack that grows from elsewhere, in a program that is not python": (
        explain(make(name="uwsgi", stack=[at(3, "flush")])),
        (
            "uwsgi (pid 2) has a handler for SIGTERM but continues at /app/app.py:3 flush "
            f"(futex){ENDS}"
        ),
    ),
    "a stack that grows from a package": (
        explain(make(stack=[at(3, "run", f"{PACKAGES}/hub.py")])),
        (
            f"python3 (pid 2) has a handler for SIGTERM but continues at {PACKAGES}/hub.py:3 run "
            f"(futex){ENDS}"
        ),
    ),
    "the hub of gevent": (
        explain(
            make(
                stack=[at(3, "Hub.run", f"{PACKAGES}/gevent/hub.py")],
                wait=Wait("epoll_wait", "eventfd"),
            )
        ),
        (
            "python3 (pid 2) has a handler for SIGTERM but continues, because its greenlets "
            "(gevent) wait (epoll_wait on eventfd), at lines that pyinit cannot see; end them in "
            "the signal handler"
        ),
    ),
    "a greenlet of gevent that does not wait": (
        explain(make(stack=[at(), at(3, "Greenlet.run", f"{PACKAGES}/gevent/greenlet.py")])),
        (
            "python3 (pid 2) has a handler for SIGTERM but continues at /app/app.py:7 work "
            f"(futex){ENDS}"
        ),
    ),
    "a line": (
        explain(make(stack=[JOIN, at(), MAIN], wait=Wait("recvfrom", "socket 10.0.0.7:5432"))),
        (
            "python3 (pid 2) has a handler for SIGTERM but continues at /app/app.py:7 work "
            f"(recvfrom on socket 10.0.0.7:5432){ENDS}"
        ),
    ),
    "a master and its workers": (
        explain(
            make(stack=[at(3, "stop", f"{PACKAGES}/arbiter.py"), MAIN]),
            make(pid=3, parent=2, stack=[at(2, "main", f"{LIBRARY}/multiprocessing/tracker.py")]),
            make(pid=4, parent=2, name="cat"),
            make(pid=5, parent=2, stack=[at(), MAIN]),
        ),
        (
            f"python3 (pid 2) has a handler for SIGTERM but continues at {PACKAGES}/arbiter.py:3 "
            "stop (futex), and one of its 2 children, python3 (pid 5), is at /app/app.py:7 work"
        ),
    ),
    "a reader and its child": (
        explain(
            make(stack=[at(), MAIN], wait=Wait("read", "a pipe")),
            make(**CHILD, name="tail"),
            target=GROUP,
        ),
        (
            "python3 (pid 2) has a handler for SIGTERM but continues at /app/app.py:7 work (read "
            "on a pipe), and its child tail (pid 3) did not get SIGTERM; raise an exception in "
            "the handler, or forward SIGTERM to the child (-a)"
        ),
    ),
    "it has taken it otherwise, and its child did not get it": (
        explain(
            make(name="app", caught=(), awaited=(SIGTERM,), wait=Wait("rt_sigtimedwait")),
            make(**CHILD, name="sleep"),
        ),
        (
            "app (pid 2) continues (rt_sigtimedwait), and its child sleep (pid 3) did not get "
            "SIGTERM; forward SIGTERM to the child (-g)"
        ),
    ),
    "more children than are looked at": (
        explain(
            make(name="app", wait=Wait("pause")),
            *(make(pid=pid, parent=2, caught=()) for pid in range(3, 19)),
        ),
        (
            "app (pid 2) has a handler for SIGTERM but continues (pause), and one of its 16 or "
            "more children, python3 (pid 3), did not get SIGTERM; exit in the handler, or "
            "forward SIGTERM to the child (-g)"
        ),
    ),
    "a child that hangs in its handler": (
        explain(
            make(name="master", wait=Wait("rt_sigsuspend")),
            make(pid=3, parent=2, stack=[at(9, "stop", is_handler=True), MAIN]),
        ),
        (
            "master (pid 2) has a handler for SIGTERM but continues (rt_sigsuspend), and its "
            "child does not exit: a signal handler of python3 (pid 3) has not returned and is at "
            "/app/app.py:9 stop (futex); in the handler, only set a flag or raise an exception"
        ),
    ),
    "nothing is known but that it has a handler": (
        explain(make(name="app", wait=Wait())),
        "app (pid 2) has a handler for SIGTERM but continues; exit in the handler",
    ),
    "it takes signals by sigwait": (
        explain(make(name="app", caught=(), awaited=(SIGTERM,), wait=Wait("rt_sigtimedwait"))),
        "app (pid 2) continues (rt_sigtimedwait)",
    ),
    "it should have exited": (
        explain(make(name="app", caught=())),
        (
            "app (pid 2) has no handler for SIGTERM but still runs; perhaps it handled only the "
            "first SIGTERM, or did not get it"
        ),
    ),
    "it should have exited, and its child ignores it": (
        explain(
            make(name="app", caught=()),
            make(pid=3, parent=2, name="sh", caught=(), ignored=(SIGTERM,)),
        ),
        (
            "app (pid 2) has no handler for SIGTERM but still runs, and its child does not exit: "
            "sh (pid 3) ignores SIGTERM; add a handler for it, or send it SIGHUP instead; perhaps "
            "app (pid 2) handled only the first SIGTERM, or did not get it"
        ),
    ),
    "it should have exited, and may have much memory to write": (
        explain(make(name="app", caught=()), signum=SIGQUIT),
        (
            "app (pid 2) has no handler for SIGQUIT but still runs; perhaps it is writing a core "
            "dump, or did not get SIGQUIT"
        ),
    ),
    "busy, in another language": (
        explain(make(name="node", wait=running())),
        "node (pid 2) has a handler for SIGTERM but is busy; exit in the handler",
    ),
    "a JVM": (
        explain(make(name="java", wait=Wait("futex"))),
        (
            "java (pid 2) has a handler for SIGTERM but continues (futex); a shutdown hook may "
            "hang, so run kill -QUIT 2 to print its stacks"
        ),
    ),
    "a shell whose trap comes back": (
        explain(make(name="bash", wait=Wait("openat", "/app/fifo"))),
        (
            "bash (pid 2) has a handler for SIGTERM but continues (openat on /app/fifo); end the "
            "trap with exit"
        ),
    ),
    "another signal": (
        explain(make(name="app", caught=(SIGQUIT,)), signum=SIGQUIT),
        "app (pid 2) has a handler for SIGQUIT but continues (futex); exit in the handler",
    ),
    "its first thread alone has ended": (
        explain(make(name="app", state="Z", wait=Wait())),
        "app (pid 2) has a handler for SIGTERM but continues; exit in the handler",
    ),
    "it has ended": (
        explain(make(name="app", is_alive=False)),
        "app (pid 2) has exited in the meantime",
    ),
}


@pytest.mark.parametrize(("told", "expected"), SENTENCES.values(), ids=SENTENCES)
def test_reason(told, expected):
    assert expected == told


FRAMES = st.builds(
    at,
    st.integers(0, 9),
    st.sampled_from(["<module>", "Thread.join", "_shutdown", "Handle._run", "work"]),
    st.sampled_from(
        [
            *(f"{LIBRARY}/threading.py", f"{LIBRARY}/asyncio/events.py", f"{PACKAGES}/x.py"),
            *("/app/app.py", "<frozen runpy>", ""),
        ]
    ),
    is_handler=st.booleans(),
    is_awaiting=st.booleans(),
    is_deaf=st.booleans(),
)
SIGNUMS = st.sets(st.sampled_from([SIGHUP, SIGINT, SIGQUIT, SIGTERM]), max_size=3)
CALLS = st.sampled_from(["", "wait4", "futex", "vfork"])
SUBJECTS = st.builds(
    make,
    st.integers(2, 6),
    st.sampled_from(["python3", "sh", "app"]),
    parent=st.integers(1, 6),
    state=st.sampled_from("RSDTtZ"),
    caught=SIGNUMS,
    ignored=SIGNUMS,
    blocked=SIGNUMS,
    is_init=st.booleans(),
    is_alive=st.booleans(),
    wait=st.builds(Wait, CALLS, st.just(""), st.sampled_from([None, 0, 3, 4])),
    stack=st.lists(FRAMES, max_size=4),
    threads=st.lists(st.lists(FRAMES, max_size=3), max_size=5),
)


@given(SUBJECTS, st.lists(SUBJECTS, max_size=6))
def test_whatever_was_seen_there_is_a_sentence(subject, others):
    """It begins with what it is about, and names no line that was not seen."""
    told = explain(subject, *others)

    assert str(subject) in told
    stacks = [stack for each in (subject, *others) for stack in each.stacks.values()]
    seen = {str(frame) for stack in stacks for frame in stack}
    assert all(line in seen for line in re.findall(r"/app/app\.py:\d (?:<module>|[\w.]+)", told))


def test_a_ring_of_processes_has_an_end():
    """What /proc tells of parents is not of one moment: it may be a ring."""
    one = make(pid=2, parent=3, wait=Wait("wait4", pid=3))
    two = make(pid=3, parent=2, wait=Wait("wait4", pid=2))

    told = explain(one, two, one)

    assert told.count("waits for") == causes.MOST_LINKS


def test_of_a_process_that_may_not_be_looked_at_nothing_is_claimed():
    subject = make(name="app", wait=Wait())
    subject.process = None

    assert "app (pid 2) continues" == explain(subject)
    subject.unread = "its memory cannot be read: Permission denied"
    assert f"app (pid 2) continues ({subject.unread})" == explain(subject)


def test_where_it_is_not_known_when_a_child_began():
    child = make(**CHILD, name="sleep")
    child.began = None

    assert "and a shell runs a trap only after" in explain(
        make(name="sh", wait=Wait("wait4", pid=0)), child, ago=5
    )


def test_what_is_installed_is_told_with_its_caller():
    """The line in a package says what waits, the one outside whose call it is."""
    package = at(5, "wait", f"{PACKAGES}/psycopg/waiting.py")
    library = at(3, "select", f"{LIBRARY}/selectors.py")

    told = causes.telling([library, package, at(), MAIN])

    assert f"{package}, from /app/app.py:7 work" == told
    assert str(package) == causes.telling([library, package, MAIN])
    assert str(library) == causes.telling([library])
