"""A command that leaves processes behind fails, where that is asked for, and they are named."""

import os
import signal
import subprocess

import pytest

from testkit.marks import BOTH
from testkit.namespaces import ROOT
from testkit.programs import PYTHON
from testkit.refusals import refusing

from pyinit.later import leftovers
from pyinit.later.memory import UnreadableError

CODE = 99
LEAK = ["--leftovers", str(CODE)]
HELPER = "exec sleep 1000 >/dev/null"
BUSY = "while :; do :; done"  # which a shell does by itself, so that its name stays


def told(result) -> dict:
    """Return the one event that tells of processes that were left behind."""
    (event,) = result.named("leftovers")
    return event


@BOTH
@pytest.mark.parametrize("how", ["option", "variable"])
def test_command_that_leaves_somebody_fails(run, namespace, how):
    """With the code of the option, and a warning that names the process."""
    options, wrap = (LEAK, []) if how == "option" else ([], ["env", f"PYINIT_LEFTOVERS={CODE}"])
    result = run(options, ["sh", "-c", f"({HELPER}) & echo $$ $!"], wrap=wrap, namespace=namespace)
    event = told(result)
    (left,) = event["processes"]
    child, helper = map(int, result.out.split())
    wanted = {"pid": helper, "parent": None, "parent_pid": None, "killed": False}
    wanted |= {"group": child, "group_leader": "sh"}

    assert (CODE, CODE, 1) == (result.code, event["code"], event["count"])
    assert wanted == {key: left[key] for key in wanted}
    assert 0 <= left["seconds"] < 60
    assert f"(pid {helper}), so pyinit exits with {CODE}" in event["message"]


@BOTH
def test_parents_are_named_while_they_live(start, namespace):
    """And a session of its own, with who leads it, an orphan's as far as that is known."""
    daemon = f"({HELPER}) & echo ready $! $$; exec 1>&-; wait"
    command = ["sh", "-c", f"setsid sh -c '{daemon}' & read x; exit 0"]
    run = start(LEAK, command, namespace=namespace, stdin=subprocess.PIPE)
    _, helper, leader = run.line().split()
    run.close_stdin()
    result = run.finish()
    by_pid = {left["pid"]: left for left in told(result)["processes"]}
    above, below = by_pid[int(leader)], by_pid[int(helper)]

    assert (CODE, 2) == (result.code, told(result)["count"])
    assert ("sh", "sh", None) == (above["name"], above["command"], above["parent_pid"])
    assert ("sh", int(leader)) == (below["parent"], below["parent_pid"])
    for left in (above, below):
        assert {int(leader)} == {left["group"], left["session"]}
        assert ("sh", "sh") == (left["group_leader"], left["session_leader"])


@BOTH
@pytest.mark.parametrize(
    "script",
    ["exit 0", "sleep 0 & wait", "sleep 1000 & kill $!; { wait $!; } 2>/dev/null; exit 0"],
    ids=["none", "ended", "killed"],
)
def test_command_that_leaves_nobody_is_well(run, namespace, script):
    """A process that was waited for is no leftover."""
    result = run(LEAK, ["sh", "-c", script], namespace=namespace)

    assert (0, []) == (result.code, result.events)


@BOTH
def test_zombie_is_no_leftover(run, namespace):
    """It has ended, and its parent's parent, too: pyinit reaps it."""
    command = [*PYTHON, "-c", "import os, signal\nif os.fork(): os.waitid(os.P_ALL, 0, WHICH)"]
    command[-1] = command[-1].replace("WHICH", "os.WEXITED | os.WNOWAIT")
    result = run(LEAK, command, namespace=namespace)

    assert (0, []) == (result.code, result.events)


@pytest.mark.parametrize(
    ("options", "script", "code"),
    [
        ([], "exit 3", 3),
        (["-e", "3"], "exit 3", CODE),
        ([], "kill -TERM $$", 143),
        (["--leftovers", "0"], "exit 0", 0),
    ],
)
def test_code_that_is_not_0_counts_more(run, options, script, code):
    """A command that failed tells more by its own code; -e says which of them is no failure."""
    result = run([*LEAK, *options], ["sh", "-c", f"{HELPER} & {script}"])

    assert (code, code == CODE) == (result.code, bool(result.named("leftovers")))


def test_guest_is_no_leftover(start):
    """What `docker exec` brought in was not left by the child."""
    run = start(LEAK, ["sh", "-c", "echo ready; read x; exit 0"], stdin=subprocess.PIPE)
    assert "ready" == run.line()
    guest = run.enter("sh", "-c", "echo ready; exec sleep 1000")
    assert "ready\n" == guest.stdout.readline()
    run.close_stdin()

    assert (0, "") == (run.finish().code, run.finish().err)


