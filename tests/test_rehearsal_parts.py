"""The parts of a rehearsal, each by itself: pipes, readiness, inits, leaks, the census."""

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyinit.rehearse import census, inits, leaks, streams
from pyinit.rehearse.census import Seen, Signals
from pyinit.rehearse.errors import NotRehearsedError
from pyinit.rehearse.inits import Init, called, split
from pyinit.rehearse.model import NONE, Plan, Process
from pyinit.rehearse.readiness import Readiness
from pyinit.rehearse.streams import Events, Output

NOW = 100.0
APP = Plan(("app",))


def fed(stream, pieces) -> None:
    """Make a stream read pieces, each as it comes, and then its end."""
    for piece in filter(None, pieces):
        os.write(stream.writer, piece)
        while stream.read() and len(piece) > streams.CHUNK:
            piece = piece[streams.CHUNK :]  # noqa: PLW2901 - one read takes no more
    stream.close_writer()
    assert not stream.read()
    stream.close()


def pieces_of(data: bytes, places) -> list[bytes]:
    """Return data cut at these places."""
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[begin:end] for begin, end in itertools.pairwise(cuts)]


BYTES = st.lists(st.sampled_from([b"\n", b"re", b"ready", b"y", b"\xff", b"\xc3\xa9", b"\0"]))
PLACES = st.lists(st.integers(0, 200), max_size=8)


@given(BYTES.map(b"".join), PLACES)
def test_output_is_the_same_however_it_is_split(data, places):
    """Each line is shown once, and the text is found across pieces."""
    shown = []
    output = Output("ready", shown.append)
    fed(output, pieces_of(data, places))
    lines = [line.decode(errors="replace") for line in data.split(b"\n")]

    assert (b"ready" in data) == output.has_said
    assert lines[: -1 if not lines[-1] else None] == shown
    assert [line for line in lines[-streams.MOST_LINES :] if line] == output.lines()
    assert output.has_ended


def test_text_that_is_not_utf8_is_waited_for():
    """What the shell gave as bytes is searched as bytes."""
    output = Output(os.fsdecode(b"\xffready"), lambda _: None)
    fed(output, [b"a\xff", b"ready"])

    assert output.has_said


def test_no_text_is_in_no_output():
    """Without --ready-when no output means that it is ready."""
    output = Output("", lambda _: None)
    fed(output, [b"ready\n"])

    assert not output.has_said


def test_line_without_an_end_is_shown_in_parts(monkeypatch):
    """It needs no more memory than a long line."""
    monkeypatch.setattr(streams, "LONGEST_LINE", 10)
    shown = []
    fed(Output("", shown.append), [b"a" * 8, b"b" * 8, b"c" * 8, b"\n"])

    assert ["a" * 8 + "b" * 8, "c" * 8] == shown


def test_last_lines_are_kept():
    """Only the last lines are kept."""
    output = Output("", lambda _: None)
    fed(output, [b"%d\n" % n for n in range(200)])

    assert [str(n) for n in range(200)][-streams.MOST_LINES + 1 :] == output.lines()[-49:]
    assert len(output.lines()) <= streams.MOST_LINES


def test_lines_are_asked_for_while_they_come():
    """By a test, which is in another thread."""
    output = Output("", lambda _: None)
    thread = threading.Thread(target=fed, args=(output, [b"line\n" * 100] * 500))
    thread.start()
    while thread.is_alive():
        output.lines()
    thread.join()

    assert {"line"} == set(output.lines())


def test_nothing_to_read_is_no_end():
    """A read that finds nothing is not the end."""
    output = Output("", lambda _: None)

    assert output.read()
    assert not output.has_ended
    fed(output, [])


def line_of(name: str, **keys) -> str:
    return json.dumps({"event": name, "timestamp": "2026-01-01T00:00:01+00:00", **keys})


