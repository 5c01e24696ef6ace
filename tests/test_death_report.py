"""A child that died is reported without any option, with the reason if there is one."""

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest

from testkit.marks import BOTH
from testkit.namespaces import ROOT
from testkit.programs import PYTHON, ROOT_DIRECTORY

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


# The signals that somebody waits for do not count as blocked meanwhile.
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
    """Where nobody counts there is no evidence, and the death is reported without it."""
    mount = ["sh", "-c", f'mount -t tmpfs none {CGROUPS} && exec "$@"', "-"]
    (event,) = run([], ["sh", "-c", "kill -KILL $$"], wrap=mount).events

    assert ("SIGKILL", False) == (event["signal"], "oom_kills" in event)


def test_docs_name_the_files():
    """The page on events says where the evidence is from."""
    page = (ROOT_DIRECTORY / "docs/events.md").read_text()

    assert [] == [name for name in COUNTERS.values() if not re.search(Path(name).name, page)]
