"""On a terminal: job control, the foreground, typed signals, hang-ups, colours."""

import fcntl
import os
import posix
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from types import SimpleNamespace

import pexpect
import pytest
from pexpect.fdpexpect import fdspawn

from testkit.marks import BOTH
from testkit.namespaces import UNSHARE
from testkit.processes import children, descendants, only_child, state, status, until
from testkit.programs import INSTALLED, PYINIT, PYTHON, victim
from testkit.refusals import refusing
from testkit.running import Run, command_line
from testkit.signalsets import signal_set

from pyinit import signals
from pyinit.before import terminal as shared
from pyinit.before.terminal import Terminal, _is_pipe

BACKSTOP = 30  # seconds; nothing here takes one

# The session on the terminal is led by unshare, whose process group pyinit is in and cannot see,
# or by pyinit itself as `docker run --tty` makes it, or by pyinit in the namespace of the test.
SETSID = ("setsid", "--ctty")
STARTS = {
    "pid1": (*SETSID, *UNSHARE),
    "pid1-leader": (*UNSHARE, *SETSID),
    "not-pid1": SETSID,
}
LEADERS = ("pid1-leader", "not-pid1")
PREFIXES = {"pid1": UNSHARE, "not-pid1": ()}

SHELL = ("bash", "--norc", "-i")
PROMPT = "PROMPT> "
SHELL_ENVIRONMENT = {
    "HISTFILE": "",
    "INPUTRC": "/dev/null",
    "LC_ALL": "C",
    "PROMPT_COMMAND": "",
    "PS1": PROMPT,
    "TERM": "dumb",
}

# Keys for which a terminal sends its foreground group a signal: ^C, ^\ and ^Z.
INTERRUPT, QUIT, SUSPEND = "\x03\x1c\x1a"
TYPED = {INTERRUPT: signal.SIGINT, QUIT: signal.SIGQUIT, SUSPEND: signal.SIGTSTP}
END_OF_INPUT = "\x04"

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
SLEEPER = ("sh", "-c", "echo ready >/dev/tty; exec sleep 100")
WAITER = ("sh", "-c", "echo ready; exec sleep 100")  # also where there is no terminal
ESCAPE = r"\x1b\[[0-9;]*m"

REDIRECTIONS = [
    "",
    "</dev/null",
    ">/dev/null",
    "2>/dev/null",
    "</dev/null >/dev/null",
    "</dev/null 2>/dev/null",
    ">/dev/null 2>/dev/null",
    "<&-",
]

every_start = pytest.mark.parametrize("kind", STARTS)
every_leader = pytest.mark.parametrize("kind", LEADERS)
every_prefix = pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
every_option = pytest.mark.parametrize("options", [(), ("-g",)], ids=["shared", "group"])


class Screen:
    """A pseudo terminal and the one session on it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        self._lease, self._leased = os.pipe()
        self.resize(columns=1000)  # no line is wrapped
        self._screen = fdspawn(self.master, timeout=BACKSTOP, encoding="utf-8")
        self.run = None

    @property
    def foreground(self) -> int:
        """The foreground process group."""
        return os.tcgetpgrp(self.master)

    def resize(self, *, columns: int) -> None:
        """Change the window size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def start(self, kind, command, options=(), *, script='exec "$@"', **popen) -> Run:
        """Start pyinit, by way of `script`, in a session of which this terminal is the terminal."""
        line = [*STARTS[kind], "sh", "-c", script, "sh"]
        line += command_line(options, command, namespace=False)
        return self._begin(line, namespace=kind != "not-pid1", **popen)

    def shell(self) -> Run:
        """Start an interactive shell, of which no pyinit knows, and wait for its prompt."""
        run = self._begin([*SETSID, *SHELL], namespace=False, env=os.environ | SHELL_ENVIRONMENT)
        self.see(PROMPT)
        return run

    def _begin(self, line, *, namespace, **popen) -> Run:
        for stream in ("stdin", "stdout", "stderr"):
            popen.setdefault(stream, self.slave)
        try:
            how = {"pass_fds": (self._leased,), "start_new_session": False, **popen}
            self.run = Run(line, namespace=namespace, **how)
        finally:
            os.close(self._leased)
        return self.run

    def type(self, text: str) -> None:
        """Press some keys."""
        self._screen.send(text)

    def see(self, text: str) -> str:
        """Wait until `text` is written; return what came before it."""
        self._screen.expect_exact(text)
        return self._screen.before

    def ask(self, text: str, *answers: str) -> None:
        """Press some keys and wait for what is written after them, one after the other."""
        self.type(text)
        for answer in answers:
            self.see(answer)

    def suspend(self, shell: Run) -> None:
        """Press ^Z, and wait for the shell's prompt and until the command can read no more.

        A process that is about to be stopped still reads what is there already.
        """
        reader = innermost(shell)
        self.ask(SUSPEND, "Stopped", PROMPT)
        assert until(lambda: state(reader) == "T")

    def job(self, command: str, prefix=()) -> None:
        """Have a shell run a command and wait until that is in the foreground."""
        line = shlex.join([*prefix, "sh", "-c", f"echo ready; exec {command}"])
        self.ask(f"{line}\n", "\nready\r\n")

    def rest(self) -> str:
        """Return what is written until no process has the terminal open any more."""
        os.close(self.slave)
        self.slave = None
        self._screen.expect(pexpect.EOF)
        return self._screen.before

    def hang_up(self) -> None:
        """Close the master, as a terminal window does that is closed."""
        self._screen.close()

    def empties(self) -> bool:
        """Wait for the last process of the session to go: all of them hold a pipe open."""
        return select.select([self._lease], [], [], BACKSTOP)[0] != []

    def close(self) -> None:
        """Kill what is left."""
        if self.run:
            self.run.kill()
        if not self._screen.closed:
            self.hang_up()
        if self.slave:
            os.close(self.slave)
        assert self.empties(), "a process is left behind"
        os.close(self._lease)


@pytest.fixture
def terminal():
    """Make a terminal; whatever runs on it at the end of the test is killed."""
    made = Screen()
    yield made
    made.close()


@pytest.fixture
def strange():
    """Make a terminal that is no process's controlling terminal; return its descriptor."""
    master, slave = os.openpty()
    yield slave
    os.close(slave)
    os.close(master)


def innermost(run: Run) -> int:
    """Return the pid of the process at the end of a chain of only children."""
    return descendants(run.process.pid)[-1]


