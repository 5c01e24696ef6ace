"""The log: one event is one line, and writing it never raises, blocks or slows PID 1."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import types
from datetime import datetime, timedelta

import pytest
import structlog

from testkit.pipes import full_pipe
from testkit.processes import only_child, until
from testkit.programs import PYTHON, victim
from testkit.refusals import refusing
from testkit.running import import_that_exits

from pyinit.later import events
from pyinit.later import writer as log
from pyinit.init import RESERVE
from pyinit.report import BACKLOG, Report
from pyinit.settings import DEBUG, INFO, WARNING, Settings

QUEUE_LIMIT = 4096
PAGE = 4096  # the least that a pipe can hold


def test_run_is_told_with_v(run):
    """-v tells the start and the end of the child, with what it used."""
    result = run(["-v"], ["sh", "-c", "exit 3"])
    started, exited = result.events

    assert {"event": "child_started", "level": "info", "logger": "pyinit", "pid": 2} == {
        key: started[key] for key in ("event", "level", "logger", "pid")
    }
    assert ("child_exited", 2, 3) == (exited["event"], exited["pid"], exited["code"])
    assert all(exited[key] >= 0 for key in ("seconds", "user_seconds", "system_seconds"))
    assert exited["max_rss_kib"] > 0


def test_death_by_signal_is_told_with_v(run):
    """A child that a signal killed has the signal in its event, not a code."""
    (exited,) = run(["-v"], ["sh", "-c", "kill -KILL $$"]).named("child_exited")

    assert "SIGKILL" == exited["signal"]
    assert "code" not in exited


def told_of_child(run, script: str, *forged: str) -> dict:
    """Return what is told of the end of a child, where the kernel's answers begin otherwise."""
    injections = [word for call in forged for word in ("-e", f"inject={call}")]
    wrap = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=wait4,waitid", *injections]
    result = run(["-v"], ["sh", "-c", script], wrap=wrap, namespace=False)
    # strace complains where a call has no place for what it is to forge.
    lines = [line for line in result.err.splitlines() if line.startswith("{")]
    (event,) = [event for event in map(json.loads, lines) if event["event"] == "child_exited"]
    return event


@pytest.mark.parametrize(
    ("bit", "how", "told"), [(0, os.CLD_KILLED, False), (0x80, os.CLD_DUMPED, True)]
)
def test_core_dump_is_told(run, bit, how, told):
    """Whether a process left a core dump is what the kernel says (wait(2), WCOREDUMP)."""
    status = struct.pack("=i", signal.SIGSEGV | bit).hex()
    seen = struct.pack("=iii", signal.SIGCHLD, 0, how).hex()
    forged = (f"wait4:poke_exit=@arg2={status}", f"waitid:poke_exit=@arg3={seen}")
    event = told_of_child(run, "ulimit -c 0; kill -SEGV $$", *forged)

    assert ("SIGSEGV", told) == (event["signal"], event["core_dumped"])


def test_usage_is_told_as_the_kernel_has_it(run):
    """Seconds in user mode and in the kernel are not mixed up."""
    usage = struct.pack("@llll", 100, 500_000, 2, 250_000).hex()
    event = told_of_child(run, "exit 3", f"wait4:poke_exit=@arg4={usage}")

    assert (100.5, 2.25) == (event["user_seconds"], event["system_seconds"])
    assert event["max_rss_kib"] > 0


@pytest.mark.parametrize("spoil", ["", "import sys; sys.modules['structlog'] = None\n"])
def test_timestamp_is_in_utc(run, sabotage, spoil):
    """Whatever time zone the workload has, what is labelled as UTC is UTC."""
    before = time.time()
    event = run(command=["nowhere"], wrap=[*sabotage(spoil), "TZ=UTC-9"]).events[-1]
    told = datetime.fromisoformat(event["timestamp"])

    assert timedelta(0) == told.utcoffset()
    assert before - 1 < told.timestamp() < time.time() + 1


FAULTS = ["ABRT", "BUS", "FPE", "ILL", "KILL", "SEGV", "SYS", "TRAP"]
LIMITS = ["XCPU", "XFSZ", "PIPE", "ALRM"]


