"""What docs/gotchas.md says of other inits, seen on them as the distribution packages them.

A version that has fixed something fails its test here: then the page is to be changed. Where
pyinit stands in a list, it shows that the test would see the opposite, too.
"""

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from testkit.namespaces import ROOT, UNSHARE
from testkit.pipes import fill
from testkit.processes import children, state, status, until
from testkit.programs import PYINIT, PYTHON, tool, victim
from testkit.refusals import MAY_NOT_KILL, OTHER_USER, STRACE
from testkit.running import Run
from testkit.signalsets import pending, signal_set
from testkit.usage import ticks, wakeups

TINI, DUMB_INIT, CATATONIT, OURS = ("tini",), ("dumb-init",), ("catatonit",), (PYINIT,)
NOT_TINI = [DUMB_INIT, CATATONIT, OURS]


def of(*inits: tuple[str, ...]):
    """Run a test with each of these commands as the init."""
    return pytest.mark.parametrize("init", inits, ids=lambda init: os.path.basename(" ".join(init)))


@pytest.fixture
def begin(launch):
    """Start a command under an init, the child of `outer`."""

    def begin_one(init, command, *, outer=UNSHARE, wrap=(), **popen) -> Run:
        return launch([*outer, *wrap, tool(init[0]), *init[1:], "--", *command], **popen)

    return begin_one


def turn(run: Run, times: int = 2) -> None:
    """Have an init that waits for signals take some, and wait again."""
    for _ in range(times):
        before = wakeups(run.init)
        run.send(signal.SIGWINCH)
        assert until(lambda before=before: wakeups(run.init) > before)


@of(TINI, CATATONIT)
def test_ignored_sigchld_hangs_it(begin, init):
    """With SIGCHLD ignored it looks at signals for ever, and its child is long gone."""
    wrap = ["env", "--ignore-signal=CHLD"]
    script = "echo 'ready (pid: 2)'; read x; exit 3"
    run = begin(init, ["sh", "-c", script], wrap=wrap, stdin=subprocess.PIPE)
    run.ready()
    turn(run)  # it waits for signals by now
    run.close_stdin()
    assert until(lambda: not children(run.init))
    turn(run)

    assert run.process.poll() is None


@of(DUMB_INIT, OURS)
def test_ignored_sigchld_does_not_hang_it(begin, init):
    """It gives SIGCHLD its default back."""
    run = begin(init, ["sh", "-c", "exit 3"], wrap=["env", "--ignore-signal=CHLD"])

    assert 3 == run.finish().code


@pytest.mark.skipif(not ROOT, reason="a user namespace of one id has no other user")
@pytest.mark.parametrize(("init", "code"), [(TINI, 1), (DUMB_INIT, 9), (OURS, 9)])
def test_refused_forward(begin, init, code):
    """A signal for a child that may not be signalled ends tini, and the container with it."""
    script = "echo 'ready (pid: 2)'; read x; exit 9"
    run = begin(init, [*OTHER_USER, "sh", "-c", script], wrap=MAY_NOT_KILL, stdin=subprocess.PIPE)
    run.ready()
    run.send(signal.SIGUSR1)
    if init != TINI:
        run.close_stdin()

    assert code == run.process.wait()


@pytest.mark.parametrize(("init", "code"), [(TINI, 1), (DUMB_INIT, 4), (CATATONIT, 4)])
def test_closed_stdin(begin, init, code):
    """tini takes EBADF of tcsetpgrp for fatal."""
    run = begin(init, ["sh", "-c", "exit 4"], wrap=["sh", "-c", 'exec "$@" <&-', "-"])

    assert code == run.finish().code


def test_own_sigpipe(begin):
    """A warning to a closed pipe is a SIGPIPE for tini, which forwards it to the child."""
    reader, writer = os.pipe()
    os.close(reader)
    script = "echo 'ready (pid: 2)'; read x; (true &); read x; exit 9"
    run = begin((*TINI, "-w"), ["sh", "-c", script], stderr=writer, stdin=subprocess.PIPE)
    os.close(writer)
    run.ready()
    run.process.stdin.write(b"make an orphan\n")

    assert 128 + signal.SIGPIPE == run.process.wait()


