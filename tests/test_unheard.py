"""Processes that do not hear the SIGTERM of a drain end all the same, long before its deadline."""

import os
import shlex
import signal
import subprocess

import pytest
from pexpect.fdpexpect import fdspawn

from testkit.marks import BOTH
from testkit.namespaces import ROOT, UNSHARE
from testkit.processes import descendants, until
from testkit.programs import PYTHON, victim

from pyinit.later import proc, survivors
from pyinit.report import Report
from pyinit.settings import Settings

LONG = ("-d", "1000")  # so that a test fails by its timeout if a process is waited for
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


def nested(command):
    """Return, as a word for a shell, what runs a command as PID 1 of a PID namespace below."""
    # unshare complains when that is killed.
    return f"{shlex.join([*UNSHARE, *command])} 2>/dev/null"


DEAF = nested(["sh", "-c", "echo deaf; exec sleep 1000"])

# In a shell: enters the namespace of what `nested` has just begun in the background.
USER = "" if ROOT else "--user --preserve-credentials "  # as another user it takes that one's
ENTER = f"nsenter --target $(cat /proc/$!/task/$!/children) {USER}--pid"
CAN_ENTER = f"until {ENTER} true; do :; done"


def deaf(run):
    """Tell whether the deaf one has become what it is to be killed as."""
    return b"sleep\x001000\x00" in map(cmdline, descendants(run.process.pid))


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
    screen.send(shlex.join(victim("editor", "hup")) + "\n")
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
    """The same if the leader of the session sends no hang-up, and waits for it."""
    redirections, screen = terminal
    leader = shlex.join([*PYTHON, "-c", JOB_AND_WAIT, *victim("editor")])
    run = leave(on_terminal(leader, redirections), namespace=namespace)
    screen.expect_exact("editing\r\n")
    result = end(run)

    assert (3, "") == (result.code, result.err)


WORKER = """
import signal
every = {signal.SIGHUP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print("ready", flush=True)
print("got", int(signal.sigwait(every)), flush=True)
input()
print("pending", *signal.sigpending(), flush=True)
"""


@BOTH
@pytest.mark.parametrize("shell", [False, True], ids=["alone", "below-a-shell"])
def test_who_works_on_after_sigterm_is_not_hung_up(leave, terminal, shell, namespace):
    """A process on a terminal that has heard SIGTERM has its time, and so has its shell."""
    redirections, screen = terminal
    worker = shlex.join([*PYTHON, "-c", WORKER])
    command = "bash --norc -i" if shell else worker
    run = leave(on_terminal(command, redirections), DEAF, namespace=namespace)
    ready(run, "deaf")
    if shell:
        screen.expect_exact(PROMPT)
        screen.send(f"{worker}\n")
    screen.expect_exact("\nready\r\n" if shell else "ready\r\n")
    run.close_stdin()
    screen.expect_exact(f"got {signal.SIGTERM:d}\r\n")
    run.event("drain_survivor")  # of the nested init: those on a terminal were looked at with it
    screen.send("\n")
    screen.expect_exact("pending\r\n")
    result = run.finish()  # with the shell, which is hung up by a later signal_state

    assert (3, "") == (result.code, result.err)


@BOTH
def test_deaf_nested_init_does_not_take_all_the_time(leave, namespace):
    """PID 1 of a namespace below without a handler is killed at once, and the reason told."""
    run = leave(DEAF, namespace=namespace)
    ready(run, "deaf")
    result = end(run)
    (event,) = result.named("drain_survivor")

    assert (3, "sleep", "warning") == (result.code, event["name"], event["level"])
    assert "has no handler for SIGTERM" in event["reason"]


