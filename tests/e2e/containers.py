"""A container that runs in the background, and what it is given to run."""

import os
import re
import subprocess

import pytest
from engines import FILES, Engine

from testkit.programs import VICTIMS
from testkit.running import Result


class Container:
    """A container that runs in the background."""

    def __init__(self, engine: Engine, identity: str) -> None:
        self.engine, self.identity = engine, identity
        self._log: subprocess.Popen | None = None

    def line(self, pattern: str) -> re.Match:
        """Wait for a line of stdout or stderr in which something is found."""
        if self._log is None:
            follow = ("logs", "--follow", self.identity)
            self._log = self.engine.open(*follow, stderr=subprocess.STDOUT)
        read = []
        for line in self._log.stdout:
            if found := re.search(pattern, line):
                return found
            read.append(line)
        pytest.fail(f"{pattern!r} did not come, but {read}")

    def kill(self, signum: "int | str") -> None:
        self.engine.ask("kill", "--signal", signum, self.identity)

    def stop(self, seconds: int = 30) -> int:
        """Stop it and return its code."""
        self.engine.ask("stop", "--time", seconds, self.identity)
        return self.wait()

    def wait(self) -> int:
        return int(self.engine.ask("wait", self.identity))

    def finish(self) -> Result:
        """Wait for its end and return all that it wrote."""
        code = self.wait()
        written = self.engine.do("logs", self.identity)
        return Result(code, written.out, written.err)

    def so_far(self) -> str:
        """Return what it wrote to stdout up to now."""
        return self.engine.do("logs", self.identity).out

    def inside(self, *command: object) -> str:
        """Run a command in it and return what it prints."""
        return self.engine.ask("exec", self.identity, *command)

    def field(self, form: str) -> str:
        """Return what the engine knows about it."""
        return self.engine.ask("inspect", "--format", form, self.identity)

    @property
    def pid(self) -> int:
        """The pid of its first process, as seen from here."""
        return int(self.field("{{.State.Pid}}"))

    def send(self, signum: int) -> None:
        """Send a signal past the engine."""
        os.kill(self.pid, signum)

    def remove(self) -> None:
        self.engine.remove(self.identity)
        if self._log is not None:
            self._log.kill()
            self._log.communicate()


def mounted(source: object, target: str, options: str = "ro") -> tuple[str, str]:
    """Return the options of `run` that show a folder of this machine in the container."""
    return "--volume", f"{source}:{target}:{options}"


WITH_VICTIMS = mounted(VICTIMS, "/victims")
WITH_PROGRAMS = mounted(FILES / "programs", "/programs")


def listener(*arguments: object) -> list[str]:
    """Return the command that names every signal it gets."""
    return ["python3", "/victims/listener.py", *map(str, arguments)]


# For `python3 -c`: finish some work when SIGTERM comes.
WORK = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
signal.sigtimedwait([], 0.2)  # what is left to do
print("finished", flush=True)
"""
