"""docs/events.md tells of every event and every key, and of no others."""

import re
import shlex
import signal
import subprocess

import pytest

from testkit.namespaces import UNSHARE
from testkit.programs import PYINIT, ROOT_DIRECTORY, victim
from testkit.refusals import refusing

SECTIONS = re.split(r"^###? ", (ROOT_DIRECTORY / "docs/events.md").read_text(), flags=re.MULTILINE)
COMMON = {"timestamp", "level", "logger", "event", "message"}
LOUD = {"warning", "error"}  # levels of events that have a message


def keys_in(section: str) -> set[str]:
    """Return the keys in the table of a section."""
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE)
    return set(re.findall(r"\w+", " ".join(cells)))


DOCUMENTED = {
    title: keys_in(section)
    for section in SECTIONS
    if re.fullmatch(r"[a-z][a-z0-9_]+", title := section.split("\n")[0])
}
DOCUMENTED["forward_refused"] |= DOCUMENTED["signal_forwarded"]
DOCUMENTED["signal_dropped"] = DOCUMENTED["signal_forwarded"] - {"sent", "target"}
# By how a process ended, and by what was found out of one that does not.
OPTIONAL = {"code", "signal", "core_dumped", "oom_kills", "reason"}
OPTIONAL |= {"waits_for", "stack", "no_stack", "below"}


def test_every_event_has_its_section():
    """The names of events in the code are the names of sections in the page."""
    code = "\n".join(path.read_text() for path in (ROOT_DIRECTORY / "pyinit").rglob("*.py"))
    levels = r"ERROR|WARNING|INFO|DEBUG|level\(\)|level|now|wall_clock\(\)"
    told = set(re.findall(rf"""(?:{levels}),\s*"(\w+)\"""", code))

    assert set(DOCUMENTED) == told


def test_common_keys_are_documented():
    """What every line has stands in the first table."""
    (section,) = (section for section in SECTIONS if section.startswith("Every event"))

    assert COMMON == keys_in(section)


def an_uneventful_run(start):
    return start(["-vv", "-s"], ["sh", "-c", "exit 1"]).finish()


def a_death_by_signal(start):
    return start(["-v"], ["sh", "-c", "kill -KILL $$"]).finish()


def a_run_off_pid1(start):
    return start(["-v"], namespace=False).finish()


def a_run_that_is_stopped(start):
    run = start(["-v"], victim("listener", 0))
    run.ready()
    return run.stop(signal.SIGTERM)


def a_failed_exec(start):
    return start(command=["no-such-program"]).finish()


def a_refused_subreaper(start):
    return start(wrap=refusing("prctl:error=EPERM"), namespace=False).finish()


def a_refused_forward(start):
    run = start(
        command=["sh", "-c", "kill $PPID; exit 3"],
        wrap=refusing("kill:error=EPERM"),
        namespace=False,
    )
    return run.finish()


def orphans(start):
    command = ["sh", "-c", "(sh -c 'exit 4' &); (sh -c 'kill -KILL $$' &); read x"]
    run = start(["-w"], command, stdin=subprocess.PIPE)
    seen = [run.process.stderr.readline().decode() for _ in range(2)]
    return type(run.finish(b"\n"))(0, "", "".join(seen))


def a_rewritten_signal(start):
    run = start(["-v", "-r", "HUP:0", "-r", "USR1:TERM"], victim("listener", 0))
    run.ready()
    run.send(signal.SIGHUP)
    seen = run.process.stderr.readline(), run.process.stderr.readline()
    rest = run.stop(signal.SIGUSR1)
    return type(rest)(0, "", "".join(line.decode() for line in seen) + rest.err)


def a_kill(start, seconds="3"):
    run = start(["-k", seconds], victim("listener"))
    run.ready()
    return run.stop()


def a_timeout(start):
    return start(["-t", "0.5"], ["sleep", "1000"]).finish()


def steps(start):
    run = start(
        ["-v", "-k", "INT:0.2,TERM:1000,KILL", "--explain-after", "0"], victim("listener", 3)
    )
    run.ready()
    return run.stop()


def a_leak(start):
    return start(["--leftovers", "9"], ["sh", "-c", "sleep 1000 >/dev/null & exit 0"]).finish()


def a_kill_of_a_shell(start, seconds="3"):
    """Its child runs no Python, and is below it."""
    command = ["sh", "-c", "trap : TERM; echo 'ready (pid: 2)'; sleep 1000; :"]
    run = start(["-k", seconds], command)
    run.ready()
    return run.stop()


def a_refused_kill(start):
    command = ["sh", "-c", "trap '' TERM; kill $PPID; read x"]
    pipe = {"stdin": subprocess.PIPE}
    run = start(
        ["-k", "0.1"], command, wrap=refusing("kill:error=EPERM:when=2"), namespace=False, **pipe
    )
    told = b"".join(run.process.stderr.readline() for _ in range(3))
    run.finish()
    return type(run.finish())(0, "", told.decode())


def a_drain(start):
    command = ["sh", "-c", '"$@" & read x', "-", *victim("listener")]
    run = start(["-v", "-d", "0.1"], command, stdin=subprocess.PIPE)
    run.ready()
    run.close_stdin()
    return run.finish()