@given(st.lists(st.text(max_size=20), max_size=4), PLACES, st.integers(0, 3))
def test_events_are_the_same_however_they_are_split(texts, places, at):
    """All whole lines are kept; a line that was cut is not an event, and no message either."""
    lines = [line_of("e", number=n, text=text) for n, text in enumerate(texts)]
    whole = "\n".join([*lines, ""]).encode()
    cut = line_of("cut")[: 10 * at + 1].encode()
    events = Events()
    fed(events, pieces_of(whole + cut + b"\n", places))

    assert texts == [event["text"] for event in events.placed(0.0)]
    assert "" == events.complaint()
    assert events.facts is None


FORGED = {
    "no-object": "{}",
    "no-name": '{"timestamp": "2026-01-01T00:00:01Z"}',
    "name-that-is-no-text": line_of(["e"]),
    "pid-that-is-no-number": line_of("child_exited", pid=[2]),
    "code-that-is-no-number": line_of("child_exited", pid=2, code="3"),
    "signal-that-is-no-text": line_of("child_exited", pid=2, signal=["SIGTERM"]),
    "no-such-signal": line_of("signal_forwarded", signal="SIGNO", target="process 2"),
    "no-such-signal-sent": line_of(
        "signal_forwarded", signal="SIGTERM", sent="SIGNO", target="process 2"
    ),
    "no-target": line_of("signal_forwarded", signal="SIGTERM"),
    "no-signal": line_of("stop_escalated", target="process 2"),
    "target-that-is-no-text": line_of("kill_after_expired", target=2),
    "no-number-of-killed": line_of("drain_finished"),
    "reason-that-is-no-text": line_of("stop_is_slow", pid=2, reason=["it waits"]),
    "nested-too-deep": line_of("e", key=[[[[[[[[1]]]]]]]]),
    "nested-beyond-all-bounds": '{"event": ' + "[" * 60_000,
    "time-before-all-years": '{"event": "e", "timestamp": "0001-01-01T00:00:00"}',
    "number-without-end": '{"event": "e", "timestamp": "2026-01-01", "pid": ' + "1" * 5000 + "}",
}


@pytest.mark.parametrize("line", FORGED.values(), ids=FORGED)
def test_what_is_no_event_of_pyinit(line):
    """A line that lacks a key, or has one of another type, is ignored: the program wrote it."""
    events = Events()
    fed(events, [f"{line}\n{line_of('child_exited', pid=2, code=3)}\n".encode()])

    assert ["child_exited"] == [event["event"] for event in events.placed(0.0)]
    assert "" == events.complaint()


def test_events_have_their_place_in_time():
    """Times count from a moment of the wall clock."""
    events = Events()
    fed(events, [line_of("child_started").encode()])

    assert [5.0] == [event["at"] for event in events.placed(1767225601.0 - 5.0)]


def test_events_are_not_kept_without_end(monkeypatch):
    """The events of the stop are the last, so the last ones are kept; there is no message."""
    monkeypatch.setattr(streams, "MOST_EVENTS", 2)
    events = Events()
    fed(events, [f"{line_of(name)}\n".encode() for name in "abcde"])

    assert ["d", "e"] == [event["event"] for event in events.placed(0.0)]
    assert "" == events.complaint()


def test_what_the_stage_tells_comes_after_its_mark():
    """Lines before it that are no events are messages, all lines after it are facts."""
    events = Events()
    fed(events, [f"unshare: no\n\nat all\n{leaks.MARK}\n{{}}\nb\n".encode()])

    assert ["{}", "b", ""] == events.facts
    assert "unshare: no at all" == events.complaint()


def seen_one(pid=2, *, outer=0, is_program=True) -> Seen:
    found = Seen(Process(pid, "app", "app", 1, 0.0), outer, 0, -1)
    found.is_program = is_program
    return found


class Everybody:
    """A census of one child, with the CPU time of its processes."""

    def __init__(self, *used, child=None):
        self.used = list(used)
        self.seen = [child] if child is not None else []

    def cpu(self, *, is_init_apart):
        assert is_init_apart
        return self.used.pop(0) if len(self.used) > 1 else self.used[0]