def end_job(shell: Run) -> None:
    """Kill the command of a shell's one job and wait until the job has ended."""
    job = os.pidfd_open(only_child(shell.process.pid))
    os.kill(innermost(shell), signal.SIGKILL)
    ended = select.select([job], [], [], BACKSTOP)[0] != []
    os.close(job)
    assert ended, "the job outlives its command"


# --- job control ---


@pytest.mark.parametrize("error", ["ENOTTY", "ENXIO", "EPERM", "EBADF", "ESRCH", "EIO"])
def test_terminal_that_cannot_be_handed_over(terminal, error, tmp_path):
    """Whatever tcsetpgrp(3) fails with, the child runs, and its code comes out."""
    calls = tmp_path / "calls"
    inject = f"inject=ioctl:error={error}:when=1"  # each process's first
    # -D: the tracer is no parent of pyinit's, which leads the session as it would without one.
    strace = ["strace", "-D", "-ff", "-qq", "-o", str(calls), "-e", "trace=ioctl", "-e", inject]
    script = f'exec {shlex.join(strace)} "$@"'
    run = terminal.start("not-pid1", ["sh", "-c", "exit 3"], script=script, **PIPES)

    assert (3, "") == (run.finish().code, run.finish().err)
    made = "".join(log.read_text() for log in tmp_path.glob("calls.*"))
    assert re.search(rf"TIOCSPGRP.* = -1 {error}.*INJECTED", made)


@every_start
def test_shell_begins_without_complaint(terminal, kind):
    """An interactive shell finds itself in the foreground and does not say "no job control"."""
    terminal.start(kind, SHELL, env=os.environ | SHELL_ENVIRONMENT)

    assert "" == terminal.see(PROMPT)


@every_start
def test_shell_has_job_control(terminal, kind):
    """A job stops at ^Z, may not read after bg, reads after fg, and is killed by ^C."""
    run = terminal.start(kind, SHELL, env=os.environ | SHELL_ENVIRONMENT)
    terminal.ask("set -b\n", PROMPT)  # from now on a job that stops is told of at once
    terminal.job("cat")
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.ask(SUSPEND, "Stopped", PROMPT)
    terminal.ask("bg\n", "exec cat' &", "Stopped")
    terminal.ask("fg\n", "exec cat'\r\n")
    terminal.ask("two\n", "two\r\ntwo\r\n")
    terminal.ask(INTERRUPT, PROMPT)
    terminal.ask("echo code=$?\n", "\ncode=130\r\n")
    terminal.type("exit 3\n")

    assert 3 == run.finish().code


@every_start
def test_job_runs_on_in_background(terminal, kind):
    """A stopped job that needs no terminal runs after bg, beside the shell."""
    terminal.start(kind, SHELL, env=os.environ | SHELL_ENVIRONMENT)
    terminal.job("sleep 100")
    terminal.ask(SUSPEND, "Stopped", PROMPT)
    terminal.ask("bg\n", "exec sleep 100' &", PROMPT)
    terminal.type("jobs\n")

    assert "Running" in terminal.see("exec sleep 100' &")


@every_start
def test_interrupt_key_ends_command(terminal, kind):
    """^C kills a lone cat and pyinit leaves with 130."""
    run = terminal.start(kind, ["cat"])
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.type(INTERRUPT)

    assert 130 == run.finish().code


# --- the leader of the session hands the foreground over; a job shares it ---


@pytest.mark.parametrize("redirections", REDIRECTIONS)
@every_leader
def test_child_gets_foreground(terminal, kind, redirections):
    """The child's group becomes the foreground group, whichever stream is the terminal."""
    run = terminal.start(kind, SLEEPER, script=f'exec "$@" {redirections}')
    terminal.see("ready\r\n")

    assert innermost(run) == terminal.foreground


@every_leader
def test_child_gets_foreground_of_second_terminal(terminal, strange, kind):
    """A stdin that is another session's terminal does not keep stdout's from the child."""
    script = f'exec "$@" <{os.ttyname(strange)}'
    run = terminal.start(kind, SLEEPER, script=script)
    terminal.see("ready\r\n")

    assert innermost(run) == terminal.foreground


@every_leader
def test_no_stream_no_foreground(terminal, kind):
    """A terminal that none of the three streams leads to stays where it is."""
    run = terminal.start(kind, SLEEPER, script='exec "$@" </dev/null >/dev/null 2>&1')
    terminal.see("ready\r\n")

    assert os.getsid(innermost(run)) == terminal.foreground


@pytest.mark.parametrize("redirections", [*REDIRECTIONS, "</dev/null >/dev/null 2>&1"])
@every_prefix
def test_child_shares_group_of_job(terminal, prefix, redirections):
    """In a shell's job the child stays in pyinit's group, which has the foreground already."""
    shell = terminal.shell()
    line = shlex.join([*prefix, PYINIT, "--", *SLEEPER])
    terminal.ask(f"{line} {redirections}\n", "ready\r\n")
    group = only_child(shell.process.pid)

    assert (group, group) == (os.getpgid(innermost(shell)), terminal.foreground)


def test_child_shares_group_of_job_without_dev(terminal):
    """Where /dev/tty is not there the three streams tell that there is a terminal."""
    hide = 'mount -t tmpfs none /dev; exec "$@"'
    command = ["sh", "-c", "echo ready; exec sleep 100"]
    run = terminal.start("pid1", command, script=hide)
    terminal.see("ready\r\n")

    assert os.getpgid(innermost(run)) == terminal.foreground


@every_prefix
def test_foreground_job_of_a_group_gets_foreground(terminal, prefix):
    """With -g pyinit hands its foreground on, and the shell gets it back."""
    shell = terminal.shell()
    terminal.job("cat", [*prefix, PYINIT, "-g", "--"])

    assert innermost(shell) == terminal.foreground

    terminal.ask(INTERRUPT, PROMPT)
    terminal.ask("echo code=$?\n", "\ncode=130\r\n", PROMPT)

    assert shell.process.pid == terminal.foreground