def nothing_to_drain(start):
    return start(["-vv"], wrap=refusing("prctl:error=EPERM"), namespace=False).finish()


def a_shell_around_it(start):
    run = start(wrap=["dash", "-c", f'{PYINIT} -- true; echo "$@"', "-"])
    return run.finish()


def a_deaf_nested_init(start):
    nested = shlex.join([*UNSHARE, "sh", "-c", "echo ready; exec sleep 100"])
    run = start(command=["sh", "-c", f"{nested} 2>/dev/null & read x"], stdin=subprocess.PIPE)
    assert "ready" == run.line()
    run.close_stdin()
    return run.finish()


def an_internal_error(start):
    return start(
        command=["sh", "-c", "exit 3"],
        wrap=refusing("waitid:error=EINVAL:when=1"),
        namespace=False,
    ).finish()


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (an_uneventful_run, {"child_started", "child_exited", "subreaper_needless"}),
        (a_death_by_signal, {"child_started", "child_exited"}),
        (a_run_off_pid1, {"not_pid1", "child_started", "child_exited"}),
        (a_run_that_is_stopped, {"child_started", "signal_forwarded", "child_exited"}),
        (a_failed_exec, {"exec_failed"}),
        (a_refused_subreaper, {"subreaper_refused"}),
        (a_refused_forward, {"forward_refused"}),
        (orphans, {"orphan_reaped"}),
        (
            a_rewritten_signal,
            {"child_started", "signal_dropped", "signal_forwarded", "child_exited"},
        ),
        (a_shell_around_it, {"shell_is_pid1"}),
        (a_deaf_nested_init, {"drain_survivor"}),
        (a_kill, {"stop_is_slow", "kill_after_expired", "child_exited"}),
        (a_timeout, {"timed_out"}),
        (
            steps,
            {"child_started", "signal_forwarded", "stop_escalated", "child_exited"},
        ),
        (a_leak, {"leftovers"}),
        (a_kill_of_a_shell, {"stop_is_slow", "kill_after_expired", "child_exited"}),
        (a_refused_kill, {"stop_is_slow", "kill_after_expired", "kill_refused"}),
        (
            a_drain,
            {
                "child_started",
                "child_exited",
                "drain_started",
                "drain_survivor",
                "orphan_reaped",
                "drain_finished",
            },
        ),
        (
            nothing_to_drain,
            {"subreaper_refused", "nothing_to_drain", "not_pid1", "child_started", "child_exited"},
        ),
        (an_internal_error, {"internal_error"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_keys_are_those_of_the_page(start, make, names):
    """Each line has the keys of its section, less those that depend on how a process ended."""
    events = make(start).events

    assert names == {event["event"] for event in events}
    for event in events:
        wanted = DOCUMENTED[event["event"]] | COMMON
        assert wanted >= set(event)
        assert wanted - set(event) <= (OPTIONAL if "pid" in event else {"sent"}) | {"message"}
        assert ("message" in event) == (event["level"] in LOUD)


def test_what_was_found_out_is_told(start):
    """Of a process that does not stop: why, what it waits for, and its stack or why there is none.

    Below `stop_is_slow` it may be less, as there is little time for the look: what is found out
    before the kill counts. That takes two looks of 2 s at most, with -k 10.
    """
    python = a_kill(start, "10").named("kill_after_expired")[0]
    shell = a_kill_of_a_shell(start, "10").named("kill_after_expired")[0]
    (sleep,) = shell["below"]

    assert DOCUMENTED["kill_after_expired"] - set(python) == {"no_stack", "below"}
    assert DOCUMENTED["kill_after_expired"] - set(shell) == {"stack"}
    assert {"pid", "name", "state", "seconds", "waits_for", "no_stack"} == set(sleep)
    assert "listener.py" in python["stack"][0]


def test_keys_without_structlog_are_those_of_the_page(run, sabotage):
    """The plain lines have the keys of the page, too, but for the logger."""
    wrap = sabotage("import sys; sys.modules['structlog'] = None\n")
    unavailable, started, _exited = run(["-v"], wrap=wrap).events

    assert DOCUMENTED["structlog_unavailable"] | COMMON - {"logger"} == set(unavailable)
    assert DOCUMENTED["child_started"] | COMMON - {"logger", "message"} == set(started)


def test_keys_without_python_prctl_are_those_of_the_page(run, sabotage):
    """What is told where ctypes makes the calls."""
    wrap = sabotage("import sys; sys.modules['prctl'] = None\n")
    (event,) = run(["-vv"], wrap=wrap, namespace=False).named("python_prctl_unavailable")

    assert DOCUMENTED["python_prctl_unavailable"] | COMMON - {"message"} == set(event)


def test_processes_that_were_left_behind_have_the_keys_of_the_page(start):
    """Each object in the list."""
    (event,) = a_leak(start).events
    (section,) = (section for section in SECTIONS if section.startswith("leftovers\n"))
    (row,) = (row for row in section.splitlines() if row.startswith("| `processes`"))

    assert set(event["processes"][0]) == set(re.findall(r"`(\w+)`", row)) - {"processes"}
