"""A child that died is reported without any option, with the reason if there is one."""

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from testkit.marks import BOTH
from testkit.namespaces import ROOT
from testkit.processes import only_child
from testkit.programs import PYTHON, ROOT_DIRECTORY, victim
from testkit.refusals import refusing

from pyinit.later import endings

CGROUPS = Path("/sys/fs/cgroup")
LIMIT = "48M"
EAT = "x = [b' ' * 2**20 for _ in range(1000)]"


def limited_cgroup_v1() -> Path:
    """Make a group of version 1 with little memory."""
    group = CGROUPS / "memory" / f"pyinit-test-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(LIMIT)
    with contextlib.suppress(OSError):  # swap is not counted everywhere
        (group / "memory.memsw.limit_in_bytes").write_text(LIMIT)
    return group


def limited_cgroup_v2() -> Path:
    """Make a group of version 2 with little memory."""
    group = CGROUPS / f"pyinit-test-{os.getpid()}"
    group.mkdir()
    with contextlib.suppress(OSError):  # it may be on already
        (CGROUPS / "cgroup.subtree_control").write_text("+memory")
    (group / "memory.max").write_text(LIMIT)
    with contextlib.suppress(OSError):
        (group / "memory.swap.max").write_text("0")
    return group


@pytest.fixture
def little_memory():
    """Return what enters a cgroup with little memory."""
    make = limited_cgroup_v1 if (CGROUPS / "memory").is_dir() else limited_cgroup_v2
    group = make()
    yield ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "-"]
    group.rmdir()


@pytest.mark.skipif(not ROOT, reason="cgroups belong to root")
@BOTH
def test_child_that_ran_out_of_memory(run, little_memory, namespace):
    """The kernel's SIGKILL for want of memory is told as such, with what the child used."""
    result = run([], [*PYTHON, "-c", EAT], wrap=little_memory, namespace=namespace)
    (event,) = result.events

    assert 128 + signal.SIGKILL == result.code
    assert ("child_exited", "warning", "SIGKILL") == tuple(
        event[key] for key in ("event", "level", "signal")
    )
    assert (1, True) == (event["oom_kills"], event["reason"].startswith("out of memory"))
    assert event["max_rss_kib"] > 20_000


@pytest.mark.skipif(not ROOT, reason="cgroups belong to root")
def test_shell_around_it_hides_nothing(run, little_memory):
    """A shell makes a plain 137 of the SIGKILL; that memory ran out is told all the same."""
    script = 'exec 2>/dev/null; "$@"; exit $?'  # "Killed" is not for us
    result = run([], ["sh", "-c", script, "-", *PYTHON, "-c", EAT], wrap=little_memory)
    (event,) = result.events

    assert 137 == result.code
    assert ("warning", 137, 1) == (event["level"], event["code"], event["oom_kills"])


# Signals that a process waits for do not count as blocked during that.
UNTIL_IT_WAITS = "until grep -q '^SigBlk:.0*$' /proc/$PPID/status; do :; done"
COUNTERS = {
    "v1": "memory/memory.oom_control",
    "v2": "memory.events",
}
OTHERS = {
    "v1": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "v2": "low 0\nhigh 0\nmax 5\noom 4\noom_kill 3\noom_group_kill 0\n",
}


@pytest.mark.parametrize("version", COUNTERS)
@pytest.mark.parametrize(
    "case",
    [
        ("kill -KILL $$", 2, {"signal": "SIGKILL", "oom_kills": 2}),
        ("kill -KILL $$", 0, {"signal": "SIGKILL"}),
        ("exit 1", 1, {"code": 1, "oom_kills": 1}),
        ("exit 1", 0, None),
        ("exit 0", 1, None),
    ],
)
def test_counter_that_moved_is_evidence(run, tmp_path, version, case):
    """The counter of either version counts if it moved while the child ran, and only then."""
    end, moved, told = case
    counter = tmp_path / COUNTERS[version]
    counter.parent.mkdir(exist_ok=True)
    counter.write_text(OTHERS[version])
    change = f"sed 's/^oom_kill 3/oom_kill {3 + moved}/' {counter} >{tmp_path}/new"
    script = f"ulimit -c 0; {UNTIL_IT_WAITS}; {change}; cat {tmp_path}/new >{counter}; {end}"
    mount = ["sh", "-c", f'mount --bind {tmp_path} {CGROUPS} && exec "$@"', "-"]
    keys = ("signal", "code", "oom_kills")
    events = [
        {key: event[key] for key in keys if key in event}
        for event in run([], ["sh", "-c", script], wrap=mount).events
    ]

    assert ([told] if told else []) == events


def test_no_cgroup_is_no_trouble(run):
    """If no cgroup counts there is no evidence, and the death is reported without it."""
    mount = ["sh", "-c", f'mount -t tmpfs none {CGROUPS} && exec "$@"', "-"]
    (event,) = run([], ["sh", "-c", "kill -KILL $$"], wrap=mount).events

    assert ("SIGKILL", False) == (event["signal"], "oom_kills" in event)
    assert "this SIGKILL, and no cgroup shows whether memory ran out; another" in event["reason"]