@pytest.mark.parametrize(
    "redirections",
    ["</dev/null", "| cat", "| cat >/dev/null", f"> >({shlex.join(['cat'])})", ">&-"],
)
@every_prefix
def test_rest_of_job_keeps_foreground_beside_a_group(terminal, prefix, redirections):
    """With -g nothing is handed over where others of the job may want the terminal."""
    shell = terminal.shell()
    line = shlex.join([*prefix, PYINIT, "-g", "--", *SLEEPER])
    terminal.ask(f"{line} {redirections}\n", "ready\r\n")
    is_closed = redirections == ">&-"  # that is no pipe: there is no other process
    pyinit = children(shell.process.pid)[0]
    sleeper = descendants(pyinit)[-1]

    assert (sleeper if is_closed else os.getpgid(pyinit)) == terminal.foreground


@pytest.mark.parametrize("redirections", ["", "</dev/null", "2>/dev/null"])
@every_option
@every_prefix
def test_background_job_leaves_foreground(terminal, prefix, options, redirections):
    """As a shell's background job pyinit takes nothing, and the shell goes on working."""
    shell = terminal.shell()
    line = shlex.join([*prefix, PYINIT, *options, "--", *SLEEPER])
    terminal.ask(f"{line} {redirections} &\n", "ready\r\n")

    assert shell.process.pid == terminal.foreground

    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@every_option
@every_prefix
def test_end_of_background_job_leaves_foreground(terminal, prefix, options):
    """A pyinit in the background gives nothing back that it did not have."""
    shell = terminal.shell()
    line = shlex.join([*prefix, PYINIT, *options, "--", *SLEEPER])
    terminal.ask(f"{line} &\n", "ready\r\n")
    end_job(shell)

    assert shell.process.pid == terminal.foreground

    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@every_option
@every_prefix
def test_end_of_job_sent_to_background_leaves_foreground(terminal, prefix, options):
    """A pyinit that was stopped and sent to the background has no terminal to give back."""
    shell = terminal.shell()
    terminal.job("sleep 100", [*prefix, PYINIT, *options, "--"])
    os.killpg(only_child(shell.process.pid), signal.SIGSTOP)
    terminal.see("Stopped")
    terminal.see(PROMPT)
    terminal.ask("bg\n", PROMPT)
    end_job(shell)

    assert shell.process.pid == terminal.foreground

    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


def killed_by_job(then: str) -> list[str]:
    """Return a shell that is killed by its foreground job, and what the job does then."""
    return [*SHELL, "-c", f"sh -c 'kill -KILL $PPID; {then}'; :"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["sh", "-c", "exit 3"], 3, id="exit"),
        pytest.param(["sh", "-c", "kill -KILL $$"], 137, id="killed"),
        pytest.param(killed_by_job(":"), 137, id="by-its-job"),
        pytest.param(killed_by_job("exec sleep 100"), 137, id="job-lives"),
        pytest.param(["/nonexistent"], 127, id="not-found"),
    ],
)
def test_foreground_comes_back(terminal, command, code):
    """A script that ran pyinit in its own group may read again when the child has exited."""
    # The script is PID 1 here, not pyinit, so that a job that is left goes with it.
    script = '"$@" 2>/dev/null; echo "code=$?"; read x; echo "x=$x"'
    terminal.start("pid1-leader", command, script=script)
    terminal.see(f"code={code}\r\n")
    terminal.type("word\n")

    assert "word\r\nx=word\r\n" == terminal.rest()


def test_foreground_is_left_alone_where_nobody_tells_whose_it_is(terminal):
    """Without /dev/tty, and groups that read as 0, the child does not get the foreground."""
    hide = 'mount -t tmpfs none /dev; exec "$@"'
    command = ["sh", "-c", "echo ready; exec sleep 100"]
    run = terminal.start("pid1", command, ["-g"], script=hide)
    terminal.see("ready\r\n")

    assert os.getpgid(run.process.pid) == terminal.foreground


def test_foreground_is_had_beside_another_reader(terminal):
    """Another process that reads from the terminal shows that it is in the foreground."""
    fault = "-P /dev/tty -e trace=read -e inject=read:error=EAGAIN"
    script = f'exec strace -qq -o /dev/null {fault} "$@"'
    run = terminal.start("pid1", SLEEPER, ["-g"], script=script)
    terminal.see("ready\r\n")

    assert innermost(run) == terminal.foreground


@pytest.mark.parametrize(("error", "is_there"), [("EPERM", b"True\n"), ("ESRCH", b"False\n")])
def test_group_of_another_user_is_there(error, is_there):
    """A group that may not be signalled exists all the same, and keeps the foreground."""
    ask = "import os; from pyinit.before import terminal; print(terminal._exists(os.getpgrp()))"
    command = [*refusing(f"kill:error={error}"), *INSTALLED, ask]
    done = subprocess.run(command, check=True, capture_output=True)

    assert is_there == done.stdout


# --- a job is what it is without an init ---

# What is run in front of a command; the peers show that a test would see something else.
OURS = {
    "pyinit": (PYINIT, "--"),
    "group": (PYINIT, "-g", "--"),
    "pid1": (*UNSHARE, PYINIT, "--"),
}
NONE = {"none": ()}
PID1_GROUP = (*UNSHARE, PYINIT, "-g", "--")
PEERS = {"tini": ("tini", "-s", "--"), "dumb-init": ("dumb-init", "--")}


def beside(**inits: tuple[str, ...]):
    """Run a test with each of these in front of the command."""
    return pytest.mark.parametrize("init", inits.values(), ids=inits)


def suspend_twice(terminal: Screen, shell: Run, meanwhile: Callable[[], None] | None = None):
    """Have ^Z stop a cat, and fg continue it, twice; then it still reads, and ^C ends it."""
    for word in ("one", "two"):
        terminal.ask(f"{word}\n", f"{word}\r\n{word}\r\n")
        terminal.suspend(shell)
        if meanwhile is not None:
            meanwhile()
        terminal.ask("fg\n", "exec cat'\r\n")
    terminal.ask("three\n", "three\r\nthree\r\n")
    terminal.ask(INTERRUPT, PROMPT)


def bash(script: str) -> str:
    """Return the command, as typed, of a bash that runs a script without job control."""
    return shlex.join(["bash", "--norc", "-c", script])


@beside(**NONE, **OURS, dumb_init=PEERS["dumb-init"])
def test_rest_of_pipeline_reads_the_terminal(terminal, init):
    """`init seq | less` reads its keys, and ^C ends them both."""
    terminal.shell()
    seq = shlex.join([*init, "sh", "-c", "echo go; exec sleep 100"])
    less = "read go; echo ready; read x </dev/tty; echo x=$x; read x </dev/tty"
    terminal.ask(f"{seq} | {bash(less)}\n", "\nready\r\n")
    terminal.ask("word\n", "\nx=word\r\n")

    terminal.ask(INTERRUPT, PROMPT)
    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@beside(**NONE, pyinit=OURS["pyinit"], pid1=OURS["pid1"])
