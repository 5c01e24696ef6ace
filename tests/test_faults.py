"""Calls that the kernel refuses: none ends, hangs or spins PID 1, and each is logged once."""

import os
import posix
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testkit import refusals
from testkit.pipes import full_pipe
from testkit.programs import run_module, victim
from testkit.running import command_line
from trials.faults.judging import ALL_MARKS, Outcome, judge
from trials.faults.kinds import parse

from pyinit import child, init

BEYOND = 5_000_000  # no process has such a pid (PID_MAX_LIMIT)

# The orphan may still run when the child has exited, and the drain must not end it.
LAST_ORPHAN = ["sh", "-c", "(trap '' TERM; sh -c 'exit 6' &); exit 3"]


def refusing(*faults: str, everybody: bool = False) -> list[str]:
    """Return a prefix that makes calls of pyinit fail, with those of its threads and child."""
    return refusals.refusing(*faults, everybody=everybody, detached=True)


def names(result) -> list[str]:
    return [event["event"] for event in result.events]


@pytest.mark.parametrize("error", ["EAGAIN", "EINVAL", "EPERM", "ENOSYS"])
@pytest.mark.parametrize("options", [[], ["-v", "-k", "9"]], ids=["default", "-v"])
def test_wait_that_is_refused_for_ever(start, error, options):
    """Without sigtimedwait, signals arrive nevertheless; the reason is logged once."""
    wrap = refusing(f"rt_sigtimedwait:error={error}")
    run = start(options, victim("listener", 5), wrap=wrap, namespace=False)
    run.ready()
    for signum in (signal.SIGUSR1, signal.SIGRTMIN + 1, signal.SIGTERM):
        run.send(signum)
        assert f"got {int(signum)}" == run.line()
    result = run.finish()

    assert (5, 1) == (result.code, len(result.named("internal_error")))
    for event in result.named("signal_forwarded"):
        assert (None, None) == (event["sender"], event["sender_pid"])


def test_wait_that_is_refused_and_pending_signals_hidden(run):
    """If nothing reports signals, the end of the child is noticed nevertheless."""
    wrap = refusing("rt_sigtimedwait,rt_sigpending:error=EPERM")

    assert (3, {"internal_error"}) == (
        (result := run(command=LAST_ORPHAN, wrap=wrap, namespace=False)).code,
        set(names(result)),
    )  # fmt: skip


def test_interrupted_calls_are_repeated(run):
    """EINTR is no error, and is not logged."""
    wrap = refusing("rt_sigtimedwait,waitid,wait4:error=EINTR:when=1..3")
    result = run(["-vv"], LAST_ORPHAN, wrap=wrap, namespace=False)

    assert 3 == result.code
    assert "internal_error" not in names(result)


@pytest.mark.parametrize("error", ["EINVAL", "EPERM", "ENOSYS"])
@pytest.mark.parametrize("options", [[], ["-vv"]], ids=["default", "-vv"])
def test_looking_at_the_dead_is_refused_for_ever(run, error, options):
    """Without waitid, zombies are reaped nevertheless, without names, and no code is lost."""
    wrap = refusing(f"waitid:error={error}")
    result = run([*options, "-w"], LAST_ORPHAN, wrap=wrap, namespace=False)
    (orphan,) = result.named("orphan_reaped")

    assert (3, 6, None) == (result.code, orphan["code"], orphan["name"])
    assert 1 == len(result.named("internal_error"))


@pytest.mark.parametrize("error", ["EPERM", "ESRCH"])
def test_signals_that_are_refused_are_told(start, error):
    """If the target is another user's or gone: a warning each, until the child exits."""
    wrap = refusing(f"kill:error={error}")
    command = ["sh", "-c", "echo 'ready (pid: 2)'; read x; exit 9"]
    run = start(command=command, wrap=wrap, namespace=False, stdin=subprocess.PIPE)
    run.ready()
    for signum in (signal.SIGUSR1, signal.SIGTERM):
        run.send(signum)
        assert (signum.name, error) == tuple(
            map(run.event("forward_refused").get, ("signal", "error"))
        )

    assert (9, "") == (run.finish(b"\n").code, run.finish().err)


@pytest.mark.parametrize("error", ["EPERM", "EINVAL", "ENOSYS"])
def test_prctl_that_is_refused_is_told(run, error):
    """One warning, and the child runs."""
    result = run(command=LAST_ORPHAN, wrap=refusing(f"prctl:error={error}"), namespace=False)

    assert (3, ["subreaper_refused"]) == (result.code, names(result))


@pytest.mark.parametrize("error", ["EPIPE", "ENOSPC", "EIO"])
def test_line_that_cannot_be_written_is_counted(run, error):
    """Lost lines are logged as soon as stderr works again."""
    wrap = refusing(f"write:error={error}:when=1", everybody=True)  # each thread's first
    silent = [sys.executable, "-c", "import os; os._exit(3)"]
    result = run(["-v"], silent, wrap=wrap, namespace=False)
    told = [
        event for event in result.events if event["event"] in {"events_dropped", "child_exited"}
    ]

    assert (3, [1]) == (result.code, [event["count"] for event in told if "count" in event])
    assert {"events_dropped", "child_exited"} == {event["event"] for event in told}


