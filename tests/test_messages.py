"""The sentence in each warning and error: what happened, why, and what to do."""

import json
import os
import re

import pytest

from testkit.programs import ROOT_DIRECTORY, VICTIMS, victim

from pyinit import lifecycle
from pyinit.later import events, messages
from pyinit.later import writer as log
from pyinit.later.plain import plain_emitter
from pyinit.later.waits import RUNS
from pyinit.settings import INFO, WARNING

SECTIONS = re.split(r"^### ", (ROOT_DIRECTORY / "docs/events.md").read_text(), flags=re.MULTILINE)
LONGEST = 200
PREFIX = r"\d\d:\d\d:\d\d \[(error  |warning|info   |debug  )\] "
SH = {"pid": 7, "name": "sh", "state": "sleeping", "seconds": 5.0}
USED = {"seconds": 3.217, "user_seconds": 0.1, "system_seconds": 0.1, "max_rss_kib": 9000}
TERM = {"signal": "SIGTERM", "sender": "sh", "sender_pid": 2, "target": "process 7"}
REFUSED = {"error": "EPERM", "reason": "permission denied"}
WAITS = (
    "sh (pid 7) waits for sleep (pid 8), which did not get SIGTERM: make it forward that, or use -g"
)
HANDLER = "the handler for SIGTERM of sh (pid 7) has not returned"