def test_dumb_init_spins_and_sees_no_death():
    """Each line to a closed pipe is a SIGPIPE, which is logged: SIGCHLD never has its turn."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*PYTHON, "-c", AS_C_PROGRAMS, tool("dumb-init"), "-v", "sh", "-c", "exit 3"]
    with subprocess.Popen(command, stderr=writer) as process:
        os.close(writer)
        assert until(lambda: [state(child) for child in children(process.pid)] == ["Z"])
        before = ticks(process.pid)

        assert until(lambda: ticks(process.pid) > before + 20)
        assert ["Z"] == [state(child) for child in children(process.pid)]
        assert signal.SIGCHLD in not_taken(process.pid)
        process.kill()


# CPython ignores SIGPIPE, and subprocess gives it back its default only in what it runs itself.
AS_C_PROGRAMS = "import os, _signal, sys; _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL);"
AS_C_PROGRAMS += "os.execv(sys.argv[1], sys.argv[1:])"


def not_taken(pid: int) -> set[int]:
    """Return the signals that a process has not taken yet."""
    return signal_set(status(pid)["ShdPnd"])


def test_dumb_init_stalls_where_stderr_is_full(begin):
    """With -v and a reader that does not read, it forwards nothing until the pipe is read."""
    reader, writer = os.pipe()
    run = begin((*DUMB_INIT, "-v"), victim("listener"), stderr=writer)
    run.ready()
    (listener,) = children(run.init)
    fill(writer)
    run.send(signal.SIGUSR1)
    assert until(lambda: signal.SIGUSR1 not in not_taken(run.init))
    os.kill(listener, signal.SIGUSR2)
    assert f"got {int(signal.SIGUSR2)}" == run.line()
    os.read(reader, 1 << 20)

    assert f"got {int(signal.SIGUSR1)}" == run.line()
    os.close(reader)
    os.close(writer)


EARLY = [((*TINI, "-g"), False), (DUMB_INIT, False), ((*CATATONIT, "-g"), False)]
EARLY += [((*OURS, "-g"), True), (TINI, True), (CATATONIT, True), ((*DUMB_INIT, "-c"), False)]


@pytest.mark.parametrize(("init", "arrives"), EARLY, ids=lambda value: value)
def test_signal_before_the_childs_setpgid(begin, init, arrives):
    """What comes before the child has a group of its own, or is the program, is lost."""
    slow = ["-f", "-e", "inject=setpgid,setsid,rt_sigprocmask:delay_enter=300000"]
    wrap = pending(signal.SIGTERM)
    run = begin(init, victim("listener"), outer=[*STRACE, *slow], wrap=wrap)
    run.ready()
    run.send(signal.SIGRTMIN)
    expected = signal.SIGTERM if arrives else signal.SIGRTMIN

    assert f"got {int(expected)}" == run.line()


FAULTS = [signal.SIGABRT, signal.SIGSEGV, signal.SIGSYS, signal.SIGTTIN]


@pytest.mark.parametrize("signum", FAULTS)
@pytest.mark.parametrize(("init", "arrives"), [(TINI, False), (CATATONIT, False), (OURS, True)])
def test_fault_signal_sent_by_kill(begin, init, signum, arrives):
    """As PID 1, two of them do not block these: the kernel drops what is sent to them."""
    run = begin(init, victim("listener"))
    run.ready()
    run.send(signum)
    run.send(signal.SIGUSR2)
    first = {signum, signal.SIGUSR2} if arrives else {signal.SIGUSR2}

    assert first == {int(run.line().removeprefix("got ")) for _ in first}


# A session with a terminal, an init in a background process group; whose is the foreground then?
BACKGROUND = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
init = os.fork()
if not init:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
os.waitpid(init, 0)
os.write(1, b"kept" if os.tcgetpgrp(0) == os.getpgrp() else b"taken")
"""


@pytest.mark.parametrize(
    ("init", "foreground"),
    [((*TINI, "-s"), "taken"), (CATATONIT, "taken"), (DUMB_INIT, "kept"), (OURS, "kept")],
    ids=lambda value: os.path.basename(value[0]) if isinstance(value, tuple) else value,
)
def test_background_job_and_the_foreground(init, foreground):
    """Started in the background, two of them take the terminal from its owner."""
    master, slave = pty.openpty()
    command = [*PYTHON, "-c", BACKGROUND, tool(init[0]), *init[1:], "--", "true"]
    with subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, text=True) as process:
        seen = process.stdout.read()
    os.close(slave)
    os.close(master)

    assert foreground == seen


def test_tini_does_not_ask_whether_its_parent_lives(begin, tmp_path):
    """One that ended before the prctl sends no signal, and tini does not look (getppid)."""
    log = tmp_path / "calls"
    strace = ["strace", "-qq", "-o", str(log), "-e", "trace=prctl,getppid"]
    begin((*TINI, "-p", "SIGTERM"), ["true"], outer=strace).finish()

    assert ["PR_SET_PDEATHSIG", "PR_GET_CHILD_SUBREAPER"] == calls_of(log)


def calls_of(log: Path) -> list[str]:
    """Return the first words of the arguments of the calls that strace wrote."""
    return [line.split("(")[1].split(",")[0] for line in log.read_text().splitlines()]


def test_dumb_init_signals_whom_it_has_reaped(begin, tmp_path):
    """The last thing that it does is a signal for a group that need not be there any more."""
    log = tmp_path / "calls"
    strace = ["strace", "-qq", "-o", str(log), "-e", "trace=kill,wait4"]
    begin(DUMB_INIT, ["true"], outer=strace).finish()
    reaped, killed = log.read_text().splitlines()
    pid = reaped.rpartition(" = ")[2]

    assert killed.startswith(f"kill(-{pid}, SIGTERM)")


def test_tini_wakes_up_for_nothing(begin):
    """While nothing happens it waits again and again."""
    run = begin(TINI, victim("listener"))
    run.ready()
    before = wakeups(run.init)

    assert until(lambda: wakeups(run.init) > before + 1)


@of(TINI, DUMB_INIT, CATATONIT)
@pytest.mark.parametrize("what", ["finish", "stopped"])
def test_nobody_may_finish(begin, compiled, init, what):
    """0 of 50 helpers end their work where the init leaves with the child."""
    result = begin(init, [compiled("helpers"), "50", what, "3"]).finish()

    assert (3, 0) == (result.code, result.out.count("done"))


@pytest.mark.parametrize(
    ("init", "missing", "forbidden"), [(TINI, 127, 126), (DUMB_INIT, 2, 2), (CATATONIT, 1, 1)]
)
def test_codes_of_a_failed_exec(begin, tmp_path, init, missing, forbidden):
    """Only tini's codes are those of a shell."""
    file = tmp_path / "file"
    file.touch(mode=0o644)

    assert missing == begin(init, ["no-such-program"]).finish().code
    assert forbidden == begin(init, [str(file)]).finish().code