@pytest.fixture
def gate(tmp_path):
    """Make a FIFO that a worker waits at."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


WORK = "trap 'read x <\"$0\"; echo done; exit' TERM; echo ready; while :; do sleep 0.1; done"


def ready(run, *words):
    """Wait for a word from each of those that were left behind."""
    assert sorted(words) == sorted(run.line() for _ in words)
    if "deaf" in words:
        assert until(lambda: deaf(run))


@BOTH
def test_what_is_below_a_deaf_nested_init_has_its_time(leave, gate, namespace):
    """It may finish its work, and then that init ends by itself."""
    worker = shlex.join(["bash", "-c", WORK, str(gate)])
    run = leave(nested(["sh", "-c", f"{worker}; :"]), DEAF, namespace=namespace)
    ready(run, "ready", "deaf")
    run.close_stdin()
    assert "sleep" == run.event("drain_survivor")["name"]  # the other one: all were looked at
    gate.write_text("\n")
    result = run.finish()
    # A look may come when it has nothing below it any more and has not ended yet.
    told = [(event["event"], event["name"]) for event in result.events]

    assert (3, "done\n") == (result.code, result.out)
    assert [] == [each for each in told if each != ("drain_survivor", "sh")]


@BOTH
def test_what_was_brought_into_a_deaf_namespace_has_its_time(leave, gate, namespace):
    """A process with a parent elsewhere may finish as well; the init is killed after it."""
    worker = shlex.join(["bash", "-c", WORK, str(gate)])
    guest = f"{{ {nested(['sleep', '999'])} & {CAN_ENTER}; {ENTER} {worker}; }} 2>/dev/null"
    run = leave(guest, DEAF, namespace=namespace)
    ready(run, "ready", "deaf")
    run.close_stdin()
    assert "sleep" == run.event("drain_survivor")["name"]
    gate.write_text("\n")
    result = run.finish()

    assert (3, "done\n") == (result.code, result.out)
    assert ["sleep"] == [event["name"] for event in result.named("drain_survivor")]


@BOTH
def test_nested_init_that_waits_for_signals_is_not_deaf(leave, namespace):
    """Without a handler it hears by sigwait, and is not taken for deaf."""
    run = leave(nested(victim("listener")), DEAF, namespace=namespace)
    ready(run, "ready (pid: 1)", "deaf")
    listener = next(
        pid for pid in reversed(descendants(run.process.pid)) if b"listener" in cmdline(pid)
    )
    run.close_stdin()
    assert f"got {signal.SIGTERM:d}" == run.line()
    run.event("drain_survivor")
    os.kill(listener, signal.SIGUSR1)
    while (line := run.line()) != f"got {signal.SIGUSR1:d}":
        assert f"got {signal.SIGCONT:d}" == line
    os.kill(listener, signal.SIGKILL)

    assert 3 == run.finish().code


BEGINNING = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
open({gate!r}).read()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
while True:
    signal.pause()
"""


@BOTH
def test_nested_init_that_is_not_deaf_yet_is_looked_at_again(leave, gate, namespace):
    """One that blocks SIGTERM while it begins, as unshare does, is deaf a moment later."""
    init = [*PYTHON, "-c", BEGINNING.format(gate=str(gate))]
    run = leave(nested(init), DEAF, namespace=namespace)
    ready(run, "ready", "deaf")
    run.close_stdin()
    assert "sleep" == run.event("drain_survivor")["name"]
    gate.write_text("\n")
    (killed,) = run.finish().named("drain_survivor")

    assert killed["reason"].startswith("it is PID 1 of its own PID namespace")


LEAVES_A_ZOMBIE = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: None)
if os.fork() == 0:
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print("left", flush=True)
open({gate!r}).read()
"""


@BOTH
def test_who_is_slow_to_die_is_killed_and_told_of_once(leave, tmp_path, namespace):
    """An init exits after all in its namespace are reaped: more looks see that it is there yet."""
    gates = [tmp_path / "begin", tmp_path / "reap"]
    for each in gates:
        os.mkfifo(each)
    begin, reap = gates
    holder = shlex.join([*PYTHON, "-c", LEAVES_A_ZOMBIE.format(gate=str(reap))])
    dying = f"{{ {DEAF} & {CAN_ENTER}; exec {ENTER} --no-fork {holder}; }}"
    later = nested([*PYTHON, "-c", BEGINNING.format(gate=str(begin))])
    run = leave(f"{dying} 2>/dev/null", later, namespace=namespace)
    ready(run, "deaf", "left", "ready")
    run.close_stdin()
    names = [run.event("drain_survivor")["name"]]
    begin.write_text("\n")
    names.append(run.event("drain_survivor")["name"])  # this look has seen the other one, too
    reap.write_text("\n")
    names += [event["name"] for event in run.finish().named("drain_survivor")]

    assert ("sleep", 2) == (names[0], len(names))


def test_those_that_there_was_no_time_for_are_looked_at_again(monkeypatch):
    """On a machine that is too slow to look at all processes at once."""
    monkeypatch.setattr(survivors, "LOOKING_SECONDS", -1)
    found = survivors.Survivors(Report(Settings(("app",)), b""), 5.0)
    monkeypatch.setattr(
        survivors, "alive", lambda _seconds: [(os.getpid(), proc.stat(os.getpid()))]
    )

    assert found.look(None)


def cmdline(pid: int) -> bytes:
    """Return the words of a process's command, separated by NUL; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_deaf_nested_init_is_told_of_at_the_deadline(leave):
    """If it was not killed before, because a process ran below it, the reason is logged as well."""
    below = "trap '' TERM; echo ready; while :; do sleep 100; done"
    run = leave(nested(["sh", "-c", f"sh -c {shlex.quote(below)}; :"]), options=["-d", "2"])
    assert "ready" == run.line()
    result = end(run)
    reasons = [event["reason"] for event in result.named("drain_survivor")]

    assert 3 == result.code
    assert any(reason.startswith("it is PID 1 of its own PID namespace") for reason in reasons)
    assert any("ignores SIGTERM" in reason for reason in reasons)