@pytest.mark.parametrize("word", [*FAULTS, *LIMITS, "USR1", "RTMIN+1"])
def test_crash_is_told_by_default(run, word):
    """A child that is killed by anything but a plain stop is a warning, with what it used."""
    (event,) = run(command=["sh", "-c", f"ulimit -c 0; kill -{word} $$"]).events

    assert ("child_exited", "warning", f"SIG{word}") == tuple(
        event[key] for key in ("event", "level", "signal")
    )
    assert event["max_rss_kib"] > 0


@pytest.mark.parametrize("word", ["TERM", "INT", "QUIT", "HUP"])
def test_plain_stop_is_not_told_by_default(run, word):
    """A child that a signal stopped is no news, and a code is none either."""
    assert "" == run(command=["bash", "-c", f"ulimit -c 0; kill -{word} $$"]).err


@pytest.mark.parametrize("code", [128 + 9, 128 + 11])
def test_code_that_looks_like_a_crash_is_none(run, code):
    """A program that exits with 137 by itself was not killed."""
    assert "" == run(command=["sh", "-c", f"exit {code}"]).err


@pytest.mark.parametrize(
    ("options", "environment", "events"),
    [
        ([], [], 0),
        (["-v"], [], 3),
        (["-vv"], [], 4),
        (["-v", "-v"], [], 4),
        (["-vvvvv"], [], 4),
        ([], ["PYINIT_VERBOSITY=2"], 3),
        ([], ["PYINIT_VERBOSITY=3"], 4),
        ([], ["TINI_VERBOSITY=3"], 4),
        ([], ["TINI_VERBOSITY=9"], 4),
        (["-v"], ["PYINIT_VERBOSITY=0"], 0),
        (["-v"], ["PYINIT_VERBOSITY=2"], 4),
        ([], ["PYINIT_VERBOSITY=0", "TINI_VERBOSITY=3"], 0),
        ([], ["PYINIT_VERBOSITY=", "TINI_VERBOSITY=2"], 3),
    ],
)
def test_verbosity_decides_how_much_is_told(run, options, environment, events):
    """Each -v adds one to PYINIT_VERBOSITY, which wins over TINI_VERBOSITY."""
    command = ["sh", "-c", "trap 'exit 0' HUP; kill -HUP 1; while :; do :; done"]
    result = run([*options, "-s"], command, wrap=["env", *environment])
    told = {event["event"] for event in result.events}
    info = {"child_started", "signal_forwarded", "child_exited"}
    by_level = {0: set(), 3: info, 4: info | {"subreaper_needless"}}

    assert by_level[events] == told


@pytest.mark.parametrize(
    ("options", "environment", "json_lines"),
    [
        ([], [], True),
        (["--log-format", "json"], [], True),
        (["--log-format=console"], [], False),
        ([], ["PYINIT_LOG_FORMAT=console"], False),
        ([], ["PYINIT_LOG_FORMAT=json"], True),
        (["--log-format=auto"], ["PYINIT_LOG_FORMAT=console"], True),
    ],
)
def test_format_is_json_off_a_terminal_unless_told(run, options, environment, json_lines):
    """auto is JSON where stderr is no terminal; the command line wins over the environment."""
    first = run(["-v", *options], wrap=["env", *environment]).err.splitlines()[0]

    assert json_lines is first.startswith("{")
    assert "child_started" in first
    assert "\x1b" not in first


def test_orphans_are_told_with_vv(start, compiled):
    """-vv tells each orphan reaped."""
    command = ["sh", "-c", f"{compiled('daemon')} 5; read x"]
    run = start(["-vv"], command, stdin=subprocess.PIPE)
    told = [run.event("orphan_reaped")["level"] for _ in range(5)]

    assert ["debug"] * 5 == told


def test_stdout_stays_the_childs(run):
    """pyinit writes to stderr only."""
    assert "" == run(["-vv"]).out


