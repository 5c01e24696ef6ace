"""What docs/commands.md says beside its consoles, which tests/test_docs.py runs."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.marks import BOTH
from testkit.namespaces import UNSHARE_TIED
from testkit.programs import PYINIT, PYTHON, ROOT_DIRECTORY, tool

PAGE = (ROOT_DIRECTORY / "docs" / "commands.md").read_text()
EXAMPLES = ROOT_DIRECTORY / "examples"
SHARED_MEMORY = [*PYTHON, str(EXAMPLES / "shared_memory.py")]
BLOCKS = 60
LEAK = "sleep infinity >/dev/null 2>&1 & echo $!"
WITH_PYINIT = {**os.environ, "PATH": f"{os.path.dirname(PYINIT)}:{os.environ['PATH']}"}
for _variable in ("MAKEFLAGS", "MAKELEVEL"):  # of the make that runs the tests
    WITH_PYINIT.pop(_variable, None)


def shown(pattern: str) -> str:
    """Return the one thing on the page that a pattern matches."""
    (found,) = re.findall(pattern, PAGE, re.MULTILINE)
    return found


def alive(pid: int) -> bool:
    """Tell whether there is a process, which is killed then."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("recipe", "passes"), [("true", True), (f"setsid {LEAK}", False)])
def test_ci_step(folder, recipe, passes):
    """The step of the page passes with a recipe that leaves nothing behind, and with no other."""
    (folder / "Makefile").write_text(f"test:\n\t@{recipe.replace('$', '$$')}\n")
    step = shown(r"^  - run: (.*)$")
    # As a runner does it, with stdout a pipe that it reads to the end.
    done = subprocess.run(
        ["bash", "-e", "-c", step],
        check=False, cwd=folder, env=WITH_PYINIT, capture_output=True, text=True,
    )  # fmt: skip
    names = [json.loads(line)["event"] for line in done.stderr.splitlines()]

    assert (0 if passes else 99, [] if passes else ["leftovers"]) == (done.returncode, names)
    assert not any(alive(int(pid)) for pid in done.stdout.split())


@pytest.mark.parametrize("init", ["/usr/local/bin/pyinit -t 3000 -- ", ""], ids=["pyinit", "none"])
def test_cron_job(folder, init):
    """With the line of the page a job that leaves a process behind keeps no lock; without it does.

    Run as cron runs it: by sh, with few variables, without a terminal.
    """
    (folder / "pyinit").symlink_to(PYINIT)
    (folder / "backup").write_text(f"#!/bin/sh\nsetsid {LEAK}\n")
    (folder / "backup").chmod(0o755)
    line = shown(r"^0 3 \* \* \* (.*)$").replace("/usr/local/bin/pyinit -t 3000 -- ", init)
    line = line.replace("/usr/local/bin", str(folder)).replace("/run/lock", str(folder))
    few = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": str(folder), "LOGNAME": "nobody"}
    how = {"env": few, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    done = subprocess.run(["sh", "-c", line], check=True, stdout=subprocess.PIPE, text=True, **how)
    lock = subprocess.run(["flock", "-n", folder / "backup.lock", "true"], check=False)
    lives = alive(int(done.stdout))  # one line, the pid: pyinit has nothing to say

    assert ((0, False) if init else (1, True)) == (lock.returncode, lives)


@pytest.mark.parametrize("init", [f"{PYINIT} --leftovers 99 -- ", ""], ids=["pyinit", "none"])
def test_make_in_a_pipeline(folder, init):
    """Without pyinit the pipe is still held by what the recipe left behind when make has exited."""
    os.mkfifo(folder / "go")
    (folder / "Makefile").write_text(f"test:\n\t@{init}sh -c 'sh late go & echo begun'\n")
    (folder / "late").write_text('read line <"$1"; echo late\n')
    with subprocess.Popen(
        ["make"],
        cwd=folder, env=WITH_PYINIT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as make:  # fmt: skip
        assert "begun\n" == make.stdout.readline()
        code = make.wait()
        if not init:
            (folder / "go").write_text("go\n")
        rest = make.stdout.read()

    assert ((2, "") if init else (0, "late\n")) == (code, rest)


def test_pyinit_killed_off_pid_1(start):
    """It cannot stop anything any more: so a harness must not kill it by a limit of its own."""
    command = ["sh", "-c", "echo 'ready (pid: 0)'; exec cat"]
    run = start(["--timeout", "600"], command, namespace=False, stdin=subprocess.PIPE)
    run.ready()
    run.process.kill()
    run.process.wait()

    run.process.stdin.write(b"word\n")
    assert b"word\n" == run.process.stdout.readline()
    run.close_stdin()
    assert "" == run.finish().out


@pytest.mark.parametrize("which", ["pyinit", "unshare"])
def test_pyinit_killed_in_a_namespace(launch, which):
    """All of the namespace goes with it, and with the unshare that it is tied to."""
    command = ["sh", "-c", "setsid sleep infinity & echo 'ready (pid: 0)'; exec cat"]
    line = [*UNSHARE_TIED, PYINIT, "--timeout", "600", "--", *command]
    run = launch(line, stdin=subprocess.PIPE)
    run.ready()
    os.kill(run.init if which == "pyinit" else run.process.pid, signal.SIGKILL)

    assert "" == run.finish().out  # that is the end of the pipe, which all of them hold


@pytest.fixture
def harness(monkeypatch):
    """Return the example as a module, which finds pyinit in PATH."""
    monkeypatch.setenv("PATH", WITH_PYINIT["PATH"])
    specification = importlib.util.spec_from_file_location("harness", EXAMPLES / "harness.py")
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "harness", module)  # dataclasses look there
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("script", "seconds", "verdict", "code"),
    [
        ("echo hello; echo more >&2", 60, "exited", 0),
        ("echo hello; echo more >&2; exit 3", 60, "exited", 3),
        ("echo hello; echo more >&2; exit 99", 60, "exited", 99),
        ("echo hello; echo more >&2; exit 124", 60, "exited", 124),
        ("echo hello; echo more >&2; exit 137", 60, "exited", 137),
        ("echo hello; echo more >&2; setsid sleep infinity &", 60, "left processes behind", 99),
        ("echo hello; echo more >&2; sleep infinity & exit 3", 60, "exited", 3),
        ("echo hello; echo more >&2; exec sleep infinity", 2, "timed out", 124),
        ("trap '' TERM; echo hello; echo more >&2; exec sleep infinity", 2, "timed out", 137),
        ("echo hello; echo more >&2; kill -KILL $$", 60, "killed", 137),
    ],
)
def test_harness_tells_what_became_of_a_command(harness, script, seconds, verdict, code):
    """The same codes mean different things; the output is the command's, stderr included."""
    outcome = harness.run(["sh", "-c", script], seconds)

    assert (verdict, code, b"hello\nmore\n") == (outcome.verdict, outcome.code, outcome.output)
    assert (verdict == "exited") == (not outcome.messages)