@pytest.mark.parametrize("error", ["EAGAIN", "EPIPE", "ENOSPC", "EIO"])
def test_stderr_that_never_takes_anything(run, error):
    """Nothing can be logged, but the child's code comes out."""
    wrap = refusing(f"write:error={error}", everybody=True)
    silent = [sys.executable, "-c", "import os; os._exit(3)"]

    assert (3, "") == (
        (result := run(["-vv"], silent, wrap=wrap, namespace=False)).code,
        result.err,
    )


def test_stderr_that_is_busy_once_loses_nothing(run):
    """EAGAIN is no loss: the line is written when stderr is ready."""
    wrap = refusing("write:error=EAGAIN:when=1..5", everybody=True)
    silent = [sys.executable, "-c", "import os; os._exit(3)"]
    result = run(["-v"], silent, wrap=wrap, namespace=False)

    assert ["not_pid1", "child_started", "child_exited"] == names(result)


def opened_before_the_fork(folder: Path) -> int:
    """Return how many files pyinit opens until it forks."""
    log = folder / "calls"
    strace = [
        "strace",
        "-D",
        "-qq",
        "-o",
        str(log),
        "-e",
        "trace=openat,open,clone,clone3,fork,vfork",
    ]
    subprocess.run(command_line([], ["true"], wrap=strace, namespace=False), check=True)
    calls = [line.partition("(")[0] for line in log.read_text().splitlines()]
    return next(number for number, call in enumerate(calls) if "open" not in call)


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE"])
@pytest.mark.parametrize("options", [[], ["-vv"]], ids=["default", "-vv"])
def test_no_file_can_be_opened_once_the_child_runs(start, error, options, tmp_path):
    """Neither modules nor /proc: signals are forwarded, and the child's code comes out."""
    first = opened_before_the_fork(tmp_path) + 1
    wrap = refusing(f"openat,open:error={error}:when={first}+")
    run = start(options, victim("listener", 5), wrap=wrap, namespace=False)
    run.ready()
    for signum in (signal.SIGUSR1, signal.SIGTERM):
        run.send(signum)
        assert f"got {int(signum)}" == run.line()

    assert 5 == run.finish().code


def test_complaint_that_nobody_reads(run):
    """A full stderr costs the sentence, but the code comes out."""
    reader, writer = full_pipe()
    with open(reader, "rb"), open(writer, "wb") as err:
        assert 1 == run(["--no-such-option"], stderr=err, namespace=False).code


def test_complaint_is_shorter_than_what_a_pipe_takes(run):
    """The name of a command may be longer than that; pyinit ends although its log is not read."""
    reader, writer = os.pipe()
    wrap = refusing("clone,clone3,fork,vfork:error=EAGAIN")
    with open(reader, "rb") as told, open(writer, "wb") as err:
        result = run(command=["x" * 100_000], stderr=err, wrap=wrap, namespace=False)
        err.close()
        line = told.read()

    assert 1 == result.code
    assert re.fullmatch(rb"pyinit: cannot start 'x+\.\.\.x+': Resource .*; check [^\n]*\n", line)


@pytest.fixture
def born(monkeypatch):
    """Have an init begin to run without a child; return it once it would wait for signals."""

    def begin(live) -> int:
        monkeypatch.setattr(posix, "getpid", lambda: 1)
        monkeypatch.setattr(child, "has_terminal", lambda: False)
        monkeypatch.setattr(child, "spawn", lambda born, *_: setattr(born, "pid", BEYOND))
        monkeypatch.setattr(init, "_live", live)
        return init.run(("app",), None, set())

    return begin


def test_turn_that_cannot_even_be_guarded_is_followed_by_a_pause(monkeypatch, born):
    """If even a guard fails, without memory, PID 1 waits and tries again."""

    def live(_init) -> int:
        if len(pauses) < 3:
            raise MemoryError
        return 7

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise OSError

    pauses: list[float] = []
    monkeypatch.setattr(child, "let_go", lambda: None)
    monkeypatch.setattr(init, "sleep", sleep)

    assert 7 == born(live)
    assert [init.PAUSE_SECONDS] * 3 == pauses


def test_log_is_opened_although_the_beginning_failed(monkeypatch, born):
    """One error in the first moment does not silence pyinit for ever."""
    lives = []

    def let_go() -> None:
        raise OSError(5, "x")

    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    monkeypatch.setattr(child, "let_go", let_go)
    born(lambda life: lives.append(life) or 0)
    (life,) = lives
    report = life.supervisor.report

    assert (True, ["internal_error"]) == (report._is_open, [event[2] for event in report.backlog])


# --- the trial ---