def readiness_of(plan, people=None, *, has_said=False) -> Readiness:
    people = people or Everybody(None, child=seen_one())
    return Readiness(plan, "pyinit", people, SimpleNamespace(has_said=has_said))


READY = {
    "during-boot": ({"during_boot": True, "ready_when": "x"}, False, ("running", NOW)),
    "during-boot-after": ({"during_boot": True, "after": 2.0}, False, ("running", NOW + 2)),
    "text": ({"ready_when": "x"}, True, ("'x'", NOW)),
    "text-to-come": ({"ready_when": "x"}, False, None),
    "text-and-after": ({"ready_when": "x", "after": 3.0}, True, ("'x'", NOW + 3)),
    "text-and-load": ({"ready_when": "x", "load": "true"}, True, ("'x'", NOW + 0.5)),
    "load-and-after": (
        {"ready_when": "x", "load": "true", "after": 0.0},
        True,
        ("'x'", NOW),
    ),
    "after": ({"after": 4.0}, False, ("running", 94.0)),
    "asleep-to-come": ({}, False, None),
    "load-before-asleep": ({"load": "true", "after": 4.0}, False, None),
}


@pytest.mark.parametrize(("plan", "has_said", "expected"), READY.values(), ids=READY)
def test_ready(plan, has_said, expected):
    """What shows it, and when it may be stopped."""
    assert expected == readiness_of(Plan(("app",), **plan), has_said=has_said).look(90.0, NOW)


@pytest.mark.parametrize("child", [None, seen_one(is_program=False)], ids=["none", "not-yet"])
def test_nothing_is_ready_before_the_program_runs(child):
    """Not even with --during-boot."""
    people = Everybody(None, child=child)

    assert readiness_of(Plan(("app",), during_boot=True), people).look(90.0, NOW) is None


def asleep(used, times) -> list[bool]:
    """Return at which of these times a command with this CPU time is found asleep."""
    found = readiness_of(Plan(("app",)), Everybody(*used, child=seen_one()))
    return [found.look(0.0, now) is not None for now in times]


QUIET = {
    "at-once": ([7, 7, 7], [0.0, 0.4, 0.6], [False, False, True]),
    "a-little": ([0, 9_000_000, 9_000_000], [0.0, 0.3, 0.6], [False, False, True]),
    "too-much": ([0, 11_000_000, 11_000_000], [0.0, 0.3, 0.6], [False, False, False]),
    "one-runs": ([7, None, 7, 7], [0.0, 0.3, 0.6, 1.2], [False, False, False, True]),
    "kernel-does-not-count": ([0, 0], [0.0, 0.6], [False, True]),
}


@pytest.mark.parametrize(("used", "times", "expected"), QUIET.values(), ids=QUIET)
def test_asleep(used, times, expected):
    """All are asleep, and have used little CPU, for half a second."""
    assert expected == asleep(used, times)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"ready_when": "x"}, "'x' in its output"),
        ({"ready_port": 80}, "port 80"),
        ({}, "all of its processes asleep"),
    ],
    ids=str,
)
def test_what_is_waited_for(plan, expected):
    """In words, for the message that it does not come."""
    assert expected == readiness_of(Plan(("app",), **plan)).expected()


