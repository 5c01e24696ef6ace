"""The pyinit of a soak: PID 1 of a namespace of its own, with a workload that takes requests."""

import collections
import contextlib
import json
import os
import select
import signal
import subprocess
import threading
from pathlib import Path

from testkit.namespaces import ENTER, UNSHARE_TIED
from testkit.processes import only_child
from testkit.programs import PYINIT, PYTHON

WORKLOAD = Path(__file__).with_name("workload.py")
PATIENCE = 120.0  # seconds, after which an answer is missing


class SoakError(Exception):
    """pyinit or its workload did not do what it should have; the text says what."""


class Subject:
    """A pyinit and its workload.

    Attributes:
        told: how many events of each name there were on stderr.
        garbage: lines on stderr that are not JSON.
    """

    def __init__(self, options: list[str]) -> None:
        """Start it, and read its stderr from then on."""
        command = [*UNSHARE_TIED, PYINIT, *options, "--", *PYTHON, str(WORKLOAD)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self._unread = b""
        self._news = threading.Condition()
        self.told: collections.Counter[str] = collections.Counter()
        self.garbage: list[str] = []
        self._reader = threading.Thread(target=self._read_events, daemon=True)
        self._reader.start()
        answer = self.line()
        if not answer.startswith("ready "):
            message = f"the workload is not ready, it said {answer!r}"
            raise SoakError(message)
        self.init = only_child(self._process.pid)
        self.workload = only_child(self.init)

    def _read_events(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            with self._news:
                try:
                    self.told[json.loads(line)["event"]] += 1
                except (ValueError, KeyError, TypeError):
                    self.garbage.append(line.decode(errors="backslashreplace"))
                self._news.notify_all()

    def line(self) -> str:
        """Return the next line of the workload."""
        assert self._process.stdout
        while b"\n" not in self._unread:
            if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
                message = f"no answer from the workload within {PATIENCE:.0f} s"
                raise SoakError(message)
            some = os.read(self._process.stdout.fileno(), 65536)
            if not some:
                message = "the workload has ended"
                raise SoakError(message)
            self._unread += some
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def expect(self, answer: str) -> None:
        """Wait for an answer, which must be the next line."""
        said = self.line()
        if said != answer:
            message = f"expected {answer!r}, the workload said {said!r}"
            raise SoakError(message)

    def do(self, task: str, count: int) -> None:
        """Make the workload do something, and wait until it has."""
        assert self._process.stdin
        self._process.stdin.write(f"{task} {count}\n".encode())
        self.expect(f"{task} done")

    def send(self, signum: int) -> None:
        """Send a signal to pyinit, from outside its namespace."""
        os.kill(self.init, signum)

    def wait_for(self, event: str, count: int) -> None:
        """Wait until an event has been logged so often."""
        with self._news:
            if not self._news.wait_for(lambda: self.told[event] >= count, PATIENCE):
                message = f"{event} logged {self.told[event]} times instead of {count}"
                raise SoakError(message)

    def guest(self, script: str) -> "subprocess.Popen[bytes]":
        """Start a shell in the namespace, as `docker exec` does: its parent is outside."""
        command = [*ENTER, "--target", str(self.init), "sh", "-c", script]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def finish(self) -> int:
        """Let the workload exit, wait until no process is left, and return pyinit's code."""
        assert self._process.stdin
        self._process.stdin.close()
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """Kill it."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, AttributeError):
                os.kill(self.init, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