def test_stalled_reader_delays_nothing(start, compiled):
    """A full stderr pipe that is not read holds up neither forwards nor reaping nor the end."""
    reader, writer = full_pipe()
    run = start(["-vv"], victim("listener", 5), stderr=writer)
    run.ready()
    for _ in range(300):
        run.send(signal.SIGUSR1)
        assert f"got {int(signal.SIGUSR1)}" == run.line()
    run.inside(compiled("daemon"), "50")

    assert 5 == run.stop().code
    os.close(reader)
    os.close(writer)


def test_what_was_dropped_is_counted_and_told(start):
    """When a stalled reader reads again, it learns how many events it missed."""
    reader, writer = full_pipe()
    count = QUEUE_LIMIT + 500
    run = start(["-v"], victim("listener", 0), stderr=writer)
    os.close(writer)
    run.ready()
    for _ in range(count):
        run.send(signal.SIGRTMIN + 2)
        run.line()
    with os.fdopen(reader, "rb") as log:
        log.read(fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ))
        run.send(signal.SIGTERM)
        events = [json.loads(line) for line in log]
    told = [event["event"] for event in events]
    dropped = sum(event["count"] for event in events if event["event"] == "events_dropped")

    assert {"timestamp", "level", "logger", "event", "message", "count"} == set(
        next(event for event in events if event["event"] == "events_dropped")
    )
    assert dropped > 0
    # child_started, the forwards, SIGTERM's forward, child_exited
    assert count + 3 == dropped + len(told) - told.count("events_dropped")


def test_stderr_that_only_looks_ready_is_given_up(monkeypatch):
    """A write that is refused over and over again, poll or not, is an error in the end."""
    calls = []

    def refuse(*_arguments):
        calls.append(1)
        raise BlockingIOError

    with monkeypatch.context() as patch:
        patch.setattr(log.os, "write", refuse)
        with pytest.raises(BlockingIOError):
            log.write_line("x")

    assert log.ATTEMPTS + 1 == len(calls)


def numbers(events) -> list[int]:
    """Return what events are called by."""
    return [int(event[1]) for event in events]


def put(queue, count, *, level=INFO, first=0):
    """Put some events into a queue, each with a number."""
    for number in range(first, first + count):
        queue.put((level, float(number), "told", {}))


def all_of(queue) -> list[int]:
    """Close a queue and take all that is in it."""
    queue.close()
    return numbers(iter(queue.take, None))


def test_queue_is_bounded():
    """Of a full queue the older half is dropped and counted; what is new is kept."""
    queue = log.Queue()
    put(queue, QUEUE_LIMIT + 1)
    half = QUEUE_LIMIT // 2

    assert (half, half + 1) == (queue.dropped, len(queue))
    assert list(range(half, QUEUE_LIMIT + 1)) == all_of(queue)


def test_warnings_are_not_dropped_for_others():
    """Of the older half warnings and errors are kept, and come first."""
    queue = log.Queue()
    put(queue, 2, level=WARNING)
    put(queue, QUEUE_LIMIT, first=2)

    assert [0, 1] == all_of(queue)[:2]
    assert QUEUE_LIMIT // 2 - 2 == queue.dropped


def test_queue_of_warnings_is_bounded():
    """A crowd of warnings has its limit, too."""
    queue = log.Queue()
    put(queue, log.CROWDED)
    put(queue, 2 * QUEUE_LIMIT, level=WARNING, first=log.CROWDED)

    assert len(queue) <= log.CROWDED + QUEUE_LIMIT
    assert queue.dropped == log.CROWDED + 2 * QUEUE_LIMIT - len(queue)
    assert log.CROWDED + 2 * QUEUE_LIMIT - 1 in all_of(queue)


@pytest.mark.parametrize(
    ("others", "first"), [(log.CROWDED - 1, 0), (log.CROWDED, log.CROWDED)], ids=["few", "crowd"]
)
def test_warnings_pass_a_crowd(others, first):
    """A reader that is slow gets warnings before others; one that is not has all in order."""
    queue = log.Queue()
    put(queue, others)
    put(queue, 1, level=WARNING, first=others)

    assert first == all_of(queue)[0]