def test_port():
    """It is ready as soon as the port accepts connections."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        plan = Plan(("app",), ready_port=port)
        assert readiness_of(plan).look(0.0, NOW) is None
        server.listen()
        assert (f"port {port}", NOW) == readiness_of(plan).look(0.0, NOW)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a folder with these programs, which is the whole PATH."""
    for name in ("tini", "dumb-init", "catatonit", "docker-init", "podman-init"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (tmp_path / "data").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


OWN = [*inits.own_words("pyinit")]
USUAL = ["-vv", "--log-format", "json", "--explain-after=5", "--"]
SPLIT = {
    "app -v": ("pyinit", [*OWN, *USUAL], "pyinit --", "app -v"),
    "pyinit app": ("pyinit", [*OWN, *USUAL], "pyinit", "app"),
    "pyinit -g -- app -x": ("pyinit", [*OWN, "-g", *USUAL], "pyinit -g --", "app -x"),
    "pyinit -d 3 app": ("pyinit", [*OWN, "-d", "3", *USUAL], "pyinit -d 3", "app"),
    "pyinit -- pyinit -- app": ("pyinit", [*OWN, *USUAL], "pyinit --", "pyinit -- app"),
    "tini app": ("tini", ["tini"], "tini", "app"),
    "tini -g -- app": ("tini", ["tini", "-g", "--"], "tini -g --", "app"),
    "tini -g -p KILL app": ("tini", ["tini", "-g", "-p", "KILL"], "tini -g -p KILL", "app"),
    "tini -ve 143 app": ("tini", ["tini", "-ve", "143"], "tini -ve 143", "app"),
    "tini -e143 app": ("tini", ["tini", "-e143"], "tini -e143", "app"),
    "tini -- -app": ("tini", ["tini", "--"], "tini --", "-app"),
    "docker-init -- app": ("tini", ["docker-init", "--"], "docker-init --", "app"),
    "podman-init app": ("catatonit", ["podman-init"], "podman-init", "app"),
    "catatonit -g app": ("catatonit", ["catatonit", "-g"], "catatonit -g", "app"),
    "dumb-init -r 15:3 -- app": (
        "dumb-init",
        ["dumb-init", "-r", "15:3", "--"],
        "dumb-init -r 15:3 --",
        "app",
    ),
    "dumb-init --rewrite 15:3 app": (
        "dumb-init",
        ["dumb-init", "--rewrite", "15:3"],
        "dumb-init --rewrite 15:3",
        "app",
    ),
    "dumb-init --rewrite=15:3 app": (
        "dumb-init",
        ["dumb-init", "--rewrite=15:3"],
        "dumb-init --rewrite=15:3",
        "app",
    ),
}


@pytest.mark.parametrize(("line", "expected"), SPLIT.items(), ids=SPLIT)
def test_init_is_taken_off_a_command(programs, line, expected):
    """With its options; a command without one gets pyinit."""
    name, words, shown, command = expected
    if name != "pyinit":
        words = [str(programs / words[0]), *words[1:]]
    init, rest = split(tuple(line.split()))

    assert Init(name, tuple(words), tuple(shown.split())) == init
    assert tuple(command.split()) == rest
    assert (name == "pyinit") == init.tells


def test_pyinit_by_its_path(programs):
    """It is the one of the name."""
    (programs / "pyinit").symlink_to(programs / "tini")
    path = str(programs / "pyinit")
    init, _ = split((path, "--", "app"))

    assert (path, (path, "--")) == (init.words[0], init.shown)


@pytest.mark.usefixtures("programs")
def test_short_grace_period_is_explained_in_time():
    """pyinit explains a slow stop before the rehearsal kills it."""
    assert "--explain-after=1" in split(("app",), 2.0)[0].words


WORDS = st.sampled_from(
    [*inits.KNOWN, "docker-init", "-g", "-e", "-ge", "143", "-k", "5", "--rewrite", "-r", "--", "a"]
)


@given(st.lists(WORDS, max_size=7).map(tuple))
def test_no_word_is_lost(words):
    """Any command is run, by its init or by pyinit."""
    with mock.patch.object(inits, "found", str):
        try:
            init, rest = split(words)
        except NotRehearsedError:  # there is no command, or no such init
            return

    assert rest
    assert words in {(*init.shown, *rest), rest}
    assert words != rest or ("pyinit", "--") == init.shown


REFUSED = {
    "": "expected a command to rehearse",
    "pyinit": "no command to run: write it after the options",
    "pyinit --bogus app": "--bogus",
    "pyinit --version": "pyinit --version runs no command, so there is nothing to stop",
    "pyinit --inspect": "pyinit --inspect runs no command",
    "tini": "tini runs no command, so there is nothing to stop",
    "tini -g --": "tini -g -- runs no command",
    "tini -e": "tini -e runs no command",
    "tini -e 143": "tini -e 143 runs no command",
    "/nowhere/tini -- app": "/nowhere/tini cannot be run: it is not in PATH, or not executable",
    "/nowhere/pyinit -- app": "/nowhere/pyinit cannot be run",
}


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(("line", "expected"), REFUSED.items(), ids=map(repr, REFUSED))
def test_command_that_is_none(line, expected):
    """One line says what is wrong with the command."""
    with pytest.raises(NotRehearsedError) as refused:
        split(tuple(line.split()))

    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("programs")
def test_empty_word_is_no_command():
    """As if a variable were empty."""
    with pytest.raises(NotRehearsedError, match="expected a command"):
        split(("", "app"))


def test_inits_by_their_names(programs):
    """Each without options, for --beside."""
    assert Init(NONE, (), ()) == called("none")
    assert Init("tini", (str(programs / "tini"), "--"), ("tini", "--")) == called("docker-init")
    assert split(("app",))[0] == called("pyinit")
    (programs / "catatonit").unlink()
    with pytest.raises(NotRehearsedError, match="catatonit cannot be run"):
        called("catatonit")
    known = "'init' is not a known init: choose from pyinit, tini, dumb-init, catatonit, none"
    with pytest.raises(NotRehearsedError, match=known):
        called("init")


def test_pyinit_is_found_beside_python_or_in_path_or_in_python(programs, monkeypatch):
    """First the one of this environment; without its script, the package."""
    monkeypatch.setattr(sys, "executable", str(programs / "bin" / "python"))
    assert (sys.executable, "-I", "-m", "pyinit") == inits.own_words("pyinit")
    (programs / "pyinit").symlink_to(programs / "tini")
    assert (str(programs / "pyinit"),) == inits.own_words("pyinit")


@pytest.fixture
def place(tmp_path, tmp_path_factory, monkeypatch):
    """Return a folder that is the only one that is searched for leaks."""
    monkeypatch.setattr(leaks, "PLACES", ("/nowhere", str(tmp_path)))
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    return tmp_path


def left(facts=None, held=None, plan=APP, began=0.0) -> list[tuple[str, str, bool]]:
    found = leaks.found(facts, held or {}, [seen_one(7)], plan, began)
    return [(leak.kind, leak.name, leak.counts) for leak in found]


HEAD = "       key      shmid perms                  size  cpid  lpid nattch"
FACTS = {
    "nothing": ([HEAD], []),
    "segment": (
        [HEAD, " 305419896         65  1600                    4096    12     9      0"],
        [("System V shared memory", "segment 65", True)],
    ),
    "segment-of-a-negative-key": (
        [HEAD, "        -1          2   600                    56 1    1      0"],
        [("System V shared memory", "segment 2", True)],
    ),
    "posix": (["4096 /dev/shm/a b"], [("POSIX shared memory", "/dev/shm/a b", True)]),
    "name-of-two-lines": (
        ["4 /dev/shm/a", "1 2", "x /dev/shm/y", "/dev/shm/z", ""],
        [("POSIX shared memory", "/dev/shm/a", True)],
    ),
    "complaint": (["stat: cannot statx '/dev/shm/a': No such file or directory"], []),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("facts", "expected"), FACTS.values(), ids=FACTS)
def test_shared_memory_that_is_left(facts, expected):
    """Both kinds, as the stage prints them, with any name."""
    assert expected == left(facts)


@pytest.mark.usefixtures("place")
def test_sizes_are_told():
    """The size is in bytes."""
    told = leaks.found(["12345 /dev/shm/a"], {}, [], Plan(("app",)), 0.0)

    assert ["12,345 bytes"] == [leak.detail for leak in told]


def test_pid_file_of_a_process_that_was_there(place):
    """In a place, one folder below, or in a word of the command; not of another process."""
    (place / "a.pid").write_text("7\n")
    (place / "other.pid").write_text("8\n")
    (place / "below").mkdir()
    (place / "below" / "b.pid").write_text("7")
    (place / "below" / "deep").mkdir()
    (place / "below" / "deep" / "c.pid").write_text("7")
    (place / "below" / "deep" / "d.pid").write_text("7")
    plan = Plan(("app", "--pidfile=below/deep/d.pid"), directory=str(place))
    expected = [place / "a.pid", place / "below" / "b.pid", place / "below" / "deep" / "d.pid"]

    assert [("PID file", str(path), True) for path in expected] == left(plan=plan)


def test_pid_files_of_another_rehearsal(tmp_path, monkeypatch):
    """Deeper in a folder for temporary files, a file may be about another process."""
    place = tmp_path / "tmp"
    (place / "below").mkdir(parents=True)
    for path in (place / "a.pid", place / "below" / "b.pid"):
        path.write_text("7")
    monkeypatch.setattr(leaks, "PLACES", (str(place),))
    monkeypatch.delenv("TMPDIR", raising=False)

    assert [("PID file", str(place / "a.pid"), True)] == left()


def test_files_that_were_open(place):
    """A file is reported but does not count; files that are older, gone or special are not."""
    for name in ("new", "old"):
        (place / name).touch()
    os.utime(place / "old", (5, 5))
    (place / "folder").mkdir()
    held = {str(place / name): "file" for name in ("new", "old", "folder", "gone")}

    assert [("file", str(place / "new"), False)] == left(held=held, began=100.0)


@pytest.mark.usefixtures("place")
def test_socket_that_is_left(folder):
    """The next start may not get this address."""
    path = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert [("socket", path, True)] == left(held={path: "socket"})


def test_what_a_process_has_open(folder, monkeypatch):
    """Sockets with a path, and files in the places; not those that are deleted or elsewhere."""
    monkeypatch.setattr(leaks, "PLACES", ("/nowhere",))
    monkeypatch.setenv("TMPDIR", str(folder))
    path = str(folder / "s")
    with (
        socket.socket(socket.AF_UNIX) as server,
        open(folder / "f", "w"),
        open(folder / "deleted", "w"),
        open("/proc/self/maps"),
    ):
        (folder / "deleted").unlink()
        server.bind(path)
        server.listen()
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as relative, socket.socket(socket.AF_UNIX) as abstract:
            relative.bind("r")
            abstract.bind(f"\0{path}")
            found = leaks.hold([seen_one(outer=os.getpid())])

    assert {path: "socket", str(folder / "r"): "socket", str(folder / "f"): "file"} == found


def test_a_process_that_is_gone_has_nothing_open():
    """The look does not fail either."""
    done = subprocess.Popen(["true"])
    done.wait()

    assert {} == leaks.hold([seen_one(outer=done.pid)])


def test_file_that_is_closed_meanwhile_hides_no_other(folder, monkeypatch):
    """A busy process opens and closes files in the meantime."""
    monkeypatch.setenv("TMPDIR", str(folder))
    with open(folder / "f", "w"):
        listed = os.listdir("/proc/self/fd")
        monkeypatch.setattr(os, "listdir", lambda _: ["999999", *listed])
        assert str(folder / "f") in leaks.hold([seen_one(outer=os.getpid())])


def test_without_a_list_of_sockets_there_are_none(monkeypatch):
    """As if /proc/net were hidden."""

    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(leaks, "open", refuse, raising=False)

    assert "socket" not in leaks.hold([seen_one(outer=os.getpid())]).values()
    assert "" == leaks._content("/etc/hostname")


BIT = 1 << (signal.SIGTERM - 1)


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (Signals(), ""),
        (Signals(caught=BIT), "handles"),
        (Signals(ignored=BIT), "ignores"),
        (Signals(blocked=BIT, caught=BIT), "blocks"),
        (Signals(blocked=BIT, ignored=BIT), "ignores"),
        (Signals(caught=BIT >> 1, ignored=BIT << 1), ""),
    ],
    ids=str,
)
def test_what_a_process_does_with_a_signal(signals, expected):
    assert expected == signals.of(signal.SIGTERM)


