"""The facts that docs/labs rests on, seen by other means than those that the pages show."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.namespaces import ROOT, UNSHARE
from testkit.processes import children, only_child, state, status, until
from testkit.programs import PYINIT, compile_c, tool
from testkit.running import Run
from testkit.signalsets import signal_set

LABS = Path(__file__).parent.parent / "docs" / "labs"
RUNS = sorted(LABS.glob("*/run"))
TERM = signal.SIGTERM
STOPPED_BY_TERM = 128 + TERM


def set_of(pid: int, field: str) -> set[int]:
    """Return a set of signals out of /proc/PID/status; 32 and 33 are the C library's."""
    return signal_set(status(pid)[field]) - {32, 33}


def zombies(pid: int) -> list[int]:
    """Return the children of a process that are zombies."""
    return [child for child in children(pid) if state(child) == "Z"]


def has_ended(pidfd: int) -> bool:
    """Tell whether the process of a pidfd has ended."""
    return bool(select.select([pidfd], [], [], 0)[0])


@pytest.fixture
def built(tmp_path):
    """Compile a lab's C program; return its path."""

    def build(name: str) -> str:
        return str(compile_c(LABS / f"{name}.c", tmp_path, "-Werror"))

    return build


@pytest.fixture
def begin():
    """Start an init without pyinit, with or without a namespace."""
    runs = []

    def begin_one(*command: str, namespace: bool = True, **popen) -> Run:
        popen.setdefault("stdin", subprocess.PIPE)
        line = [*(UNSHARE if namespace else ()), *command]
        runs.append(Run(line, namespace=namespace, **popen))
        return runs[-1]

    yield begin_one
    for run in runs:
        run.kill()


@pytest.fixture(params=["bash", "c", "c-handler", "go", "python"])
def answering(request, built) -> tuple[list[str], int | None, int]:
    """Return a program of kill-init, its code on SIGTERM as PID 1 (None: none) and elsewhere."""
    folder = LABS / "kill-init"
    return {
        "bash": lambda: (["bash", str(folder / "echo.sh")], None, STOPPED_BY_TERM),
        "c": lambda: ([built("kill-init/echo")], None, STOPPED_BY_TERM),
        "c-handler": lambda: ([built("kill-init/echo"), "handler"], 0, 0),
        "go": lambda: ([sys.executable, str(folder / "echo.py"), "go"], 2, STOPPED_BY_TERM),
        "python": lambda: ([sys.executable, str(folder / "echo.py")], None, STOPPED_BY_TERM),
    }[request.param]()


def still_answers(run: Run) -> bool:
    """Tell whether no signal is pending and a line comes back."""
    run.process.stdin.write(b"well?\n")
    return not set_of(run.init, "ShdPnd") and run.line() == "well?"


def test_kill_init_without_pyinit(answering, begin):
    """A PID 1 ends by SIGTERM if it has a handler; else but SIGSTOP and SIGKILL from outside do."""
    command, code, _ = answering
    run = begin(*command)
    assert "ready" == run.line()
    assert (code is not None) == (TERM in set_of(run.init, "SigCgt"))
    pidfd = os.pidfd_open(run.init)

    run.enter("sh", "-c", "kill -9 1").wait()
    assert still_answers(run)
    if code is not None:
        run.enter("sh", "-c", "kill 1").wait()
        assert code == run.process.wait()
        return
    run.enter("sh", "-c", "kill 1").wait()
    assert still_answers(run)
    run.send(TERM)
    assert still_answers(run)
    run.send(signal.SIGSTOP)
    assert until(lambda: state(run.init) == "T")
    assert not has_ended(pidfd)
    run.send(signal.SIGKILL)
    assert until(lambda: has_ended(pidfd))
    os.close(pidfd)


def test_kill_init_under_strace(built, begin, tmp_path):
    """A tracer is shown what is dropped: a SIGTERM that changes nothing."""
    run = begin(built("kill-init/echo"))
    assert "ready" == run.line()
    log = tmp_path / "strace"
    tracer = begin(tool("strace"), "-p", str(run.init), "-o", str(log), namespace=False)
    assert until(lambda: status(run.init)["TracerPid"] == str(tracer.init))

    run.enter("sh", "-c", "kill 1").wait()

    assert until(lambda: "--- SIGTERM" in log.read_text())
    assert still_answers(run)


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_kill_init_below_pyinit(answering, start, inside):
    """Below pyinit a SIGTERM for PID 1 does to the program what it does to any process."""
    command, _, code = answering
    run = start(command=command, stdin=subprocess.PIPE)
    assert "ready" == run.line()

    if inside:
        run.enter("sh", "-c", "kill 1").wait()
    else:
        run.send(TERM)

    assert code == run.process.wait()  # and not for the end of its stdin


def test_sigcgt_tells_of_a_handler(built, begin):
    """To register a handler adds its bit to SigCgt and no other."""
    run = begin(built("sigcgt/steps"), "handler", namespace=False)
    assert "ready" == run.line()
    before = set_of(run.init, "SigCgt")

    run.process.stdin.write(b"\n")

    assert "registered" == run.line()
    assert {TERM} == set_of(run.init, "SigCgt") - before


def test_sigcgt_and_sigblk_hide_what_is_waited_for(built, begin):
    """A PID 1 in sigwait shows the signal nowhere, and takes it all the same."""
    run = begin(built("sigcgt/steps"), "sigwait")
    assert "ready" == run.line()
    run.process.stdin.write(b"\n")
    assert "blocked" == run.line()
    assert TERM in set_of(run.init, "SigBlk")
    run.process.stdin.write(b"\n")
    assert until(lambda: TERM not in set_of(run.init, "SigBlk"))
    assert "S" == state(run.init) or until(lambda: state(run.init) == "S")
    assert TERM not in set_of(run.init, "SigCgt")

    run.enter("sh", "-c", "kill 1").wait()

    assert "took SIGTERM\n" == run.finish().out