def test_orphans_do_not_hide_a_crash():
    """With -w a storm of orphans is one of warnings, and what killed the child passes it."""
    queue = log.Queue()
    for number in range(2 * QUEUE_LIMIT):
        queue.put((WARNING, float(number), "orphan_reaped", {}))
    queue.put((WARNING, 0.0, "child_exited", {}))
    for number in range(2 * QUEUE_LIMIT):
        queue.put((WARNING, float(number), "orphan_reaped", {}))
    queue.drop_all_but_last()
    queue.close()

    assert ["orphan_reaped", "child_exited"] == [event[2] for event in iter(queue.take, None)]


def test_last_event_is_kept():
    """Where there is no time for all, warnings and the last event are left."""
    queue = log.Queue()
    put(queue, log.CROWDED)
    put(queue, 1, level=WARNING, first=1000)
    put(queue, 1, first=2000)
    queue.drop_all_but_last()

    assert ([2000, 1000], log.CROWDED) == (all_of(queue), queue.dropped)


def test_log_that_has_no_time_for_all_keeps_the_last(monkeypatch):
    """Where what is queued is not written in time the last events get some more."""
    monkeypatch.setattr(log, "start_new_thread", lambda _run, _arguments: None)
    monkeypatch.setattr(log, "FLUSH_SECONDS", 0)
    monkeypatch.setattr(log, "LAST_SECONDS", 0)
    stalled = log.Writer("json")
    stalled._loaded.set()
    put(stalled, log.CROWDED)
    put(stalled, 2 * log.LAST_URGENT, level=WARNING, first=1000)
    put(stalled, 1, first=2000)
    stalled.close()
    kept = [2000, *reversed(range(1000 + log.LAST_URGENT, 1000 + 2 * log.LAST_URGENT))]

    assert (kept, log.CROWDED + log.LAST_URGENT) == (all_of(stalled._queue), stalled._queue.dropped)


def test_nothing_is_left_of_nothing():
    """Where the thread has taken all, there is nothing to keep and nothing to drop."""
    queue = log.Queue()
    queue.drop_all_but_last()
    queue._drop(queue._waiting, 3)

    assert ([], 0) == (all_of(queue), queue.dropped)