def test_harness_tells_when_memory_ran_out(harness):
    """From the count of the cgroup, which tests/test_death_report.py has the kernel make."""
    ended = {"event": "child_exited", "signal": "SIGKILL", "oom_kills": 1}

    assert "out of memory" == harness.verdict([ended])


def test_harness_that_is_killed(folder, launch):
    """Its command is asked to stop, and all below it goes."""
    os.mkfifo(folder / "out")
    script = "trap 'echo asked; exit' TERM; setsid sleep infinity & echo ready; wait"
    line = [sys.executable, str(EXAMPLES / "harness.py"), "600", "sh", "-c"]
    run = launch([*line, f"exec >{folder}/out; {script}"], namespace=False, env=WITH_PYINIT)
    with (folder / "out").open() as out:
        assert "ready\n" == out.readline()
        run.process.kill()
        rest = out.read()  # to the end, which comes when all have gone

    assert "asked\n" == rest


@pytest.fixture
def name():
    """Return the beginning of names of shared memory, of which none are left after the test."""
    prefix = f"pyinit-test-{os.getpid()}"
    yield prefix
    for path in blocks(prefix):
        path.unlink()


def blocks(prefix: str) -> list[Path]:
    """Return the blocks of shared memory whose names begin like that."""
    return list(Path("/dev/shm").glob(f"{prefix}-*"))


@pytest.mark.parametrize("init", ["tini", "dumb-init", "catatonit", "none"])
def test_shared_memory_of_others(launch, name, init):
    """As PID 1 they leave at once, and the kernel kills the resource tracker: all is left."""
    inits = [] if init == "none" else [tool(init), "--"]
    run = launch([*UNSHARE_TIED, *inits, *SHARED_MEMORY, name], namespace=True)
    run.ready()
    if init == "none":
        run.send(signal.SIGKILL)
    run.finish()

    assert BLOCKS == len(blocks(name))


@BOTH
def test_shared_memory_under_pyinit(run, name, namespace):
    """The drain ends the worker, and waits for the tracker: nothing is left."""
    result = run([], [*SHARED_MEMORY, name], namespace=namespace)

    assert (137, []) == (result.code, blocks(name))


@pytest.mark.parametrize(
    ("options", "wrap"),
    [(["-d", "0"], []), (["-d", "0.5"], ["env", "--ignore-signal=TERM"])],
    ids=["no-drain", "deaf-worker"],
)
def test_shared_memory_without_a_drain_that_ends(run, name, options, wrap):
    """A tracker that is killed, at once or with a worker that does not stop, unlinks nothing."""
    result = run(options, [*wrap, *SHARED_MEMORY, name])

    assert (137, BLOCKS) == (result.code, len(blocks(name)))