def test_end_of_pipeline_reads_the_terminal(terminal, init):
    """`cat f | init less` reads its keys from /dev/tty."""
    terminal.shell()
    less = "read x; echo x=$x; read y </dev/tty; echo y=$y"
    terminal.ask(f"echo one | {shlex.join([*init, 'bash', '-c', less])}\n", "x=one\r\n")
    terminal.ask("two\n", "y=two\r\n", PROMPT)


@beside(**NONE, pyinit=OURS["pyinit"], pid1=OURS["pid1"])
def test_whole_pipeline_reads_the_terminal(terminal, init):
    """Both ends of a pipeline may ask for something, as sudo and less do."""
    terminal.shell()
    first = bash("read x </dev/tty; echo x=$x")
    last = bash("read x; echo $x; read y </dev/tty; echo y=$y")
    terminal.type(f"{shlex.join(init)} {first} | {shlex.join(init)} {last}\n")
    terminal.ask("one\n", "x=one\r\n")
    terminal.ask("two\n", "y=two\r\n", PROMPT)


@beside(**NONE, **OURS, **PEERS)
def test_script_reads_beside_a_background_command(terminal, init):
    """`sh -c 'init app & read x'` reads, and both live."""
    terminal.shell()
    script = f'{shlex.join([*init, *WAITER])} & read x; echo "x=$x"; read x'
    terminal.ask(shlex.join(["dash", "-c", script]) + "\n", "ready\r\n")
    terminal.ask("word\n", "x=word\r\n")


@beside(**NONE, **OURS, **PEERS)
def test_script_beside_a_background_command_hears_the_interrupt_key(terminal, init):
    """`sh -c 'init app & sleep 12'` hears ^C."""
    terminal.shell()
    # Not in `read` itself: a trap that comes right before its system call waits for a line.
    command = shlex.join(["sh", "-c", "read x; echo $x; exec sleep 100"])
    background = shlex.join([*init, *WAITER])
    script = f"trap 'echo heard; read x' INT; {background} & {command}"
    terminal.ask(shlex.join(["dash", "-c", script]) + "\n", "ready\r\n")
    terminal.ask("word\n", "\nword\r\n")
    terminal.ask(INTERRUPT, "heard\r\n")


@beside(**NONE, pyinit=OURS["pyinit"], dumb_init=PEERS["dumb-init"])
def test_python_prompt_goes_on_beside_a_popen(terminal, init):
    """subprocess.Popen(["pyinit", ...], stdin=DEVNULL) does not stop its caller."""
    terminal.shell()
    terminal.ask(shlex.join([sys.executable, "-I", "-q"]) + "\n", ">>> ")
    how = "stdin=subprocess.DEVNULL, stdout=subprocess.PIPE"
    terminal.ask("import subprocess\n", ">>> ")
    terminal.ask(f"child = subprocess.Popen({[*init, *WAITER]}, {how})\n", ">>> ")
    terminal.ask("child.stdout.readline()\n", "b'ready\\n'\r\n", ">>> ")
    for number in (6, 7):
        terminal.ask(f"{number} * 7\n", f"\n{number * 7}\r\n", ">>> ")


@beside(**NONE, **OURS, pid1_group=PID1_GROUP, dumb_init=PEERS["dumb-init"])
def test_suspend_key_gives_the_shell_its_terminal(terminal, init):
    """^Z stops the command, and the shell knows of it."""
    shell = terminal.shell()
    terminal.job("cat", init)
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.suspend(shell)
    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@beside(**NONE, **OURS, pid1_group=PID1_GROUP)
def test_suspended_job_is_continued(terminal, init):
    """fg continues a command in the foreground, each time that it was stopped."""
    shell = terminal.shell()
    terminal.job("cat", init)
    suspend_twice(terminal, shell)
    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


STOPS_ITSELF = """
import os, signal, threading

def stop():
    while True:
        signal.sigwait({signal.SIGTSTP})  # a handler would run after the next line, if it comes now
        os.kill(os.getpid(), signal.SIGSTOP)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
threading.Thread(target=stop, daemon=True).start()
print("ready", flush=True)
while True:
    print(input(), flush=True)
"""


@beside(**NONE, pyinit=OURS["pyinit"], group=OURS["group"])
def test_program_that_catches_the_suspend_key_is_suspended(terminal, init):
    """A program that stops by SIGSTOP at ^Z, as top does, gives the shell its terminal, too."""
    shell = terminal.shell()
    terminal.ask(shlex.join([*init, *PYTHON, "-c", STOPS_ITSELF]) + "\n", "\nready\r\n")
    for word in ("one", "two"):
        terminal.ask(f"{word}\n", f"{word}\r\n{word}\r\n")
        terminal.suspend(shell)
        terminal.ask("fg\n", "\n'\r\n")  # the end of the command: the shell has let go
    terminal.ask("three\n", "three\r\nthree\r\n")


@beside(**NONE, pyinit=OURS["pyinit"], group=OURS["group"])
def test_inner_shell_may_suspend_itself(terminal, init):
    """`suspend` in an inner shell gets back to the outer one, and fg returns."""
    shell = terminal.shell()
    inner = ["env", "PS1=INNER> ", "bash", "--norc", "-i"]
    terminal.ask(shlex.join([*init, *inner]) + "\n", "\nINNER> ")
    terminal.ask("suspend\n", "Stopped", PROMPT)
    terminal.ask("echo $((6 * 7))\n", "\n42\r\n", PROMPT)
    terminal.ask("fg\n", "INNER> ")
    terminal.ask("echo $((7 * 7))\n", "\n49\r\n", "INNER> ")
    terminal.ask("exit\n", f"\n{PROMPT}")

    assert shell.process.pid == terminal.foreground


@beside(**NONE, **OURS)
def test_suspended_job_goes_on_in_the_background(terminal, init):
    """bg continues a command, and the shell keeps the terminal."""
    shell = terminal.shell()
    terminal.job("sleep 100", init)
    terminal.ask(SUSPEND, "Stopped", PROMPT)
    terminal.ask("bg\n", "exec sleep 100' &\r\n")

    assert shell.process.pid == terminal.foreground

    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@beside(**NONE, pyinit=OURS["pyinit"], group=OURS["group"])