SENTENCES = [
    (
        "exec_failed",
        {"command": "gunicron", "code": 127, "reason": "not found in PATH (/bin)"},
        "gunicron cannot be run: not found in PATH (/bin)",
    ),
    (
        "exec_failed",
        {"command": "./app", "code": 126, "reason": "./app is a directory, not a program"},
        "./app is a directory, not a program",
    ),
    (
        "exec_failed",
        {"command": "x" * 1000, "code": 126, "reason": "File name too long"},
        f"{'x' * 80}... cannot be run: File name too long",
    ),
    (
        "exec_failed",
        {"command": "app --port 80", "code": 127, "reason": "not found in PATH (/bin)"},
        "'app --port 80' cannot be run: not found in PATH (/bin)",
    ),
    (
        "stop_is_slow",
        {**SH, "signal": "SIGTERM", "reason": WAITS},
        ("sh (pid 7) still runs 5 s after SIGTERM: it waits for sleep (pid 8), "
        "which did not get SIGTERM: make it forward that, or use -g"),
    ),
    (
        "stop_is_slow",
        {**SH, "signal": "SIGINT", "reason": HANDLER},
        ("sh (pid 7) still runs 5 s after SIGINT: "
        "the handler for SIGTERM of sh (pid 7) has not returned"),
    ),
    (
        "stop_is_slow",
        {**SH, "signal": "SIGTERM"},
        ("sh (pid 7) still runs 5 s after SIGTERM; "
        "run pyinit --inspect=7 to see what it does with SIGTERM"),
    ),
    (
        "kill_after_expired",
        {**SH, "target": "process 7", "reason": WAITS},
        ("sh (pid 7) did not exit within 5 s (-k), so pyinit kills it: it waits for sleep (pid 8), "
        "which did not get SIGTERM: make it forward that, or use -g"),
    ),
    (
        "kill_after_expired",
        {**SH, "name": "my app", "seconds": 0.25, "target": "process group 7"},
        ("'my app' (pid 7) did not exit within 0.2 s (-k), so pyinit kills its process group; "
        "raise -k if it needs more time"),
    ),
    (
        "kill_after_expired",
        {**SH, "name": None, "seconds": 0.01, "target": "every process"},
        ("process 7 did not exit within 0.01 s (-k), so pyinit kills every process; "
        "raise -k if it needs more time"),
    ),
    (
        "timed_out",
        {**SH, "signal": "SIGTERM", "waits_for": "wait4 for sleep (pid 8)"},
        ("sh (pid 7) has run for 5 s (-t), so pyinit asks it to stop; "
        "it was in wait4 for sleep (pid 8)"),
    ),
    (
        "timed_out",
        {**SH, "waits_for": "nothing, it is running"},
        "sh (pid 7) has run for 5 s (-t), so pyinit asks it to stop; it was running",
    ),
    (
        "timed_out",
        {**SH, "seconds": 0.25, "stack": ["app.py:3 main", "app.py:9 <module>"], "waits_for": "x"},
        ("sh (pid 7) has run for 0.2 s (-t), so pyinit asks it to stop; "
        "it was at app.py:3 main"),
    ),
    (
        "timed_out",
        {**SH, "name": None},
        ("process 7 has run for 5 s (-t), so pyinit asks it to stop; "
        "raise -t if it needs more time"),
    ),
    (
        "leftovers",
        {"code": 99, "count": 1, "processes": [SH]},
        ("the child left 1 process behind, sh (pid 7), so pyinit exits with 99 (--leftovers): "
        "the command must stop it and wait for it before it exits"),
    ),
    (
        "leftovers",
        {"code": 99, "count": 5, "processes": [SH] * 5},
        ("the child left 5 processes behind, sh (pid 7), sh (pid 7), sh (pid 7), sh (pid 7), ..., "
        "so pyinit exits with 99 (--leftovers): "
        "the command must stop them and wait for them before it exits"),
    ),
    (
        "leftovers",
        {"code": 99, "count": None, "processes": []},
        ("the child left processes behind that /proc does not show, "
        "so pyinit exits with 99 (--leftovers)"),
    ),
    (
        "drain_survivor",
        SH,
        ("sh (pid 7), left behind by the child, did not exit within 5 s of SIGTERM, "
        "so pyinit kills it; raise -d if it needs more time"),
    ),
    (
        "drain_finished",
        {"finished": 3, "killed": 1, "left": 1, "seconds": 6.0},
        ("1 process is still there after SIGKILL, most likely in an uninterruptible wait: "
        "check the disk or the file server that it waits for"),
    ),
    (
        "drain_finished",
        {"finished": 3, "killed": 1, "left": 2, "seconds": 6.0},
        ("2 processes are still there after SIGKILL, most likely in an uninterruptible wait: "
        "check the disk or the file server that they wait for"),
    ),
    (
        "drain_finished",
        {"finished": None, "killed": 0, "left": None, "seconds": 6.0},
        ("processes that /proc does not show are still there after SIGKILL; "
        "pyinit exits without waiting for them"),
    ),
    (
        "child_exited",
        {"pid": 2, "signal": "SIGSEGV", "core_dumped": True, **USED},
        ("the child (pid 2) was killed by SIGSEGV after 3.2 s (core dumped); "
        "this is a crash: look for the cause in its own output"),
    ),
    (
        "child_exited",
        {"pid": 2, "signal": "SIGUSR1", "core_dumped": False, **USED},
        ("the child (pid 2) was killed by SIGUSR1 after 3.2 s; "
        "it has no handler for SIGUSR1: add one if it should not exit then"),
    ),
    (
        "child_exited",
        {"pid": 2, "signal": "SIGKILL", "core_dumped": False, **USED},
        "the child (pid 2) was killed by SIGKILL after 3.2 s",
    ),
    (
        "child_exited",
        {"pid": 2, "code": 137, "oom_kills": 1, "reason": "out of memory, so ...", **USED},
        "the child (pid 2) exited with 137 after 3.2 s: out of memory, so ...",
    ),
    (
        "variable_unknown",
        {"name": "PYINIT_KILLAFTER", "reason": "pyinit has no such variable; did you mean X?"},
        "PYINIT_KILLAFTER has no effect: pyinit has no such variable; did you mean X?",
    ),
    (
        "termination_log_refused",
        {"path": "/log", "error": "EACCES", "reason": "Permission denied"},
        ("pyinit could not write to the termination log /log: Permission denied; "
        "name a regular file that pyinit may write"),
    ),
    (
        "orphan_reaped",
        {"pid": 7, "name": "sh", "code": 4},
        ("pyinit reaped the orphan sh (pid 7), which exited with 4: "
        "its parent had exited without waiting for it"),
    ),
    (
        "orphan_reaped",
        {"pid": 7, "name": None, "signal": "SIGHUP", "core_dumped": False},
        ("pyinit reaped the orphan process 7, which was killed by SIGHUP: "
        "its parent had exited without waiting for it"),
    ),
    (
        "forward_refused",
        {**TERM, **REFUSED},
        "pyinit could not forward SIGTERM to process 7: permission denied",
    ),
    (
        "forward_refused",
        {**TERM, "sent": "SIGQUIT", **REFUSED},
        "pyinit could not send SIGQUIT, in place of SIGTERM, to process 7: permission denied",
    ),
    (
        "kill_refused",
        {"signal": "SIGKILL", "target": "process 7", **REFUSED},
        "pyinit could not send SIGKILL to process 7: permission denied",
    ),
    (
        "shell_is_pid1",
        {"name": "sh", "reason": "..."},
        ("sh (pid 1) does not forward SIGTERM to pyinit, so a stop ends in SIGKILL: write "
        'ENTRYPOINT ["pyinit", "--"] and CMD with brackets, or put exec in front of pyinit'),
    ),
    (
        "subreaper_refused",
        {"reason": "the kernel refused; pyinit does not reap orphans"},
        "pyinit could not become a subreaper: the kernel refused; pyinit does not reap orphans",
    ),
    (
        "events_dropped",
        {"count": 1},
        ("1 event is missing here: the reader of stderr is too slow, or a write failed; "
        "with fewer -v, pyinit logs less"),
    ),
    (
        "events_dropped",
        {"count": 300},
        ("300 events are missing here: the reader of stderr is too slow, or a write failed; "
        "with fewer -v, pyinit logs less"),
    ),
    (
        "memory_short",
        {"reason": "..."},
        ("memory ran out, so pyinit logs only warnings and errors from now on; "
        "raise the memory limit of the container"),
    ),
    (
        "structlog_unavailable",
        {"error": "ImportError()"},
        ("structlog cannot be loaded, ImportError(), so log lines are plain; "
        "install structlog again for the usual format"),
    ),
    (
        "internal_error",
        {"error": "OSError(22, 'Invalid argument')"},
        ("pyinit continued after an internal error, OSError(22, 'Invalid argument'): "
        "please report it, unless your own seccomp filter refuses that call"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "keys", "sentence"), SENTENCES)
def test_sentence(event, keys, sentence):
    """It says what happened, with the name and the pid, why, and what to do, in one sentence."""
    assert sentence == messages.of(event, keys)
    assert len(sentence) < LONGEST + 20 * len(keys.get("processes", ()))
    assert not re.search(r"[.\n](\s|$)", sentence.replace("...", ""))
    assert event == "shell_is_pid1" or str(keys.get("pid", "")) in sentence


def test_every_warning_and_error_has_a_sentence():
    """Each event that the page calls a warning or an error has one, and no other event has."""
    loud = {
        section.split("\n")[0]
        for section in SECTIONS[1:]
        if re.search(r"\b(?:warning|error)\b", section.split("\n| ")[0], re.IGNORECASE)
    }

    assert {event for event, _, _ in SENTENCES} == loud
    for event in loud:
        assert callable(getattr(messages, event))


def lines(style: str, *events, plain: bool = False) -> list[str]:
    """Return what is written of some events."""
    written = []
    emit, trouble = log.load_emitter(style, written.append)
    assert trouble is None
    if plain:
        bare = plain_emitter(style, written.append)
        emit = lambda event: bare(log.in_words(event))  # noqa: E731
    for event in events:
        emit(event)
    return written


@pytest.mark.parametrize("plain", [False, True])
def test_json_has_the_message_and_the_keys(plain):
    """The message comes in addition."""
    (line,) = lines("json", (WARNING, 0.0, "drain_survivor", SH), plain=plain)
    told = json.loads(line)

    assert messages.of("drain_survivor", SH) == told["message"]
    assert SH.items() <= told.items()


@pytest.mark.parametrize("plain", [False, True])
def test_console_has_the_message_alone(plain):
    """Behind the time and the level there is the sentence, and no keys."""
    (line,) = lines("console", (WARNING, 0.0, "drain_survivor", SH), plain=plain)

    assert re.fullmatch(PREFIX + re.escape(messages.of("drain_survivor", SH)), line)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("level", "event"), [(INFO, "drain_survivor"), (WARNING, "of"), (0, "?")])
