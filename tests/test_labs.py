"""The statements of docs/labs that no lab shows, and what a lab leaves behind.

tests/test_docs.py runs each lab, which sees what its page says or ends with another code than 0.
"""

import os
import re
import signal
import subprocess

import pytest

from testkit.namespaces import ROOT, UNSHARE
from testkit.processes import state, status, until
from testkit.programs import PYINIT, ROOT_DIRECTORY, tool
from testkit.running import Run
from testkit.signalsets import signal_set

LABS = ROOT_DIRECTORY / "docs" / "labs"
RUNS = sorted(LABS.glob("*/run"))
ECHO = ("sh", "-c", "echo ready; exec cat")


@pytest.fixture
def begin(launch):
    """Start an init without pyinit."""
    return lambda *command: launch([*UNSHARE, *command], stdin=subprocess.PIPE)


def still_answers(run: Run) -> bool:
    """Tell whether no signal is pending and a line is answered."""
    run.process.stdin.write(b"well?\n")
    return not signal_set(status(run.init)["ShdPnd"]) and run.line() == "well?"


def test_kill_init_is_stopped_from_outside_alone(begin):
    """SIGSTOP from outside has an effect, as SIGKILL has; from inside it has none."""
    run = begin(*ECHO)
    assert "ready" == run.line()
    run.enter("sh", "-c", "kill -STOP 1").wait()
    assert still_answers(run)
    run.send(signal.SIGSTOP)

    assert until(lambda: state(run.init) == "T")


def test_kill_init_under_strace(begin, launch, tmp_path):
    """A tracer sees the signal that is dropped: a SIGTERM that changes nothing."""
    run = begin(*ECHO)
    assert "ready" == run.line()
    log = tmp_path / "strace"
    tracer = launch([tool("strace"), "-p", str(run.init), "-o", str(log)], namespace=False)
    assert until(lambda: status(run.init)["TracerPid"] == str(tracer.init))

    run.enter("sh", "-c", "kill 1").wait()

    assert until(lambda: "--- SIGTERM" in log.read_text())
    assert still_answers(run)


@pytest.mark.skipif(not ROOT, reason="nsenter needs a process in the user namespace")
def test_dead_namespace_takes_no_guest(begin):
    """nsenter(1), like `docker exec`, can enter while PID 1 is running, but not after that."""
    run = begin(*ECHO)
    assert "ready" == run.line()
    namespace = os.open(f"/proc/{run.init}/ns/pid", os.O_RDONLY)
    enter = ["nsenter", f"--pid=/proc/self/fd/{namespace}", "true"]
    how = {"pass_fds": [namespace], "capture_output": True, "text": True}

    assert 0 == subprocess.run(enter, check=False, **how).returncode
    run.close_stdin()
    run.finish()
    refused = subprocess.run(enter, check=False, **how, env={**os.environ, "LC_ALL": "C"})
    os.close(namespace)

    assert 0 != refused.returncode
    assert "Cannot allocate memory" in refused.stderr


def test_index_has_every_lab():
    """A lab has a page, the index leads to it, and each but one has something to run."""
    pages = {path.parent.name for path in LABS.glob("*/README.md")}
    linked = re.findall(r"\]\(([\w-]+)/README\.md\)", (LABS / "README.md").read_text())

    assert pages == set(linked)
    assert pages - {"full-inits"} == {run.parent.name for run in RUNS if os.access(run, os.X_OK)}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_lab_leaves_nothing_behind(start, signum, tmp_path):
    """It ends at once, with no process for pyinit to drain, and no file."""
    path = f"PATH={os.path.dirname(PYINIT)}:{os.environ['PATH']}"
    lab = ["env", path, f"TMPDIR={tmp_path}", str(LABS / "kill-init" / "run")]
    run = start(("-v", "--log-format=json"), lab)
    assert run.line().startswith("as PID 1")

    result = run.stop(signum)

    assert 128 + signum == result.code
    assert [] == result.named("drain_started")
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["kill-init", "three-dispositions"])
def test_lab_that_does_not_see_what_it_should_says_so(name, tmp_path):
    """With another program called pyinit it exits with 1."""
    impostor = tmp_path / "pyinit"
    impostor.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    impostor.chmod(0o755)
    path = f"{tmp_path}:{os.path.dirname(PYINIT)}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        [LABS / name / "run"], check=False, capture_output=True, text=True, env=environment
    )

    assert 1 == done.returncode
    assert done.stderr.startswith("lab: expected")