def test_background_job_that_reads_is_stopped(terminal, init):
    """A job in the background that wants to read stops as a whole, and reads after fg."""
    terminal.shell()
    terminal.ask("set -b\n", PROMPT)  # from now on a job that stops is told of at once
    terminal.ask(shlex.join([*init, "cat"]) + " &\n", "Stopped")
    terminal.ask("fg\n", "cat\r\n")
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.ask(INTERRUPT, PROMPT)


@beside(**NONE, pyinit=OURS["pyinit"], group=OURS["group"])
def test_script_around_it_is_suspended(terminal, init):
    """^Z stops a script with all that it runs, and fg continues them."""
    shell = terminal.shell()
    # The shell lets go of the terminal, which echoes then, after the end of the line.
    script = f"echo ready; {shlex.join([*init, 'cat'])}; :"
    terminal.ask(bash(script) + "\n", "\nready\r\n")
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.suspend(shell)
    terminal.ask("fg\n", ":'\r\n")
    terminal.ask("two\n", "two\r\ntwo\r\n")
    terminal.ask(INTERRUPT, PROMPT)


# Where the child is stopped: looks whether SIGCONT is pending, and tells when it has become so.
LOOKS_LATE = """
import _signal, os
real = _signal.sigpending
def late():
    found = real()
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        children = file.read().split()
    for child in children:
        with open(f"/proc/{child}/stat") as file:
            is_stopped = file.read().rpartition(") ")[2].startswith("T")
        while is_stopped and _signal.SIGCONT not in real():
            os.sched_yield()
    return found
_signal.sigpending = late
"""


def test_fg_right_before_it_stops_is_not_lost(terminal, sabotage):
    """A script stops at once, and its shell may continue the job before pyinit stops itself."""
    shell = terminal.shell()
    command = [*sabotage(LOOKS_LATE), PYINIT, "--", "cat"]
    terminal.ask(bash(f"echo ready; {shlex.join(command)}; :") + "\n", "\nready\r\n")
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.suspend(shell)
    terminal.ask("fg\n", ":'\r\n")
    terminal.ask("two\n", "two\r\ntwo\r\n")
    terminal.ask(END_OF_INPUT, PROMPT)


# Takes the SIGCONT of the first fg, and is held up until the next ^Z.
FORWARDS_LATE = """
import _signal, os
real = {name: getattr(_signal, name) for name in ("sigwaitinfo", "sigtimedwait")}
def late(name):
    def wait(*arguments):
        received = real[name](*arguments)
        if received and received.si_signo == _signal.SIGCONT:
            for each in real:
                setattr(_signal, each, real[each])
            while _signal.SIGTSTP not in _signal.sigpending():
                os.sched_yield()
        return received
    return wait
for name in real:
    setattr(_signal, name, late(name))
"""


def test_suspend_key_right_after_fg_is_not_undone(terminal, sabotage):
    """The SIGCONT of fg reaches the command from the shell; forwarded late, it comes after ^Z."""
    shell = terminal.shell()
    terminal.job("cat", [*sabotage(FORWARDS_LATE), PYINIT, "--"])
    suspend_twice(terminal, shell)


# Blocks SIGCONT again, and goes on when the shell has sent it, before or after that.
BLOCKS_EARLY = """
import _signal, os
real, set_handler = _signal.pthread_sigmask, _signal.signal
heard = []
def noted(signum, action):
    def handler(*arguments):
        heard.append(signum)
        action(*arguments)
    is_asked = signum == _signal.SIGCONT and callable(action)
    return set_handler(signum, handler if is_asked else action)
def early(how, signals):
    before = real(how, signals)
    if (how, signals) == (_signal.SIG_BLOCK, {_signal.SIGCONT}):
        while not heard and _signal.SIGCONT not in _signal.sigpending():
            os.sched_yield()
        heard.clear()
    return before
_signal.pthread_sigmask, _signal.signal = early, noted
"""


def test_fg_right_after_init_has_stopped_the_job_is_not_lost(terminal, sabotage):
    """PID 1 stops the job around it, not itself, and the shell may be faster."""
    shell = terminal.shell()
    terminal.job("cat", [*sabotage(BLOCKS_EARLY), *PID1_GROUP])
    suspend_twice(terminal, shell)


def test_job_is_stopped_once(terminal):
    """Whatever PID 1 does while the job is stopped: by then the shell may be about to continue it.

    Nor is it forgotten that the job was stopped once: ^Z works again.
    """
    shell = terminal.shell()
    terminal.job("cat", PID1_GROUP)
    job, init, _ = descendants(shell.process.pid)

    def look_again() -> None:
        for signum in (signal.SIGWINCH, signal.SIGURG, signal.SIGCHLD, signal.SIGWINCH):
            os.kill(init, signum)  # and PID 1 has looked at its child before it takes the next
            assert until(lambda: not signal_set(status(init)["ShdPnd"]))

        assert signal.SIGTSTP not in signal_set(status(job)["ShdPnd"])

    suspend_twice(terminal, shell, look_again)


def test_child_that_is_stopped_and_continued_by_its_pid_goes_on(terminal):
    """If only the child is stopped, as by cpulimit, no shell would continue pyinit."""
    shell = terminal.shell()
    terminal.ask(shlex.join([PYINIT, "--", *SLEEPER]) + "; echo code=$?\n", "ready\r\n")
    child, pyinit = innermost(shell), only_child(shell.process.pid)
    os.kill(child, signal.SIGSTOP)
    assert until(lambda: state(child) == "T")
    os.kill(child, signal.SIGCONT)
    os.kill(pyinit, signal.SIGTERM)

    terminal.see("code=143\r\n")


@pytest.mark.parametrize("options", [(), ("-g",)], ids=["shared", "group"])
@pytest.mark.parametrize("script", ['exec "$@"', '"$@"; exit $?'], ids=["leader", "script"])
@every_leader
def test_suspend_key_does_nothing_without_a_shell(terminal, kind, script, options):
    """If no process could continue it, the child goes on, as without an init."""
    terminal.start(kind, ["cat"], options, script=script)
    terminal.ask("one\n", "one\r\none\r\n")
    terminal.type(SUSPEND)
    terminal.ask("two\n", "two\r\ntwo\r\n")