def test_event_without_a_sentence_has_its_keys(plain, level, event):
    """Info, debug, and events without a sentence."""
    (line,) = lines("console", (level, 0.0, event, {"pid": 7, "name": "a b"}), plain=plain)

    assert re.fullmatch(PREFIX + re.escape(event) + " +pid=7 name='a b'", line)


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        ("child_started", {"pid": 2, "command": "gunicorn"}),
        ("child_exited", {"pid": 2, "code": 0}),
        ("drain_started", {"remaining": 2, "grace_seconds": 5.0}),
        ("orphan_reaped", {"pid": 6, "name": "sh", "code": 0}),
    ],
)  # fmt: skip
def test_line_fits_a_terminal(event, keys):
    """With a short prefix, and without the logger, 80 columns do."""
    (line,) = lines("console", (INFO, 0.0, event, keys))

    assert len(line) <= 80


@pytest.mark.parametrize("plain", [False, True])
def test_stacks_stand_below_the_message(plain):
    """A frame is a line, a process below has its name and what it waits for; all are indented."""
    below = {"pid": 8, "name": "a b", "state": "sleeping", "seconds": 3.0}
    keys = {**SH, "signal": "SIGTERM", "reason": "it is late", "stack": ["a.py:3 f", "a\nb:4 g"]}
    keys["below"] = [{**below, "waits_for": "read on a pipe", "stack": ["x\x1b.py:9 h"]}]
    keys["below"] += [{**below, "name": "c\nd", "waits_for": "", "no_stack": "no"}]
    keys["below"] += [{**below, "waits_for": RUNS}, {**below, "waits_for": "", "state": None}]
    (text,) = lines("console", (WARNING, 0.0, "stop_is_slow", keys), plain=plain)
    first, *rest = (line.rstrip() for line in text.split("\n"))

    assert first.endswith("sh (pid 7) still runs 5 s after SIGTERM: it is late")
    assert rest == [
        "    a.py:3 f",
        "    a\\nb:4 g",
        "  'a b' (pid 8) is in read on a pipe",
        "    x\\x1b.py:9 h",
        "  'c\\nd' (pid 8) is sleeping",
        "  'a b' (pid 8) is running",
        "  'a b' (pid 8)",
    ]