@pytest.fixture
def counted(tmp_path):
    """Return what mounts a cgroup that counts, and has counted nothing."""
    counter = tmp_path / COUNTERS["v2"]
    counter.write_text(OTHERS["v2"])
    return ["sh", "-c", f'mount --bind {tmp_path} {CGROUPS} && exec "$@"', "-"]


def test_sigkill_from_outside_is_told_as_such(start, counted):
    """A SIGKILL that neither pyinit sent nor the kernel for want of memory; at any time."""
    made = start([], victim("listener"), wrap=counted)
    made.ready()
    os.kill(only_child(made.init), signal.SIGKILL)
    asked = start(["-k", "100"], victim("listener"), wrap=counted)
    asked.ready()
    asked.send(signal.SIGTERM)
    asked.line()
    os.kill(only_child(asked.init), signal.SIGKILL)
    for result in (made.finish(), asked.finish()):
        (event,) = result.events

        assert (137, "child_exited", "warning") == (result.code, event["event"], event["level"])
        assert event["reason"].startswith("killed from outside: pyinit did not send this SIGKILL, ")
        assert "the cgroup counts no OOM kill;" in event["reason"]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["-k", "0.2"], "TERM"),
        (["-gk", "0.2"], "TERM"),
        (["-ak", "0.2"], "TERM"),
        (["-r", "USR1:KILL"], "USR1"),
        (["-r", "TERM:KILL", "-g"], "TERM"),
        (["-r", "USR1:KILL", "-a"], "USR1"),
    ],
)
@BOTH
def test_sigkill_of_pyinit_is_not_from_outside(start, options, sent, namespace):
    """Neither that of -k nor one that -r made."""
    made = start(options, victim("listener"), namespace=namespace)
    made.ready()
    result = made.stop(signal.Signals[f"SIG{sent}"])
    (event,) = result.named("child_exited")

    assert ("SIGKILL", False) == (event["signal"], "reason" in event)


def test_refused_sigkill_was_none(start):
    """Where the kernel refuses pyinit its own, another one has sent it."""
    command = ["sh", "-c", "trap '' TERM; kill $PPID; read x; kill -KILL $$"]
    wrap = refusing("kill:error=EPERM:when=2")
    made = start(["-k", "0.1"], command, wrap=wrap, namespace=False, stdin=subprocess.PIPE)
    made.event("kill_refused")
    made.close_stdin()

    assert made.event("child_exited")["reason"].startswith("killed from outside")


FOR_A_SHELL = {
    "and": (["true", "&&", "true"], 0, "&&"),
    "or": (["false", "||", "true"], 1, "||"),
    "pipe": (["cat", "a", "|", "wc"], 1, "|"),
    "into-file": (["cat", "a", "2>&1"], 1, "2>&1"),
    "compares": (["expr", "0", "|", "0"], 1, None),
    "home": (["cat", "$HOME/a"], 1, "$HOME"),
    "port": (["cat", "0:${PORT}"], 1, "$PORT"),
    "tilde": (["cat", "~/a"], 1, "~"),
    "tilde-alone": (["cat", "~"], 1, "~"),
    "worked": (["true", "$HOME", "~"], 0, None),
    "small": (["cat", "$1", "a$", "$x", "a~"], 1, None),
    "quoted": (["false", "{print $NF}", "($A)", "$A;"], 1, None),
    "part": (["true", "a&&b"], 0, None),
    "shell": (["/bin/sh", "-c", "exit 1", "$HOME", "&&"], 1, None),
    "shell-inside": (["env", "sh", "-c", "exit 1", "$HOME"], 1, None),
}


@pytest.mark.parametrize("name", FOR_A_SHELL)
def test_arguments_for_a_shell_are_told(run, name):
    """What failed with an argument that only a shell understands is told why; the value is not."""
    command, code, mark = FOR_A_SHELL[name]
    result = run([], command)
    lines = [line for line in result.err.splitlines() if line.startswith("{")]

    assert code == result.code
    assert len(lines) == (mark is not None)
    if mark is not None:
        event = json.loads(lines[0])
        assert ("child_exited", "warning", code) == (event["event"], event["level"], event["code"])
        assert event["reason"].startswith(f"its arguments contain {mark}: ")


def test_stop_says_nothing_of_arguments(start):
    """A child that was asked to stop did not fail, nor did one that ran for long."""
    made = start([], [*victim("listener", 3), "&&", "$HOME"])
    made.ready()

    assert (3, "") == (made.stop().code, made.finish().err)


@pytest.mark.parametrize(("seconds", "is_told"), [(9.9, True), (10.0, False)])
def test_long_run_did_not_fail_for_its_arguments(seconds, is_told):
    """They are understood, or not, at once."""
    assert is_told == bool(endings.reason(("app", "$A"), 0x100, seconds, counts_oom=True))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGSEGV])
def test_other_signals_say_it_themselves(signum):
    """Nor did its arguments kill it."""
    assert "" == endings.reason(("app", "&&"), signum, 1.0, counts_oom=True)


def test_docs_name_the_files():
    """The page on events says where the evidence is from."""
    page = (ROOT_DIRECTORY / "docs/events.md").read_text()

    assert [] == [name for name in COUNTERS.values() if not re.search(Path(name).name, page)]