@every_leader
def test_stop_signal_that_was_sent_stops_the_child(terminal, kind):
    """A stop signal sent to pyinit stops the child until a SIGCONT is sent, terminal or not."""
    run = terminal.start(kind, ["cat"])
    terminal.ask("one\n", "one\r\none\r\n")
    run.send(signal.SIGTSTP)
    child = innermost(run)
    assert until(lambda: state(child) == "T")
    run.send(signal.SIGWINCH)  # after which it would have been continued
    terminal.type("two\n")
    run.send(signal.SIGCONT)
    terminal.see("two\r\ntwo\r\n")
    terminal.type(SUSPEND)
    terminal.ask("three\n", "three\r\nthree\r\n")


@every_leader
def test_suspended_editors_do_not_hold_up_the_end(terminal, kind):
    """What ^Z stopped in pyinit's own session restores the terminal in its foreground, and ends."""
    shell = ("bash", "--norc", "-i")
    options = ["-d", "100"]
    run = terminal.start(kind, shell, options, env=os.environ | SHELL_ENVIRONMENT)
    terminal.see(PROMPT)
    for _ in range(2):
        terminal.ask(shlex.join(victim("editor", "hup")) + "\n", "\nediting\r\n")
        terminal.ask(SUSPEND, "Stopped", PROMPT)
    settings = termios.tcgetattr(terminal.slave)
    terminal.ask("exit\n", PROMPT)  # there are stopped jobs
    terminal.type("exit 3\n")

    assert 3 == run.finish().code
    assert settings != termios.tcgetattr(terminal.slave)  # readline's
    assert termios.tcgetattr(terminal.slave)[3] & termios.ICANON


@beside(**NONE, **OURS)
def test_pipeline_that_ends_by_a_closed_pipe_is_no_news(terminal, init):
    """SIGPIPE is how `init seq | head -1` ends."""
    terminal.shell()
    terminal.type(shlex.join([*init, "yes"]) + " | head -n 1; echo over\n")

    assert "child_exited" not in terminal.see("\nover\r\n")


@pytest.mark.parametrize(
    ("init", "goes_on"),
    [((), False), (OURS["pyinit"], False), (PEERS["tini"], True)],
    ids=["none", "pyinit", "tini"],
)
@pytest.mark.parametrize("shell", ["bash --norc", "dash"])
def test_interrupt_key_ends_script_around_it(terminal, shell, init, goes_on):
    """^C ends a script along with what it runs: pyinit is killed by SIGINT if its child was."""
    terminal.shell()
    script = shlex.join([*init, *SLEEPER]) + "; echo code=$?; echo on"
    terminal.ask(shlex.join([*shell.split(), "-c", script]) + "\n", "ready\r\n")
    terminal.type(INTERRUPT)
    before = terminal.see(PROMPT)

    assert goes_on == ("\non\r\n" in before)