@pytest.mark.parametrize("plain", [False, True])
def test_processes_stand_below_the_message(plain):
    """Each has its age, and its parent, or the process group that it was in."""
    orphan = {"parent": None, "parent_pid": None, "group": 2, "group_leader": "a b"}
    left = [
        {**SH, **orphan},
        {**SH, **orphan, "pid": 8, "name": "c\nd", "group_leader": None},
        {**SH, **orphan, "pid": 9, "group": 9, "group_leader": "sh"},
        {**SH, **orphan, "pid": 10, "parent": "x", "parent_pid": 9},
    ]
    keys = {"code": 99, "count": 4, "processes": left}
    (text,) = lines("console", (WARNING, 0.0, "leftovers", keys), plain=plain)

    assert [line.rstrip() for line in text.split("\n")[1:]] == [
        "  sh (pid 7): 5 s old, its parent has exited, in the process group of 'a b'",
        "  'c\\nd' (pid 8): 5 s old, its parent has exited",
        "  sh (pid 9): 5 s old, its parent has exited",
        "  sh (pid 10): 5 s old, a child of x (pid 9)",
    ]


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("plain", [False, True])
def test_lists_cannot_forge_a_line(style, plain):
    """What stands deep in a list is made safe as well."""
    hostile = "a\n\x1b[2J\u202e"
    below = {"pid": 8, "name": hostile, "state": None, "waits_for": hostile, "stack": [hostile]}
    keys = {**SH, "name": hostile, "target": "x", "stack": [hostile], "below": [below]}
    (text,) = lines(style, (WARNING, 0.0, "kill_after_expired", keys), plain=plain)
    first, *rest = text.split("\n")

    assert all(line.isprintable() for line in (first, *rest))
    assert ([] if style == "json" else [" "] * 3) == [line[:1] for line in rest]


