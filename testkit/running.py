"""Run the installed `pyinit` command, as PID 1 of a namespace of its own or as any process."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from typing import IO, Any

from testkit import programs
from testkit.namespaces import ENTER, UNSHARE
from testkit.processes import descendants, only_child


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of a run."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a run; its stderr must hold nothing but JSON lines."""
        return [json.loads(line) for line in self.err.splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        """The events of one name."""
        return [found for found in self.events if found["event"] == event]


class Run:
    """A running pyinit, with a workload below it."""

    def __init__(
        self,
        command: list[str],
        *,
        namespace: bool,
        **popen: Any,  # noqa: ANN401 - as Popen's
    ) -> None:
        """Start it; its workload reports when it is ready."""
        popen.setdefault("bufsize", 0)  # communicate() would not get what was read ahead
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        # Without the terminal of the tests; tests about terminals make their own.
        popen.setdefault("start_new_session", "process_group" not in popen)
        self.process: subprocess.Popen[bytes] = subprocess.Popen(command, **popen)
        self.namespace = namespace
        self._init = 0 if namespace else self.process.pid
        self._result: Result | None = None
        self._guests: list[subprocess.Popen[str]] = []

    @property
    def init(self) -> int:
        """The pid of pyinit in this namespace; known once the workload is ready."""
        if not self._init:
            self._init = only_child(self.process.pid)
        return self._init

    def line(self) -> str:
        """Wait for one line of the workload's stdout."""
        return _open(self.process.stdout).readline().decode().rstrip("\n")

    def event(self, name: str) -> dict[str, Any]:
        """Wait for one event of that name on stderr."""
        while line := _open(self.process.stderr).readline():
            event: dict[str, Any] = json.loads(line)
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
        """Send a signal to pyinit, from outside."""
        os.kill(self.init, signum)

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in pyinit's namespaces, as `docker exec` does."""
        enter = self._entering(command)
        return subprocess.run(enter, check=True, capture_output=True, text=True)

    def enter(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in pyinit's namespaces and talk to it; its parent is outside them."""
        guest = subprocess.Popen(
            self._entering(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._guests.append(guest)
        return guest

    def _entering(self, command: tuple[str, ...]) -> tuple[str, ...]:
        return (*ENTER, "--target", str(self.init), *command)

    def finish(self, data: bytes | None = None, timeout: float | None = None) -> Result:
        """Wait until stdout and stderr are closed by all processes; return what they wrote."""
        if self._result is None:
            written = self.process.communicate(data, timeout)
            out, err = ((text or b"").decode(errors="surrogateescape") for text in written)
            self._result = Result(self.process.returncode, out, err)
        return self._result

    def stop(self, signum: int = signal.SIGTERM) -> Result:
        """Send a signal and wait for the end."""
        self.send(signum)
        return self.finish()

    def close_stdin(self) -> None:
        """Close the input of the workload."""
        _open(self.process.stdin).close()
        self.process.stdin = None

    def kill(self) -> Result:
        """Kill all of it; fail if a process got away."""
        if self._result is None:
            for pid in (self.process.pid, *descendants(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for guest in self._guests:
            guest.kill()
            guest.communicate()
        return self.finish(timeout=20)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe
    return pipe


def command_line(
    options: Iterable[str] = (),
    command: Iterable[str] = (),
    *,
    wrap: Iterable[str] = (),
    namespace: bool = True,
) -> list[str]:
    """Return the command that starts pyinit: unshare, `wrap` (such as `env -i`), pyinit."""
    prefix = UNSHARE if namespace else ()
    return [*prefix, *wrap, programs.PYINIT, *options, "--", *command]


def import_that_exits(name: str) -> str:
    """Return lines, for `sabotage`, that make the import of a module raise SystemExit."""
    return f"""
import builtins
real = builtins.__import__
def broken(name, *rest):
    if name == {name!r}:
        raise SystemExit(66)
    return real(name, *rest)
builtins.__import__ = broken
"""