HANDLES_INTERRUPT = """
import os, signal
signal.signal(signal.SIGINT, lambda *_: os._exit(130))
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_handled_interrupt_key_ends_no_script(terminal):
    """A command that takes ^C for its own, and ends with a code, leaves that to its script."""
    terminal.shell()
    script = shlex.join([PYINIT, "--", *PYTHON, "-c", HANDLES_INTERRUPT]) + "; echo code=$?"
    terminal.ask(bash(script) + "\n", "\nready\r\n")
    terminal.ask(INTERRUPT, "code=130\r\n", PROMPT)


def test_expected_code_is_kept_after_an_interrupt_key(terminal):
    """-e 130 makes a plain 0 of ^C, also where the script around it heard it."""
    terminal.shell()
    script = shlex.join([PYINIT, "-e", "130", "--", *SLEEPER]) + "; echo code=$?"
    terminal.ask(bash(script) + "\n", "ready\r\n")
    terminal.ask(INTERRUPT, "code=0\r\n", PROMPT)


@pytest.mark.parametrize("key", TYPED, ids=lambda key: TYPED[key].name)
def test_key_reaches_child_of_job_once(terminal, key):
    """The kernel gives the child of a job what is typed, and pyinit does not do so again."""
    shell = terminal.shell()
    terminal.ask(shlex.join([PYINIT, "--", *victim("listener")]) + "\n", "ready (pid")
    terminal.ask(key, f"got {TYPED[key]:d}\r\n")
    os.kill(only_child(shell.process.pid), signal.SIGRTMAX)  # the marker, by way of pyinit

    assert "" == terminal.see(f"got {signal.SIGRTMAX:d}\r\n")


WAIT_FOR_KEY = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print("waiting", flush=True)
while not signal.sigpending() & {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP}:
    os.sched_yield()
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("key", TYPED, ids=lambda key: TYPED[key].name)
def test_key_that_came_before_the_child_reaches_it(terminal, key):
    """What was typed while pyinit started has reached no child, and is passed on, once."""
    shell = terminal.shell()
    wait = [*PYTHON, "-c", WAIT_FOR_KEY, PYINIT, "--", *victim("listener")]
    terminal.ask(shlex.join(wait) + "\n", "waiting\r\n")
    terminal.ask(key, f"got {TYPED[key]:d}\r\n")
    os.kill(only_child(shell.process.pid), signal.SIGRTMAX)
    assert "" == terminal.see(f"got {signal.SIGRTMAX:d}\r\n")
    terminal.ask(key, f"got {TYPED[key]:d}\r\n")
    os.kill(only_child(shell.process.pid), signal.SIGRTMAX)

    assert "" == terminal.see(f"got {signal.SIGRTMAX:d}\r\n")


def test_key_reaches_child_that_left_the_job(terminal):
    """A child that leads a group of its own gets ^C by way of pyinit, as it did not hear it."""
    shell = terminal.shell()
    leave = f"import os; os.setpgid(0, 0); os.execv({PYTHON[0]!r}, {victim('listener')!r})"
    terminal.ask(shlex.join([PYINIT, "--", *PYTHON, "-c", leave]) + "\n", "ready (pid")
    terminal.ask(INTERRUPT, f"got {signal.SIGINT:d}\r\n")

    assert innermost(shell) != terminal.foreground


def test_signal_of_the_background_is_not_forwarded(terminal, tmp_path):
    """The SIGTTIN that another process of the job caused is not for the child."""
    shell = terminal.shell()
    child = shlex.join([PYINIT, "-g", "--", *victim("listener")])
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    reading = bash(f"read x <{gate}; read x </dev/tty")
    terminal.ask(f"{child} >/dev/tty | {reading} &\n", "ready (pid")
    gate.write_text("\n")
    pyinit, reader = sorted(children(shell.process.pid))
    assert until(lambda: state(reader) == "T")
    os.kill(pyinit, signal.SIGRTMAX)

    assert "got" not in terminal.see(f"got {signal.SIGRTMAX:d}\r\n")


@pytest.mark.parametrize(
    ("signum", "told"),
    [
        (signal.SIGTTIN, True),
        (signal.SIGTTOU, True),
        (signal.SIGINT, True),
        (signal.SIGWINCH, True),
        (signal.SIGALRM, False),
        (signal.SIGXCPU, False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_only_a_terminal_signals_whole_groups(signum, told):
    """What else the kernel sends goes to pyinit alone, and so is passed on."""
    received = SimpleNamespace(si_signo=signum, si_code=SI_KERNEL)
    same_group = subprocess.Popen(["sleep", "100"])
    job = Terminal(group=False)
    job.is_job = True
    found = job.has_told(same_group.pid, received)
    same_group.kill()
    same_group.wait()

    assert told == found


def test_terminal_of_another_job_is_not_lent(monkeypatch):
    """Where pyinit does not have the foreground it has none to lend, nor to take back."""
    monkeypatch.setattr(shared, "_foreground", lambda: None)
    terminal = Terminal(group=False)
    terminal.lend(CHILD)
    terminal.end_loan(CHILD)

    assert terminal.descriptor is None


def test_nobody_was_told_what_a_process_sent():
    """A signal that is not from the kernel is for pyinit alone, and so is any without a job."""
    sent = SimpleNamespace(si_signo=signal.SIGINT, si_code=0)
    key = SimpleNamespace(si_signo=signal.SIGINT, si_code=SI_KERNEL)
    alone, job = Terminal(group=False), Terminal(group=False)
    alone.is_job, job.is_job = False, True

    assert [False] * 3 == [
        alone.has_told(CHILD, key),
        job.has_told(CHILD, sent),
        job.has_told(0, key),  # a child that is dead
    ]


CHILD = 4194305  # no process has such a pid
SI_KERNEL = 128  # from the kernel (sigaction(2))


@pytest.fixture
def stopped(monkeypatch):
    """Return what looks at a child that a key has stopped, and tells what was done then."""

    def look(*, is_job, **how):
        done = []
        how = {"own_group": True, "pid": 7, "sent": (), "foreground": CHILD} | how
        how = {"before": (), "pending": (), "signum": signal.SIGTSTP, "keys": ()} | how

        def kill(*what):
            done.append(what)
            raise PermissionError

        terminal = Terminal(group=False)
        terminal.is_job, terminal.own_group, terminal.descriptor = is_job, how["own_group"], 0
        for signum in how["sent"]:
            terminal.passes(signum, CHILD)
        given = how["foreground"]
        stop = SimpleNamespace(si_status=int(how["signum"]))
        with monkeypatch.context() as patch:
            patch.setattr(posix, "waitid", lambda *_: stop)
            patch.setattr(posix, "getpid", lambda: how["pid"])
            patch.setattr(posix, "getpgid", lambda _: CHILD)
            patch.setattr(posix, "getpgrp", lambda: 5 if how["own_group"] else CHILD)
            for key in how["keys"]:
                terminal.has_told(CHILD, SimpleNamespace(si_signo=key, si_code=SI_KERNEL))
            patch.setattr(posix, "tcgetpgrp", given if callable(given) else lambda _: given)
            patch.setattr(posix, "kill", kill)
            patch.setattr(shared, "_suspend", lambda whom: done.append(f"suspend {whom}"))
            patch.setattr(
                signals, "pending", lambda: set(how["pending"] if done else how["before"])
            )
            terminal.follow_stop(CHILD)
        return done

    return look


CONTINUED = (-CHILD, signal.SIGCONT)


def hung_up(_descriptor):
    """Fail as tcgetpgrp(3) does on a terminal that hung up."""
    raise OSError(5, "hung up")


@pytest.mark.parametrize(
    ("how", "done"),
    [
        ({"is_job": True, "own_group": False, "pending": {18}}, ["suspend 7"]),
        ({"is_job": True, "pending": {18}}, ["suspend 0"]),
        ({"is_job": True, "pid": 1}, ["suspend 0"]),
        ({"is_job": True}, ["suspend 0", CONTINUED]),
        ({"is_job": True, "before": {18}, "pending": {18}}, []),
        ({"is_job": True, "foreground": hung_up, "signum": signal.SIGSTOP}, []),
        ({"is_job": False, "signum": signal.SIGSTOP}, []),
        ({"is_job": True, "own_group": False, "signum": signal.SIGSTOP}, []),
        (
            {
                "is_job": True,
                "own_group": False,
                "signum": signal.SIGSTOP,
                "keys": [signal.SIGTSTP],
                "pending": {18},
            },
            ["suspend 7"],
        ),
        ({"is_job": False}, [CONTINUED]),
        ({"is_job": False, "foreground": 5}, []),
        ({"is_job": False, "foreground": hung_up}, []),
        ({"is_job": False, "sent": (signal.SIGTSTP,)}, []),
        ({"is_job": False, "sent": (signal.SIGTSTP, signal.SIGCONT)}, [CONTINUED]),
        ({"is_job": False, "sent": (signal.SIGHUP,)}, [CONTINUED]),
    ],
)
def test_stop_is_followed_or_undone(stopped, how, done):
    """A job stops as a whole; if no process could continue the child, pyinit does."""
    assert done == stopped(**how)


def test_session_that_is_not_told_is_taken_for_its_own(monkeypatch):
    """Where a filter refuses getsid(2) pyinit starts all the same, as without a job."""
    monkeypatch.setattr(posix, "getsid", hung_up)

    assert not Terminal(group=False).is_job


def test_child_that_was_reaped_stops_nobody():
    """A stop is looked for once too often where the child has just ended."""
    gone = subprocess.Popen(["true"])
    gone.wait()

    assert Terminal(group=False).follow_stop(gone.pid) is None


def test_closed_stdout_is_no_pipe():
    """If 1 is closed, the output of a job with -g is not read."""
    reader, writer = os.pipe()
    os.close(reader)
    before = _is_pipe(writer)
    os.close(writer)

    assert (True, False) == (before, _is_pipe(writer))


# --- signals of the terminal ---


@every_start
def test_window_change_comes_once(terminal, kind):
    """A new window size is one SIGWINCH, from the kernel to the child, that pyinit never sees."""
    run = terminal.start(kind, victim("listener"), ["-v"], stderr=subprocess.PIPE)
    terminal.see("ready")
    terminal.see("\r\n")
    terminal.resize(columns=80)
    terminal.see(f"got {signal.SIGWINCH:d}\r\n")
    run.send(signal.SIGRTMAX)  # the marker; higher than SIGWINCH, or it would come first

    assert "" == terminal.see(f"got {signal.SIGRTMAX:d}\r\n")
    assert "SIGRTMAX" == run.event("signal_forwarded")["signal"]


@every_leader
def test_window_change_is_forwarded_once(terminal, kind):
    """A new window size reaches a child that is not in the foreground, too, and once."""
    run = terminal.start(kind, victim("listener"), script='exec "$@" </dev/null', **PIPES)
    run.ready()
    terminal.resize(columns=80)
    first = run.line()
    run.send(signal.SIGRTMAX)

    assert [f"got {signal.SIGWINCH:d}", f"got {signal.SIGRTMAX:d}"] == [first, run.line()]


@pytest.mark.parametrize(
    ("kind", "key"),
    # Not ^\ and ^Z for unshare: it is in the same group, and not as strong as pyinit.
    [("pid1", INTERRUPT), *((kind, key) for kind in LEADERS for key in TYPED)],
    ids=lambda value: TYPED[value].name if value in TYPED else value,
)
def test_key_is_forwarded_to_child_off_the_terminal(terminal, kind, key):
    """A signal typed at pyinit's own group goes on to the child, and its sender is the terminal."""
    options = ["-v", "--log-format", "json", *(["-g"] if kind == "pid1" else [])]
    script = 'exec "$@" </dev/null'
    run = terminal.start(kind, victim("listener"), options, script=script, **PIPES)
    run.ready()
    terminal.type(key)
    event = run.event("signal_forwarded")

    assert f"got {TYPED[key]:d}" == run.line()
    assert TYPED[key].name == event["signal"]
    assert ("terminal or kernel", None) == (event["sender"], event["sender_pid"])