def test_faults_by_chance():
    """Calls that fail at random moments lose no exit code."""
    done = run_module("trials.faults", "--sample", 20)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert re.search(r"^faults: 20 runs in \d+ s: ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("number", [1, 20, 40, 60, 80])
def test_want_of_memory_right_after_the_fork_silences_nobody(number):
    """For a while there is no memory: everything goes well, and it is logged."""
    done = run_module("trials.faults", "--fault", f"malloc:ENOMEM:{number}+:everybody:pid1")

    assert 0 == done.returncode, done.stdout + done.stderr


INTERNAL_ERROR = '{"event": "internal_error", "error": "x"}\n'


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({}, None),
        ({"code": None}, "did not exit"),
        ({"code": 0}, "code was lost: 0"),
        ({"code": 137}, "code was lost: 137"),
        ({"code": 0, "marks": frozenset()}, "nothing was started"),
        ({"code": 1, "marks": frozenset()}, None),
        ({"calls": {"1": 1001}}, "it spun"),
        ({"err": INTERNAL_ERROR}, None),
        ({"marks": frozenset({"child", "helper", "asked"})}, "signal was lost"),
        ({"marks": frozenset({"child", "helper", "forwarded"})}, "signal was lost"),
        ({"err": INTERNAL_ERROR * 2}, "more than once"),
        ({"err": INTERNAL_ERROR + "Traceback"}, "not an event"),
    ],
)
def test_judge_of_faults(changed, complaint):
    """Each kind of failure is noticed."""
    fault = parse("waitid:EPERM:1+:init:not-pid1")
    outcome = {
        "code": 7,
        "marks": frozenset(ALL_MARKS),
        "err": "",
        "calls": {"": 5},
    } | changed
    found = list(judge(fault, Outcome(**outcome)))

    assert str(fault) == "waitid:EPERM:1+:init:not-pid1"
    assert len(found) == (0 if complaint is None else 1)
    assert complaint is None or complaint in found[0]


@pytest.mark.parametrize(
    ("fault", "err", "complaints"),
    [
        ("read:EIO:24+:everybody:pid1", "", 0),
        ("read:EIO:24+:everybody:pid1", INTERNAL_ERROR, 1),
        ("read:EIO:24:everybody:pid1", "", 1),
        ("write:EIO:24+:everybody:pid1", "", 1),
    ],
)
def test_command_that_cannot_be_read_is_an_empty_script(fault, err, complaints):
    """Nothing is started, without a message and with code 0: this is what Python does then."""
    outcome = Outcome(code=0, marks=frozenset(), err=err, calls={"": 5})

    assert complaints == len(list(judge(parse(fault), outcome)))


@pytest.mark.parametrize(
    ("fault", "marks", "complaints"),
    [
        ("mmap:ENOMEM:17+:everybody:pid1", set(), 0),
        ("mmap:ENOMEM:17+:everybody:pid1", {"child"}, 1),
        ("mmap:ENOMEM:17+:everybody:not-pid1", set(), 1),
        ("write:EIO:17+:everybody:pid1", set(), 1),
    ],
)
def test_crash_at_boot_does_not_end_pid1_under_strace(fault, marks, complaints):
    """No line of pyinit had run by then."""
    outcome = Outcome(code=None, marks=frozenset(marks), err="", calls={"": 5})

    assert complaints == len(list(judge(parse(fault), outcome)))


def test_python_takes_a_script_that_cannot_be_read_for_an_empty_one(tmp_path):
    """For the row above: the first read of the script fails, and all after it."""
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit(5)\n")
    wrap = refusals.refusing("read:error=EIO", paths=[script])
    done = subprocess.run([*wrap, sys.executable, script], check=False, capture_output=True)

    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


TOLD = '{"event": "child_exited", "pid": 2, "code": 7, "seconds": 0.1}\n'


@pytest.mark.parametrize(
    ("fault", "changed", "complaints"),
    [
        ("close:EIO:19:everybody:pid1", {}, 0),
        ("close:EIO:18:everybody:pid1", {}, 1),
        ("close:EIO:19:everybody:not-pid1", {}, 1),
        ("read:EIO:19:everybody:pid1", {}, 1),
        ("close:EIO:19:everybody:pid1", {"code": 2}, 1),
        ("close:EIO:19:everybody:pid1", {"err": INTERNAL_ERROR}, 1),
    ],
    ids=["its-last", "another", "not-pid1", "no-close", "another-code", "nothing-told"],
)
def test_judge_of_faults_knows_the_end_of_unshare(fault, changed, complaints):
    """Only unshare(1) loses the code, if its last call, to close stdout, fails."""
    outcome = {
        "code": 1,
        "marks": frozenset(ALL_MARKS),
        "err": TOLD,
        "calls": {"9": 70, "8": 19, "": 1},
    } | changed

    assert complaints == len(list(judge(parse(fault), Outcome(**outcome))))


def test_judge_of_memory_notices_silence():
    """A pyinit that logs nothing any more after one error is noticed."""
    fault = parse("malloc:ENOMEM:2:init:pid1")

    assert ["it went silent"] == list(judge(fault, Outcome(7, frozenset({"child"}), "", {"": 5})))
