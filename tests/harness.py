"""Run the installed `pyinit` command, as PID 1 of a namespace of its own or as any process."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

PYINIT = os.path.join(sysconfig.get_path("scripts"), "pyinit")
PYTHON = (sys.executable, "-IS")
INSTALLED = (sys.executable, "-P", "-c")  # lines that import the pyinit that is installed
VICTIMS = Path(__file__).parent / "victims"
ROOT = os.geteuid() == 0

# Without root a user namespace gives the right to make a PID namespace, where the kernel lets it.
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc")
if not ROOT:
    UNSHARE = (UNSHARE[0], "--user", "--map-root-user", *UNSHARE[1:])

# For setpriv: to another user, who may still read an interpreter that is in root's own home.
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")

# Those that can be blocked, passed on and told apart: not KILL and STOP, which nobody can block,
# not CHLD, which is init's own, not 32 and 33, which the C library keeps for its threads.
FORWARDED = sorted(set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33})


@dataclasses.dataclass(frozen=True)
class Result:
    """What is left of a run."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict]:
        """The events of a run whose stderr holds nothing but JSON lines."""
        return [json.loads(line) for line in self.err.splitlines()]

    def named(self, event: str) -> list[dict]:
        """The events of one name."""
        return [found for found in self.events if found["event"] == event]


class Run:
    """A pyinit that runs, with a workload below it."""

    def __init__(self, command: list[str], *, namespace: bool, **popen) -> None:
        popen.setdefault("bufsize", 0)  # what is read ahead would be lost to communicate()
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        # Without a terminal, whatever the tests are run from; those about one make their own.
        popen.setdefault("start_new_session", "process_group" not in popen)
        self.process = subprocess.Popen(command, **popen)
        self.namespace = namespace
        self._init = 0 if namespace else self.process.pid
        self._result: Result | None = None
        self._guests: list[subprocess.Popen] = []

    @property
    def init(self) -> int:
        """The pid of pyinit as seen from here; known once the workload told that it is ready."""
        if not self._init:
            self._init = only_child(self.process.pid)
        return self._init

    def line(self) -> str:
        """Wait for one line of the workload's stdout."""
        return self.process.stdout.readline().decode().rstrip("\n")

    def event(self, name: str) -> dict:
        """Wait for one event of that name on stderr."""
        while line := self.process.stderr.readline():
            event = json.loads(line)
            if event["event"] == name:
                return event
        raise EOFError(name)

    def ready(self) -> int:
        """Wait for `ready (pid: N)` and return N, the pid in the workload's own namespace."""
        line = self.line()
        found = re.fullmatch(r"ready \(pid: (\d+)\)", line)
        assert found, f"not a ready line: {line!r}, {self.kill().err!r}"
        return int(found[1])

    def send(self, signum: int) -> None:
        """Send a signal to pyinit from out here."""
        os.kill(self.init, signum)

    def inside(self, *command: str) -> subprocess.CompletedProcess:
        """Run a command in pyinit's namespaces, as `docker exec` would."""
        enter = self._entering(command)
        return subprocess.run(enter, check=True, capture_output=True, text=True)

    def enter(self, *command: str) -> subprocess.Popen:
        """Start a command in pyinit's namespaces and talk to it; its parent is outside of them."""
        how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        how["start_new_session"] = True
        self._guests.append(subprocess.Popen(self._entering(command), **how))
        return self._guests[-1]

    def _entering(self, command: tuple[str, ...]) -> tuple[str, ...]:
        user = () if ROOT else ("--user", "--preserve-credentials")
        return ("nsenter", *user, "--target", str(self.init), "--pid", "--mount", *command)

    def finish(self, data: bytes | None = None, timeout: float | None = None) -> Result:
        """Wait until all that hold stdout and stderr are gone; return what they wrote."""
        if self._result is None:
            out, err = self.process.communicate(data, timeout)
            out, err = ((text or b"").decode(errors="surrogateescape") for text in (out, err))
            self._result = Result(self.process.returncode, out, err)
        return self._result

    def stop(self, signum: int = signal.SIGTERM) -> Result:
        """Send a signal and wait for the end."""
        self.send(signum)
        return self.finish()

    def close_stdin(self) -> None:
        """Let the other end see the end of its input."""
        self.process.stdin.close()
        self.process.stdin = None

    def kill(self) -> Result:
        """End it all, whatever state it is in; fail where something got away."""
        if self._result is None:
            for pid in (self.process.pid, *descendants(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for guest in self._guests:
            guest.kill()
            guest.communicate()
        return self.finish(timeout=20)


def command_line(options=(), command=(), *, wrap=(), namespace=True) -> list[str]:
    """Return what starts pyinit: unshare, `wrap` (as `env -i`), pyinit, each exec'ing the next."""
    return [*(UNSHARE if namespace else ()), *wrap, PYINIT, *options, "--", *command]


def victim(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a program of `tests/victims`."""
    return [*PYTHON, str(VICTIMS / f"{name}.py"), *map(str, arguments)]


def import_that_exits(name: str) -> str:
    """Return the lines, for `sabotage`, that have the import of a module raise SystemExit."""
    return f"""
import builtins
real = builtins.__import__
def broken(name, *rest):
    if name == {name!r}:
        raise SystemExit(66)
    return real(name, *rest)
builtins.__import__ = broken
"""


def until(condition, seconds: float = 30) -> bool:
    """Wait for what no event tells of, such as a zombie that is reaped; False if it never comes."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        os.sched_yield()
    return bool(found)


def only_child(pid: int) -> int:
    """Return the pid of the one child of a process."""
    (child,) = children(pid)
    return child


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, of all its threads."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Return the pids of all below a process."""
    below = children(pid)
    return below + [further for child in below for further in descendants(child)]


def full_pipe() -> tuple[int, int]:
    """Return a pipe that nobody reads and that takes nothing more."""
    reader, writer = os.pipe()
    fill(writer)
    return reader, writer


def fill(writer: int) -> None:
    """Write to a pipe until it takes nothing more, not one byte."""
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b" " * size)
    os.set_blocking(writer, True)


def status_of(text: str) -> dict[str, str]:
    """Return the fields of a /proc/PID/status."""
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))


def signal_set(mask: str) -> set[int]:
    """Return the signals in a bitmap such as SigIgn of /proc/PID/status."""
    return {bit + 1 for bit in range(64) if int(mask, 16) >> bit & 1}


def tool(name: str) -> str:
    """Return the path of a program, /usr/sbin included."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert found, f"{name} is not installed; make test installs it"
    return found