@every_start
def test_key_reaches_those_that_remain(terminal, kind):
    """^C while pyinit drains is forwarded: the exited child's group does not keep the terminal."""
    command = ["sh", "-c", 'setsid "$@" & read line', "-", *victim("listener")]
    run = terminal.start(kind, command, stdout=subprocess.PIPE)
    run.ready()
    terminal.type("\n")
    asked = [run.line(), run.line()]
    terminal.type(INTERRUPT)

    assert [f"got {signum:d}" for signum in (signal.SIGTERM, signal.SIGCONT)] == asked
    assert f"got {signal.SIGINT:d}" == run.line()


# --- no terminal, another's terminal, a terminal that hung up ---


@BOTH
def test_no_terminal_is_no_trouble(run, namespace):
    """Without any terminal the child runs, its code comes back and nothing is written."""
    result = run([], ["sh", "-c", "exit 3"], namespace=namespace, start_new_session=True)

    assert (3, "", "") == (result.code, result.out, result.err)


@BOTH
def test_strange_terminal_is_no_trouble(run, strange, namespace):
    """A stdin that is a terminal but not the controlling one (ENOTTY) is only a stdin."""
    how = {"namespace": namespace, "start_new_session": True, "stdin": strange}
    result = run([], ["sh", "-c", "test -t 0 && exit 3"], **how)

    assert (3, "", "") == (result.code, result.out, result.err)


@every_leader
def test_start_after_hang_up(terminal, kind):
    """On a terminal that hung up before (EIO) the child runs and its code comes back."""
    script = 'trap hung=1 HUP; echo ready; until [ "$hung" ]; do read x; done; exec "$@"'
    run = terminal.start(kind, ["sh", "-c", "exit 3"], script=script, **PIPES)
    assert "ready" == run.line()
    terminal.hang_up()
    result = run.finish()

    assert (3, "", "") == (result.code, result.out, result.err)


@every_leader
def test_hang_up_is_forwarded(terminal, kind):
    """The SIGHUP that a session's leader gets goes on to the child, whose code comes back."""
    run = terminal.start(kind, victim("listener", 7), ["-v"], **PIPES)
    run.ready()
    terminal.hang_up()
    event = run.event("signal_forwarded")

    assert ("SIGHUP", "terminal or kernel") == (event["signal"], event["sender"])
    assert [f"got {signal.SIGHUP:d}", f"got {signal.SIGCONT:d}"] == [run.line(), run.line()]
    assert 7 == run.stop().code


@pytest.mark.parametrize("ending", ["", " &"], ids=["foreground", "background"])
@every_prefix
def test_hang_up_ends_jobs_of_shell(terminal, prefix, ending):
    """With a shell's terminal go its jobs, even a pyinit and its child: no process stays."""
    shell = terminal.shell()
    terminal.type(shlex.join([*prefix, PYINIT, "--", *SLEEPER]) + ending + "\n")
    terminal.see("ready\r\n")
    terminal.hang_up()

    assert terminal.empties()
    assert -signal.SIGHUP == shell.finish().code


# --- what events look like ---


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without what it may say about colours, and with `variables`."""
    kept = {name: os.environ[name] for name in os.environ.keys() - {"NO_COLOR", "FORCE_COLOR"}}
    return kept | variables


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)],
    ids=["unset", "set", "empty"],
)
def test_terminal_gets_console_format(terminal, variables, coloured):
    """Events on a terminal are for people, in colours unless NO_COLOR says otherwise."""
    terminal.start("pid1", ["true"], ["-v"], env=environment(**variables))
    text = terminal.rest()

    lines = re.sub(ESCAPE, "", text).splitlines()
    assert ["child_started", "child_exited"] == [re.search(r"\] (\w+)", line)[1] for line in lines]
    assert coloured == (re.search(ESCAPE, text) is not None)


@every_start
def test_pipe_gets_json(terminal, kind):
    """Events on a pipe are JSON, although stdin and stdout are a terminal."""
    result = terminal.start(kind, ["true"], ["-v"], stderr=subprocess.PIPE).finish()

    assert ["child_started", "child_exited"] == [
        found["event"] for found in result.events if found["event"] != "not_pid1"
    ]