def test_slow_reader_gets_the_end_and_the_count_of_what_it_missed(start):
    """A reader that never stops reading, and is too slow, gets the warning at the end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PAGE)
    count = 2 * QUEUE_LIMIT
    run = start(["-v"], victim("listener"), stderr=writer)
    os.close(writer)
    run.ready()
    with os.fdopen(reader, "rb", buffering=0) as stderr:
        text = b""
        for number in range(count):
            run.send(signal.SIGRTMIN + 2)
            run.line()
            if number % 50 == 0:  # some 10 KiB of events, of which it reads less than half
                text += stderr.read(PAGE)
        text_before = text
        os.kill(only_child(run.init), signal.SIGKILL)
        text += stderr.read()
    events = [json.loads(line) for line in text.splitlines()]
    told = [event["event"] for event in events]
    dropped = sum(event["count"] for event in events if event["event"] == "events_dropped")

    assert b"events_dropped" in text_before  # as soon as there was room, not at the end alone
    assert "SIGKILL" == next(e["signal"] for e in events if e["event"] == "child_exited")
    assert dropped >= QUEUE_LIMIT // 2
    # child_started, the forwards, child_exited
    assert count + 2 == dropped + len(told) - told.count("events_dropped")


@pytest.mark.parametrize("options", [["-vv"], ["-vv", "--log-format=console"]])
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2</dev/null"])
def test_stderr_that_cannot_be_written_is_survived(start, options, redirection):
    """A closed stderr, a full disk and a descriptor to read from cost the log, not the workload."""
    wrap = ["sh", "-c", f'exec "$@" {redirection}', "-"]
    run = start(options, victim("listener", 6), wrap=wrap)
    run.ready()
    run.send(signal.SIGUSR2)

    assert f"got {int(signal.SIGUSR2)}" == run.line()
    assert 6 == run.stop().code


def test_nonblocking_stderr_loses_nothing(start):
    """A descriptor that another process made non-blocking is waited for, not given up."""
    reader, writer = full_pipe()
    os.set_blocking(writer, False)
    run = start(["-v"], victim("listener", 0), stderr=writer)
    os.close(writer)
    run.ready()
    run.send(signal.SIGUSR1)
    run.line()
    with os.fdopen(reader, "rb") as log:
        log.read(fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ))
        run.stop()
        events = [json.loads(line)["event"] for line in log]

    assert ["child_started", "signal_forwarded", "signal_forwarded", "child_exited"] == events


BROKEN = {
    "missing": "import sys; sys.modules['structlog'] = None\n",
    "half-way": "import sys; sys.modules['structlog.stdlib'] = None\n",
    "empty": "import sys, types; sys.modules['structlog'] = types.ModuleType('structlog')\n",
    "exits": import_that_exits("structlog"),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("style", ["json", "console"])
def test_structlog_that_cannot_be_loaded_is_survived(run, sabotage, style, how):
    """Without structlog the events come all the same, plainer, and the first line says why."""
    wrap = sabotage(BROKEN[how])
    result = run(["-v", f"--log-format={style}"], ["sh", "-c", "exit 3"], wrap=wrap)
    first, second, third = result.err.splitlines()

    assert 3 == result.code
    assert ("structlog_unavailable" if style == "json" else "structlog cannot be loaded") in first
    assert "child_started" in second
    assert "child_exited" in third
    if style == "json":
        assert [3, "info"] == [json.loads(third)[key] for key in ("code", "level")]


def test_without_structlog_and_json_events_come_in_words(run, sabotage):
    """Where nothing at all can be loaded, a line still names the event and its keys."""
    wrap = sabotage("import sys\nfor name in 'structlog', 'json': sys.modules[name] = None\n")
    result = run(["-v", "--log-format=json"], ["sh", "-c", "exit 3"], wrap=wrap)

    assert 3 == result.code
    assert re.search(r"^pyinit: child_exited \{.*'code': 3", result.err, re.MULTILINE)


def test_log_that_cannot_be_loaded_is_survived(run, sabotage):
    """Without even threads the child runs and its code comes back, in silence."""
    wrap = sabotage("import sys\nsys.modules['threading'] = None\n")
    result = run(["-vv"], ["sh", "-c", "exit 3"], wrap=wrap)

    assert (3, "") == (result.code, result.err)


def test_thread_that_cannot_be_had_is_tried_again(run):
    """Where the system has no thread now, the events wait for the next one."""
    wrap = refusing("clone3:error=EAGAIN:when=1")
    result = run(["-v"], ["sh", "-c", "exit 3"], wrap=wrap, namespace=False)

    assert ["not_pid1", "child_started", "child_exited"] == [e["event"] for e in result.events]


def test_log_that_dies_is_not_waited_for(monkeypatch):
    """A thread that ends by an error says that it has ended, so that it is not waited for."""

    def die(*_arguments):
        raise MemoryError

    monkeypatch.setattr(log, "start_new_thread", lambda _run, _arguments: None)
    monkeypatch.setattr(log, "load_emitter", die)
    dying = log.Writer("json")
    dying._run()

    assert (True, True) == (dying._loaded.is_set(), dying._finished.is_set())


@pytest.mark.parametrize("is_told", [True, False])
def test_log_that_takes_all_memory_is_noticed(monkeypatch, is_told):
    """If too little memory is left after it was loaded, the holder of a reserve is told."""
    told = []
    monkeypatch.setattr(log, "start_new_thread", lambda _run, _arguments: None)
    monkeypatch.setattr(log, "ROOM", sys.maxsize // 2)
    log.Writer("json", (lambda: told.append(1)) if is_told else None)._leave_room()

    assert [1] * is_told == told


def new_report(**chosen) -> Report:
    """Return what takes events and has its reserve."""
    return Report(Settings(("app",), **chosen), bytes(RESERVE))


def test_report_without_a_reserve_tells_no_more_than_warnings():
    """Where it was used up before anything was told, memory is short from the beginning."""
    assert WARNING == Report(Settings(("app",), verbosity=DEBUG), None).verbosity


def test_event_that_cannot_be_described_is_counted(start, sabotage):
    """What an event needs may be gone: it is missing then, and the next one says so."""
    wrap = sabotage(
        "import sys; from pyinit.later import events; events.child_started = lambda: 0\n"
    )
    events_told = [event["event"] for event in start(["-v"], ["true"], wrap=wrap).finish().events]

    assert sorted(["child_exited", "events_dropped"]) == sorted(events_told)


def test_thread_for_which_there_is_no_memory_frees_the_reserve(monkeypatch):
    """Nothing is lost that can be told later, and less is told from then on."""

    def run_out(*_arguments):
        raise MemoryError

    monkeypatch.setattr(log, "start_new_thread", run_out)
    report = new_report(verbosity=3)
    report.open()
    report.tell(1, "subreaper_needless")

    assert (1, False) == (len(report.backlog), report.verbosity >= INFO)


def test_log_that_is_expected_and_cannot_be_had_is_no_error(monkeypatch):
    """The next event tries again."""
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    report = new_report(verbosity=1)
    report.expect()

    assert [] == report.backlog


def test_backlog_is_bounded(monkeypatch):
    """Where there is never a log, what waits for it does not grow for ever."""
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    report = new_report(verbosity=3)
    report.open()
    for number in range(5000):
        report.tell(3, "shell_is_pid1", number, "x")

    assert BACKLOG == len(report.backlog)
    assert {"name": 4999, "reason": "x"} == report.backlog[-1][3]


@pytest.mark.parametrize("where", ["loop", "event"])
def test_memory_kept_for_the_loop_is_used_once_it_is_short(monkeypatch, where):
    """A waiting thread must be able to reap: a MemoryError frees the reserve, events get fewer."""
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    report = new_report(verbosity=3)
    reserved = len(report._reserve)

    def describe():
        raise MemoryError

    monkeypatch.setattr(events, "subreaper_needless", describe)
    report.open()
    if where == "loop":
        report.tell_error(MemoryError())
    else:
        report.tell(3, "subreaper_needless")

    assert (RESERVE, None) == (reserved, report._reserve)
    assert WARNING == report.verbosity


@pytest.mark.parametrize(("verbosity", "told"), [(0, 0), (1, 1), (3, 1)])
def test_shortage_of_memory_is_told_once(monkeypatch, verbosity, told):
    """A user who asked for more than warnings learns why there is no more of it."""
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    report = new_report(verbosity=verbosity)
    report.open()
    for _ in range(2):
        report.use_reserve()
        report.tell(0, "subreaper_needless")

    assert told == [event[2] for event in report.backlog].count("memory_short")


class UnspeakableError(Exception):
    """An error that cannot even be told."""

    def __repr__(self) -> str:  # noqa: D105
        raise MemoryError


def test_error_is_told_once(monkeypatch):
    """The same error in each turn is one event, and what cannot be told is passed over."""
    monkeypatch.setitem(sys.modules, "pyinit.later.writer", None)
    report = new_report()
    for error in (OSError(5, "x"), OSError(5, "x"), UnspeakableError(), OSError(6, "y")):
        report.tell_error(error)
    report.open()

    assert 2 == len(report.backlog)


def test_log_that_cannot_be_closed_does_not_keep_pid1(monkeypatch):
    """PID 1 leaves with the child's code although its log is broken at the end."""

    def break_off():
        raise MemoryError

    report = new_report()
    monkeypatch.setattr(report, "_writer", types.SimpleNamespace(close=break_off))

    assert report.close() is None