def test_what_a_process_does_is_read_from_proc():
    """Its command, its group, its signals; the signals of the look before are kept as well."""
    own = seen_one(outer=os.getpid())
    own.look_closely()
    first = own.signals
    own.look_closely()

    assert os.getpgrp() == own.group
    assert first == own.before
    assert "handles" == first.of(signal.SIGINT)
    assert own.process.command


def test_what_a_gone_process_did_is_kept():
    """It has ended between two looks."""
    done = subprocess.Popen(["true"])
    done.wait()
    gone = seen_one(outer=done.pid)
    gone.signals = Signals(caught=BIT)
    gone.look_closely()
    gone.look(None)

    assert ("app", "handles") == (gone.process.command, gone.signals.of(signal.SIGTERM))


def test_pid_that_is_anothers_now_tells_nothing():
    """A new process with the pid of one whose end is not noted yet is not the old one."""
    other = seen_one(outer=os.getpid())
    other.look(None)

    assert "app" == other.process.name


def kernel(mask=census.INFO_EXIT, status=0, error=None):
    """Return an ioctl(2) that answers PIDFD_GET_INFO with this."""

    def ioctl(_pidfd, request, room):
        assert (census.GET_INFO, census.INFO_EXIT) == (request, struct.unpack_from("Q", room)[0])
        if error:
            raise error
        struct.pack_into("Q", room, 0, mask)
        struct.pack_into("i", room, census.EXIT_CODE_AT, status)

    return ioctl


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (kernel(status=3 << 8), 3 << 8),
        (kernel(mask=0, status=3 << 8), None),
        (kernel(error=OSError(25, "no such ioctl")), None),
    ],
    ids=["told", "not-yet", "old-kernel"],
)
def test_status_as_the_kernel_tells_it(monkeypatch, answer, expected):
    """Since Linux 6.15, after it was reaped."""
    monkeypatch.setattr(census.fcntl, "ioctl", answer)

    assert expected == census._exit_status(0)