@BOTH
def test_leftover_that_has_to_be_killed_is_marked(start, patient, namespace):
    """It ignored the SIGTERM of the drain."""
    script = "trap '' TERM; sh -c 'echo ready; exec sleep 1000 >/dev/null' & read x; exit 0"
    how = {"wrap": patient(), "namespace": namespace, "stdin": subprocess.PIPE}
    run = start([*LEAK, "-d", "0.2"], ["sh", "-c", script], **how)
    assert "ready" == run.line()
    run.close_stdin()
    result = run.finish()
    (left,) = told(result)["processes"]

    assert (CODE, True) == (result.code, left["killed"])
    assert ["drain_survivor", "leftovers"] == [event["event"] for event in result.events]


@BOTH
def test_without_a_drain_whoever_is_there_counts(start, namespace):
    """As PID 1 the kernel kills it; else it lives on, which is all the more to be told."""
    run = start([*LEAK, "-d", "0"], ["sh", "-c", f"{HELPER} 2>&1 & exit 0"], namespace=namespace)
    result = run.finish()
    (left,) = told(result)["processes"]
    if not namespace:
        os.kill(left["pid"], signal.SIGKILL)

    assert (CODE, False) == (result.code, left["killed"])


@BOTH
def test_without_a_drain_nobody_is_as_well(run, namespace):
    """A look that finds no process costs nothing else."""
    result = run([*LEAK, "-d", "0"], namespace=namespace)

    assert (0, "") == (result.code, result.err)


@pytest.mark.skipif(not ROOT, reason="a user who may not unmount /proc sees it")
@pytest.mark.parametrize("drain", ["0.2", "0"])
@pytest.mark.parametrize(("script", "code"), [(f"{HELPER} & exit 0", CODE), ("exit 0", 0)])
def test_without_proc_they_have_no_names(run, drain, script, code):
    """But a leak is no success for that; PID 1 knows that it has children still."""
    hide = ["sh", "-c", 'umount /proc && exec "$@"', "-"]
    result = run([*LEAK, "-d", drain], ["sh", "-c", script], wrap=hide)
    events = result.named("leftovers")

    assert code == result.code
    assert [(None, [])] * bool(code) == [(each["count"], each["processes"]) for each in events]


def test_console_tells_of_each_in_a_line(start):
    """Behind the sentence, with its age and where it comes from."""
    script = f"({BUSY}) & setsid sh -c 'echo ready; {BUSY}' & read x; exit 0"
    options = [*LEAK, "--log-format", "console"]
    run = start(options, ["sh", "-c", script], stdin=subprocess.PIPE)
    assert "ready" == run.line()
    run.close_stdin()
    first, *rest = run.finish().err.splitlines()

    assert "the child left 2 processes behind, sh (pid 3), sh (pid 4), so pyinit" in first
    assert ["  sh (pid 3): ", "  sh (pid 4): "] == [line[:14] for line in rest]
    assert rest[0].endswith("s old, its parent has exited, in the process group of sh")
    assert rest[1].endswith("s old, its parent has exited")


def test_last_words_name_them(run, tmp_path):
    """The orchestrator's status says why the code is not 0."""
    log = tmp_path / "log"
    command = ["sh", "-c", f"({BUSY}) & exit 0"]
    run([*LEAK, f"--termination-log={log}"], command, wrap=["env", "PYINIT_VERBOSITY=0"])

    assert log.read_text().endswith(f"it left processes behind (exit code {CODE}): sh (pid 3).\n")


def test_many_are_counted_and_some_are_told(run):
    """An event has no more than so many, and the sentence a few."""
    script = "for i in $(seq 50); do sleep 1000 >/dev/null & done; exit 0"
    event = told(run(LEAK, ["sh", "-c", script]))

    assert (50, leftovers.MOST_TOLD) == (event["count"], len(event["processes"]))
    assert event["message"].count("(pid ") == 4
    assert ", ..., so pyinit" in event["message"]


def test_look_that_is_refused_counts_as_a_leak(run):
    """It cannot be known, then: to fail is the answer that is seen."""
    wrap = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs none /proc && exec "$@"',
        "-",
        *refusing("waitid:error=EPERM"),
    ]
    if not ROOT:
        pytest.skip("a user who may not mount sees /proc")
    result = run([*LEAK, "-d", "0"], wrap=wrap, namespace=False)

    assert CODE == result.code
    assert told(result)["count"] is None


def refuse(_):
    raise UnreadableError


@pytest.mark.parametrize("mappings", [lambda _: [(4096, 8192)], refuse], ids=["fuse", "refused"])
def test_command_line_that_may_hang_is_not_read(monkeypatch, mappings):
    """It is memory of the process: the server of the file behind it could hold up pyinit."""
    monkeypatch.setattr(leftovers, "fuse_mappings", mappings)
    monkeypatch.setattr(leftovers.proc, "command", lambda _: 1 // 0)

    assert "" == leftovers._command(os.getpid())
