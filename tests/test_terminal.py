"""On a terminal: job control, who is in the foreground, typed signals, hang-ups, colours."""

import fcntl
import os
import re
import select
import shlex
import signal
import struct
import subprocess
import termios

import pexpect
import pytest
from harness import INSTALLED, PYINIT, UNSHARE, Run, command_line, descendants, only_child, victim
from pexpect.fdpexpect import fdspawn

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

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
SLEEPER = ("sh", "-c", "echo ready >/dev/tty; exec sleep 100")
ESCAPE = r"\x1b\[[0-9;]*m"

every_start = pytest.mark.parametrize("kind", STARTS)
every_leader = pytest.mark.parametrize("kind", LEADERS)
every_prefix = pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)


class Terminal:
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
            self.run = Run(line, namespace=namespace, pass_fds=(self._leased,), **popen)
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

    def job(self, command: str, prefix=()) -> None:
        """Have a shell run a command and wait until that is in the foreground."""
        line = shlex.join([*prefix, "sh", "-c", f"echo ready; exec {command}"])
        self.ask(f"{line}\n", "\nready\r\n")

    def rest(self) -> str:
        """Return what is written until nobody has the terminal open any more."""
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
    made = Terminal()
    yield made
    made.close()


@pytest.fixture
def strange():
    """Make a terminal that is nobody's controlling terminal and return its descriptor."""
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


@pytest.mark.parametrize("error", ["ENOTTY", "ENXIO", "EPERM", "EBADF", "ESRCH"])
def test_terminal_that_cannot_be_handed_over(terminal, error, tmp_path):
    """Whatever tcsetpgrp(3) fails with, the child runs, and its code comes out."""
    calls = tmp_path / "calls"
    inject = f"inject=ioctl:error={error}:when=1"  # each process's first
    strace = ["strace", "-ff", "-qq", "-o", str(calls), "-e", "trace=ioctl", "-e", inject]
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
    """A job stops at ^Z, may not read after bg, reads after fg and dies of ^C."""
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


# --- the foreground is handed over, where it was pyinit's ---


@pytest.mark.parametrize(
    "redirections",
    [
        "",
        "</dev/null",
        ">/dev/null",
        "2>/dev/null",
        "</dev/null >/dev/null",
        "</dev/null 2>/dev/null",
        ">/dev/null 2>/dev/null",
        "<&-",
    ],
)
@every_start
def test_child_gets_foreground(terminal, kind, redirections):
    """The child's group becomes the foreground group, whichever stream is the terminal."""
    run = terminal.start(kind, SLEEPER, script=f'exec "$@" {redirections}')
    terminal.see("ready\r\n")

    assert innermost(run) == terminal.foreground


@every_start
def test_child_gets_foreground_of_second_terminal(terminal, strange, kind):
    """A stdin that is another session's terminal does not keep stdout's from the child."""
    script = f'exec "$@" <{os.ttyname(strange)}'
    run = terminal.start(kind, SLEEPER, script=script)
    terminal.see("ready\r\n")

    assert innermost(run) == terminal.foreground


@every_start
def test_no_stream_no_foreground(terminal, kind):
    """A terminal that none of the three streams leads to stays where it is."""
    run = terminal.start(kind, SLEEPER, script='exec "$@" </dev/null >/dev/null 2>&1')
    terminal.see("ready\r\n")

    assert os.getsid(innermost(run)) == terminal.foreground


@every_prefix
def test_foreground_job_gets_foreground(terminal, prefix):
    """As a shell's foreground job pyinit hands the terminal on, and the shell gets it back."""
    shell = terminal.shell()
    terminal.job("cat", [*prefix, PYINIT, "--"])

    assert innermost(shell) == terminal.foreground

    terminal.ask(INTERRUPT, PROMPT)
    terminal.ask("echo code=$?\n", "\ncode=130\r\n", PROMPT)

    assert shell.process.pid == terminal.foreground


@pytest.mark.parametrize("redirections", ["", "</dev/null", "2>/dev/null"])
@every_prefix
def test_background_job_leaves_foreground(terminal, prefix, redirections):
    """As a shell's background job pyinit takes nothing, and the shell goes on working."""
    shell = terminal.shell()
    line = shlex.join([*prefix, PYINIT, "--", *SLEEPER])
    terminal.ask(f"{line} {redirections} &\n", "ready\r\n")

    assert shell.process.pid == terminal.foreground

    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@every_prefix
def test_end_of_background_job_leaves_foreground(terminal, prefix):
    """A pyinit in the background gives nothing back that it did not have."""
    shell = terminal.shell()
    line = shlex.join([*prefix, PYINIT, "--", *SLEEPER])
    terminal.ask(f"{line} &\n", "ready\r\n")
    end_job(shell)

    assert shell.process.pid == terminal.foreground

    terminal.ask("echo $((6 * 7))\n", "\n42\r\n")


@every_prefix
def test_end_of_job_sent_to_background_leaves_foreground(terminal, prefix):
    """A pyinit that was stopped and sent to the background has no terminal to give back."""
    shell = terminal.shell()
    terminal.job("sleep 100", [*prefix, PYINIT, "--"])
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
    """Who ran pyinit in its own group, as a script does, may read again when the child has gone."""
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
    run = terminal.start("pid1", command, script=hide)
    terminal.see("ready\r\n")

    assert innermost(run) != terminal.foreground


def test_foreground_is_had_beside_another_reader(terminal):
    """That somebody else is reading from the terminal says that it is the foreground's."""
    fault = "-P /dev/tty -e trace=read -e inject=read:error=EAGAIN"
    run = terminal.start("pid1", SLEEPER, script=f'exec strace -qq -o /dev/null {fault} "$@"')
    terminal.see("ready\r\n")

    assert innermost(run) == terminal.foreground


@pytest.mark.parametrize(("error", "is_there"), [("EPERM", b"True\n"), ("ESRCH", b"False\n")])
def test_group_of_another_user_is_there(error, is_there):
    """A group that may not be signalled exists all the same, and keeps the foreground."""
    ask = "import os; from pyinit import terminal; print(terminal._exists(os.getpgrp()))"
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject=kill:error={error}"]
    done = subprocess.run([*strace, *INSTALLED, ask], check=True, capture_output=True)

    assert is_there == done.stdout


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
    options = ["-v", "--log-format", "json"]
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
    """^C while pyinit drains is forwarded: the terminal is not left to the dead child's group."""
    command = ["sh", "-c", 'setsid "$@" & read line', "-", *victim("listener")]
    run = terminal.start(kind, command, stdout=subprocess.PIPE)
    run.ready()
    terminal.type("\n")
    asked = [run.line(), run.line()]
    terminal.type(INTERRUPT)

    assert [f"got {signum:d}" for signum in (signal.SIGTERM, signal.SIGCONT)] == asked
    assert f"got {signal.SIGINT:d}" == run.line()


# --- no terminal, another's terminal, a terminal that hung up ---


@pytest.mark.parametrize("namespace", [True, False], ids=["pid1", "not-pid1"])
def test_no_terminal_is_no_trouble(run, namespace):
    """Without any terminal the child runs, its code comes back and nothing is written."""
    result = run([], ["sh", "-c", "exit 3"], namespace=namespace, start_new_session=True)

    assert (3, "", "") == (result.code, result.out, result.err)


@pytest.mark.parametrize("namespace", [True, False], ids=["pid1", "not-pid1"])
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
    """With a shell's terminal go its jobs, be they a pyinit and its child: nobody stays."""
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
