"""Processes that do not hear the SIGTERM of a drain end all the same, long before its deadline."""

import os
import shlex
import signal
import subprocess

import pytest
from harness import PYTHON, UNSHARE, descendants, victim
from pexpect.fdpexpect import fdspawn

BOTH = pytest.mark.parametrize("namespace", [True, False], ids=["pid1", "not-pid1"])
LONG = ("-d", "100")  # so that a test fails by its timeout where somebody is waited for
PROMPT = "PROMPT> "
SHELL = {"HISTFILE": "", "INPUTRC": "/dev/null", "LC_ALL": "C", "PS1": PROMPT, "TERM": "dumb"}
SUSPEND = "\x1a"


@pytest.fixture
def leave(start):
    """Have a child leave commands behind; it ends with 3 at the end of its stdin."""

    def leave_behind(*commands, namespace=True, options=LONG):
        script = "".join(f"{command} &\n" for command in commands) + "read x; exit 3"
        environment = os.environ | SHELL
        how = {"stdin": subprocess.PIPE, "env": environment, "namespace": namespace}
        return start(options, ["sh", "-c", script], **how)

    return leave_behind


@pytest.fixture
def terminal():
    """Make a terminal: return what is to be put behind a command for it, and the screen."""
    master, slave = os.openpty()
    screen = fdspawn(master, timeout=30, encoding="utf-8")
    yield f"<>{os.ttyname(slave)} >&0 2>&1", screen
    os.close(slave)
    screen.close()


def end(run):
    """Let the child go and wait for the end of all."""
    run.close_stdin()
    return run.finish()


def on_terminal(command, redirections):
    """Return what runs a command in a session of its own, as `docker exec -it` does."""
    return f"setsid --ctty {command} {redirections}"


@BOTH
@pytest.mark.parametrize("shell", ["bash --norc -i", "dash -i"])
def test_open_shell_ends_at_once(leave, terminal, shell, namespace):
    """An interactive shell ignores SIGTERM, and ends as its terminal hung up."""
    redirections, screen = terminal
    run = leave(on_terminal(shell, redirections), namespace=namespace)
    screen.expect_exact(PROMPT)
    result = end(run)

    assert (3, "") == (result.code, result.err)


@BOTH
def test_suspended_editor_ends_at_once(leave, terminal, namespace):
    """What ^Z stopped stops again when it is continued without the terminal, and ends."""
    redirections, screen = terminal
    run = leave(on_terminal("bash --norc -i", redirections), namespace=namespace)
    screen.expect_exact(PROMPT)
    screen.send(shlex.join(victim("editor")) + "\n")
    screen.expect_exact("\nediting\r\n")
    screen.send(SUSPEND)
    screen.expect_exact("Stopped")
    screen.expect_exact(PROMPT)
    result = end(run)

    assert (3, "") == (result.code, result.err)


JOB_AND_WAIT = """
import os, signal, sys
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
for signum in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(signum, signal.SIG_IGN)
os.waitpid(pid, 0)
"""


@BOTH
def test_suspended_editor_ends_without_its_shell(leave, terminal, namespace):
    """The same where who leads the session sends nobody a hang-up, and waits for it."""
    redirections, screen = terminal
    leader = shlex.join([*PYTHON, "-c", JOB_AND_WAIT, *victim("editor")])
    run = leave(on_terminal(leader, redirections), namespace=namespace)
    screen.expect_exact("editing\r\n")
    result = end(run)

    assert (3, "") == (result.code, result.err)


@BOTH
def test_who_works_on_after_sigterm_is_not_hung_up(leave, terminal, namespace):
    """A process on a terminal that has heard SIGTERM has its time: SIGHUP would end its work."""
    redirections, screen = terminal
    lines = """
import signal
every = {signal.SIGHUP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print("ready", flush=True)
print("got", int(signal.sigwait(every)), flush=True)
input()
print("pending", *signal.sigpending(), flush=True)
"""
    worker = on_terminal(shlex.join([*PYTHON, "-c", lines]), redirections)
    run = leave(worker, nested(["sleep", "100"]), namespace=namespace)
    screen.expect_exact("ready\r\n")
    run.close_stdin()
    screen.expect_exact(f"got {signal.SIGTERM:d}\r\n")
    run.event("drain_survivor")  # of the nested init: those on a terminal were looked at with it
    screen.send("\n")
    screen.expect_exact("pending\r\n")

    assert 3 == run.finish().code


def nested(command):
    """Return what runs a command as PID 1 of a PID namespace below."""
    # unshare complains when that is killed.
    return f"{shlex.join([*UNSHARE, *command])} 2>/dev/null"


@BOTH
def test_deaf_nested_init_does_not_take_all_the_time(leave, namespace):
    """PID 1 of a namespace below without a handler is killed at once, and the reason told."""
    run = leave(nested(["sh", "-c", "echo ready; exec sleep 100"]), namespace=namespace)
    assert "ready" == run.line()
    result = end(run)
    (event,) = result.named("drain_survivor")

    assert (3, "sleep", "warning") == (result.code, event["name"], event["level"])
    assert "has no handler for SIGTERM" in event["reason"]


@BOTH
def test_deaf_nested_init_with_somebody_below_has_its_time(leave, namespace):
    """What runs in its namespace may finish, and then it ends by itself."""
    work = "trap 'read x <\"$0\"; echo done; exit' TERM; echo ready; while :; do sleep 100; done"
    reader, writer = os.pipe()
    deaf = nested(["sleep", "100"])
    gate = f"/proc/{os.getpid()}/fd/{reader}"
    script = shlex.join(["bash", "-c", work, gate])
    run = leave(nested(["sh", "-c", f"{script}; :"]), deaf, namespace=namespace)
    assert "ready" == run.line()
    run.close_stdin()
    assert "sleep" == run.event("drain_survivor")["name"]  # the other one: all were looked at
    os.write(writer, b"\n")
    result = run.finish()
    for descriptor in (reader, writer):
        os.close(descriptor)

    assert (3, "done\n", "") == (result.code, result.out, result.err)


@BOTH
def test_nested_init_that_waits_for_signals_is_not_deaf(leave, namespace):
    """Without a handler it hears by sigwait, and is not taken for deaf."""
    run = leave(nested(victim("listener")), nested(["sleep", "100"]), namespace=namespace)
    run.ready()
    run.close_stdin()
    assert f"got {signal.SIGTERM:d}" == run.line()
    run.event("drain_survivor")
    below = descendants(run.process.pid)
    listener = next(pid for pid in reversed(below) if b"listener" in cmdline(pid))
    os.kill(listener, signal.SIGUSR1)
    while (line := run.line()) != f"got {signal.SIGUSR1:d}":
        assert f"got {signal.SIGCONT:d}" == line
    os.kill(listener, signal.SIGKILL)

    assert 3 == run.finish().code


def cmdline(pid: int) -> bytes:
    """Return the words of a process's command, separated by NUL."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def test_deaf_nested_init_is_told_of_at_the_deadline(leave):
    """Where it was not killed before, for somebody ran below it, the reason is told as well."""
    below = "trap '' TERM; echo ready; while :; do sleep 100; done"
    run = leave(nested(["sh", "-c", f"sh -c {shlex.quote(below)}; :"]), options=["-d", "0.3"])
    assert "ready" == run.line()
    result = end(run)
    reasons = [event.get("reason") for event in result.named("drain_survivor")]

    assert 3 == result.code
    assert any(reasons)
    assert not all(reasons)