def test_name_cannot_pass_for_a_sentence():
    """A name that is more than a word stands in quotes, whatever it has of these itself."""
    first = messages.of("drain_survivor", {**SH, "name": "x (pid 1) died"})
    second = messages.of("drain_survivor", {**SH, "name": "x' (pid 1)"})

    assert first.startswith("'x (pid 1) died' (pid 7), left behind")
    assert second.startswith('"x\' (pid 1)" (pid 7), left behind')


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        ("drain_survivor", {**SH, "reason": events.DEAF}),
        ("kill_refused", events.kill_refused(9, lifecycle.CHILD, 7, PermissionError(1, ""))),
    ],
)
def test_advice_comes_after_a_semicolon(event, keys):
    """A colon comes before the reason, and another one would hide which of the two is which."""
    told = messages.of(event, keys)

    assert (1, 1) == (told.count(": "), told.count("; "))


def test_console_shows_the_local_time(run):
    """The clock is the one of the time zone that the workload has; JSON has UTC."""
    options, wrap = ["-v", "--log-format=console"], ["env", "TZ=UTC-9"]
    local = run(options, wrap=wrap).err[:2]
    utc = run(options, wrap=["env", "TZ=UTC"]).err[:2]

    assert (int(local) - int(utc)) % 24 in {9, 8}  # 8 where an hour ends between the two


def test_message_that_cannot_be_loaded_costs_itself_only(run, sabotage):
    """Without the module the keys are told, in either format."""
    wrap = sabotage("import sys; sys.modules['pyinit.later.messages'] = None\n")
    (failed,) = run(command=["nowhere"], wrap=wrap).events
    console = run(["--log-format=console"], ["nowhere"], wrap=wrap).err

    assert ("exec_failed", False) == (failed["event"], "message" in failed)
    assert re.match(PREFIX + "exec_failed +command=nowhere code=127", console)


def test_sentences_of_a_stop(start):
    """All that a slow stop tells is within 200 columns a sentence, with the pid in it."""
    run = start(["-k", "0.6"], victim("listener"))
    pid = run.ready()
    told = run.stop().events

    assert ["stop_is_slow", "kill_after_expired", "child_exited"] == [e["event"] for e in told]
    for event in told:
        assert f"(pid {pid})" in event["message"]
        assert len(event["message"].replace(str(VICTIMS), "")) < LONGEST


@pytest.mark.parametrize(
    ("unwanted", "kind", "are_there"),
    [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, unwanted, kind, are_there):
    """On a terminal the level has a colour, unless it wants none; what is told stays the same."""
    monkeypatch.setattr(os, "isatty", lambda _descriptor: True)
    monkeypatch.setenv("NO_COLOR", unwanted)
    monkeypatch.setenv("TERM", kind)
    (line,) = lines("auto", (WARNING, 0.0, "drain_survivor", SH))
    bare = re.sub(r"\x1b\[\d+m", "", line)

    assert are_there is ("\x1b[33m" in line)
    assert re.fullmatch(PREFIX + re.escape(messages.of("drain_survivor", SH)), bare)