def test_sigcgt_of_pyinit(start):
    """So does pyinit: no bit of SIGTERM, and it comes through."""
    run = start(command=["sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE)
    assert "ready" == run.line()
    assert until(lambda: not set_of(run.init, "SigBlk"))
    assert TERM not in set_of(run.init, "SigCgt") | set_of(run.init, "SigIgn")

    run.enter("sh", "-c", "kill 1").wait()

    assert STOPPED_BY_TERM == run.process.wait()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_sigkill_handler_is_refused_by_the_kernel(built, name, tmp_path):
    """The system call for any disposition fails with EINVAL; blocking does not fail."""
    log = tmp_path / "strace"
    calls = "trace=rt_sigaction,rt_sigprocmask"
    attempt = built("sigkill-handler/attempt")
    subprocess.run([tool("strace"), "-e", calls, "-o", log, attempt], check=True)

    results = re.findall(rf"^rt_sigaction\({name}, \{{.* = (.*)$", log.read_text(), re.MULTILINE)
    blocked = re.findall(rf"SIG_BLOCK, \[{name[3:]}\].* = (.*)$", log.read_text(), re.MULTILINE)

    assert ["-1 EINVAL (Invalid argument)"] * 3 == results
    assert ["0"] == blocked


def test_sigkill_handler_is_refused_in_python_as_in_c(built):
    """Both languages tell the same table."""
    program = str(LABS / "sigkill-handler" / "attempt.py")
    tables = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
        for command in ([built("sigkill-handler/attempt")], [sys.executable, program])
    ]

    assert tables[0] == tables[1]


def test_three_dispositions_of_an_ordinary_process(built, begin):
    """The third SIGTERM kills it, what it had not written is lost, and its group gets all."""
    bystander = begin("cat", namespace=False, process_group=0)
    exercise = built("three-dispositions/exercise")
    run = begin(exercise, namespace=False, process_group=bystander.init)

    assert (-TERM, "") == (run.finish().code, run.finish().out)
    assert -TERM == bystander.finish().code


def test_three_dispositions_of_pid_1(built, begin):
    """The third SIGTERM is dropped: it goes on and ends with 0."""
    result = begin("setsid", built("three-dispositions/exercise")).finish()

    assert 0 == result.code
    assert ["1. ignore", "2. catch", "caught", "3. default", "still there"] == (
        result.out.splitlines()
    )


def test_who_sends_sigkill_is_the_kernel(built, begin):
    """Workers with a handler get no chance to run it when a PID 1 leaves."""
    run = begin(built("who-sends-sigkill/family"))
    assert "ready" == run.line()
    assert [True, True] == [TERM in set_of(pid, "SigCgt") for pid in children(run.init)]

    assert "parent: SIGTERM, finishing\n" == run.stop().out


def test_who_sends_sigkill_if_signals_are_only_forwarded(built, start):
    """An init that leaves with its child, as tini does, leaves the workers to the kernel."""
    run = start(("-d", "0"), [built("who-sends-sigkill/family")])
    assert "ready" == run.line()

    assert "parent: SIGTERM, finishing\n" == run.stop().out


def test_who_sends_sigkill_not_below_pyinit(built, start):
    """Below pyinit all three run their handlers."""
    run = start(command=[built("who-sends-sigkill/family")])
    assert "ready" == run.line()
    result = run.stop()

    assert 0 == result.code
    assert {"parent", "worker 1", "worker 2"} == {
        line.partition(":")[0] for line in result.out.splitlines()
    }


WORKLOAD = ("sh", "-c", '"$1"; echo gone; read -r line', "sh")


def test_zombies_stay_with_an_init_that_does_not_reap(built, begin):
    """They are handed over to PID 1, and are zombies still."""
    run = begin(built("zombies/idle"), *WORKLOAD, built("zombies/negligent"))
    assert "ready" == run.line()
    parent = only_child(only_child(run.init))
    theirs = zombies(parent)
    assert 3 == len(theirs)

    run.process.stdin.write(b"\n")

    assert "gone" == run.line()
    assert theirs == zombies(run.init)


def test_zombies_of_a_living_parent_are_not_pyinits(built, start):
    """pyinit reaps them when their parent has gone, and not before."""
    run = start(command=[*WORKLOAD, built("zombies/negligent")], stdin=subprocess.PIPE)
    assert "ready" == run.line()
    assert until(lambda: not set_of(run.init, "SigBlk"))  # it waits: there is nothing to reap
    assert 3 == len(zombies(only_child(only_child(run.init))))

    run.process.stdin.write(b"\n")

    assert "gone" == run.line()
    assert until(lambda: len(children(run.init)) == 1)


def test_dead_namespace_takes_no_process(built, begin):
    """fork into it fails with ENOMEM; elsewhere the same process may fork."""
    result = begin(built("dead-namespace/late")).finish()

    assert ["a process", "ENOMEM", "a process"] == re.findall(r"fork: (.*)", result.out)


@pytest.mark.skipif(not ROOT, reason="nsenter needs a process in the user namespace")
def test_dead_namespace_takes_no_guest(begin):
    """nsenter(1), as `docker exec`, gets in while init lives and not when it is dead."""
    run = begin("sh", "-c", "echo ready; exec cat")
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
    """It leaves at once, with no process for pyinit to drain, and no file."""
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
    """With something else called pyinit it ends with code 1."""
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