def test_resource_that_cannot_be_loaded_costs_its_figures_only(run, sabotage):
    """Without Python's module `resource` the child's code comes, and what it used does not."""
    wrap = sabotage("import sys; sys.modules['resource'] = None\n")
    (exited,) = run(["-v"], ["sh", "-c", "exit 3"], wrap=wrap).named("child_exited")

    assert 3 == exited["code"]
    assert "max_rss_kib" not in exited


def test_nonblocking_stderr_is_waited_for_without_a_spin(start, tmp_path):
    """Until a full pipe takes more, the log sleeps: it does not try again and again."""
    reader, writer = full_pipe()
    os.set_blocking(writer, False)
    calls = tmp_path / "calls"
    strace = ["strace", "-f", "-qq", "-o", str(calls), "-e", "trace=write"]
    command = ["sh", "-c", "while read x; do echo $x; done"]
    run = start(["-v"], command, wrap=strace, stderr=writer, stdin=subprocess.PIPE)
    os.close(writer)
    assert until(lambda: calls.exists() and "EAGAIN" in calls.read_text())
    for number in range(300):  # a while in which the log could spin
        run.process.stdin.write(b"%d\n" % number)
        assert str(number) == run.line()
    os.close(reader)
    run.close_stdin()
    run.finish()

    assert calls.read_text().count("EAGAIN") < 10