def test_descriptors_of_the_dead_are_bounded(monkeypatch):
    """Without a status from the kernel, processes that ended long ago are not waited for."""
    monkeypatch.setattr(census, "MOST_OPEN", 2)
    monkeypatch.setattr(census.fcntl, "ioctl", kernel(mask=0))
    people = census.Census(os.getpid())
    for _ in range(5):
        one = seen_one()
        one.process.ended = 1.0
        one.pidfd = os.pidfd_open(os.getpid())
        people.seen.append(one)
    people.note_statuses()

    assert [-1, -1, -1] == [one.pidfd for one in people.seen[:3]]
    assert all(one.pidfd >= 0 for one in people.seen[3:])
    people.close()
    assert {-1} == {one.pidfd for one in people.seen}
    people.close()  # once more does no harm


def test_nobody_is_in_a_namespace_that_is_not_there():
    """No PID 1, no child, no process that is asleep."""
    people = census.Census(os.getpid())

    assert ([], None) == (people.look(), people.init)
    assert census.child_of("pyinit", people.seen) is None
    assert census.child_of(NONE, people.seen) is None
    assert people.cpu(is_init_apart=True) is None


def test_facts_of_a_process_that_is_gone():
    """No children, no time, no pids, nothing to note."""
    done = subprocess.Popen(["true"])
    done.wait()

    assert (0, [], []) == (
        census._cpu(done.pid),
        census._children(done.pid),
        census._namespace_pids(done.pid),
    )
    assert census.Census(os.getpid())._note(done.pid) is None


def test_nobody_of_this_namespace_is_noted():
    """Only processes below count."""
    assert census.Census(os.getpid())._note(os.getpid()) is None


def test_process_that_goes_as_it_is_noted(monkeypatch):
    """Between two questions about it."""

    def gone(_pid):
        raise ProcessLookupError

    people = census.Census(os.getpid())
    people._depth -= 1
    monkeypatch.setattr(os, "pidfd_open", gone)

    assert people._note(os.getpid()) is None