@pytest.mark.parametrize("style", ["json", "console"])
def test_long_value_is_cut(run, style):
    """However long a word is, a line has 1,000 characters of it, and so is written in one piece.

    A sentence has 80 of them.
    """
    result = run(["-v", f"--log-format={style}"], ["x" * 70_000])
    shown = re.findall(r"\bcommand\W+(x[x.]*)", result.err)

    assert 126 == result.code
    assert ["x" * 1000 + "..."] * (2 if style == "json" else 1) == shown
    assert f"{'x' * 80}... cannot be run" in result.err
    assert max(map(len, result.err.splitlines())) < 4096


@pytest.mark.parametrize("style", ["json", "console"])
def test_value_of_1000_characters_is_not_cut(run, style):
    """What is as long as a value may be is shown to its end."""
    result = run(["-v", f"--log-format={style}"], ["x/" * 500])

    assert 127 == result.code
    shown = re.findall(r"\bcommand\W+([x/.]*)", result.err)
    assert ["x/" * 500] * (2 if style == "json" else 1) == shown


@pytest.mark.parametrize("style", ["json", "console"])
def test_name_of_a_process_cannot_forge_a_line(start, style):
    """Newlines, escapes and bytes that are no text are shown as what they are."""
    name = "import sys; open('/proc/self/comm', 'wb').write(b'a\\nb\\x1b[31m\\xff')"
    script = '("$@" &); read x'
    command = ["sh", "-c", script, "-", *PYTHON, "-c", name]
    run = start(["-w", f"--log-format={style}"], command, stdin=subprocess.PIPE)
    line = run.process.stderr.readline().decode()
    result = run.finish(b"\n")

    assert (1, "") == (line.count("\n"), result.err)
    assert "'a\\nb\\x1b[31m\\xff' (pid " in (
        json.loads(line)["message"] if style == "json" else line
    )
    assert style == "console" or "a\\nb\\x1b[31m\\xff" == json.loads(line)["name"]
    assert "\x1b" not in line


@pytest.mark.parametrize("value", ["x level=error", "x=1", "it's", 'a "b"'])
def test_value_cannot_forge_a_key(monkeypatch, value):
    """On a console a value that looks like another key has quotes; structlog 23.1 sets none."""
    lines = []

    def render(_logger, _method, event):
        return " ".join(f"{k}={v if isinstance(v, str) else repr(v)}" for k, v in event.items())

    monkeypatch.setattr(
        structlog.dev.ConsoleRenderer, "__call__", lambda _self, *event: render(*event)
    )
    emit, _ = log.load_emitter("console", lines.append)
    emit((2, 0.0, "orphan_reaped", {"name": value, "code": 0}))

    assert lines[0].endswith(f" name={value!r} code=0")


def test_workloads_python_variables_do_not_spoil_the_log(run, tmp_path):
    """PYTHONPATH with a logging.py in it, PYTHONWARNINGS=error and friends are not pyinit's."""
    for module in ("logging", "queue", "json", "structlog", "threading", "datetime"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(77)\n")
    variables = [
        f"PYTHONPATH={tmp_path}",
        "PYTHONWARNINGS=error",
        "PYTHONINSPECT=1",
        "PYTHONDEVMODE=1",
        "PYTHONSTARTUP=/nowhere",
        "PYTHONUNBUFFERED=1",
    ]
    result = run(["-v"], ["sh", "-c", "exit 3"], wrap=["env", *variables], cwd=tmp_path)

    assert (3, "child_exited") == (result.code, result.events[-1]["event"])
