"""What the labs share: programs that read and print lines, and a PID 1 in a namespace of its own.

A lab leaves nothing behind, even if it fails or is interrupted: the processes that it has started
are killed with it, and what it has compiled is in a temporary folder.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self, cast

sys.path.append(str(Path(__file__).resolve().parents[2]))  # the folder with testkit

from look import bitmap, fail, until
from testkit.namespaces import ENTER, USER
from testkit.processes import children
from testkit.programs import compile_c

SECONDS = 60  # for a whole lab, which takes a few
INTERRUPTIONS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

UNSHARE = ("unshare", *USER, "--pid")
OUTSIDE = (sys.executable, "-IS", str(Path(__file__).with_name("outside.py")))
TIED = ("setpriv", "--pdeathsig", "KILL", "--")  # in case the lab gets SIGKILL


class Program:
    """A program of a lab, which reads and prints lines."""

    def __init__(self, command: tuple[str, ...], **popen: Any) -> None:  # noqa: ANN401 - as Popen's
        """Start it in a session of its own, so that it gets no signal of the lab's terminal."""
        how: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        how |= {"start_new_session": "process_group" not in popen, "preexec_fn": unblock}
        self._process: subprocess.Popen[str] = subprocess.Popen(
            (*TIED, *command), **{**how, **popen}
        )
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)
        self.pid = self._process.pid

    def tell(self, line: str) -> None:
        """Write a line to its stdin, if it is still there."""
        with contextlib.suppress(BrokenPipeError):
            self._input.write(f"{line}\n")
            self._input.flush()

    def hear(self) -> str:
        """Wait for a line that it prints; return an empty one at the end of its output."""
        return self._output.readline().rstrip("\n")

    def answers(self) -> bool:
        """Tell whether it still runs. Two lines: Python may print one before a handler runs."""
        for line in ("are you there?", "are you still there?"):
            self.tell(line)
            if self.hear() != line:
                return False
        return True

    def rest(self) -> str:
        """Wait for the end of its output, and return it."""
        return self._output.read()

    def wait(self) -> int:
        """Wait for its end; return its code, or -N if signal N killed it."""
        return self._process.wait()

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Init(Program):
    """A program that is PID 1 of a PID namespace; `wait` returns how it ended.

    Attributes:
        init: its pid outside the namespace; 0 if it ended as soon as it was ready.
    """

    def __init__(self, command: tuple[str, ...], **popen: Any) -> None:  # noqa: ANN401 - as Popen's
        """Start it."""
        super().__init__((*UNSHARE, "--mount", "--", *OUTSIDE, *command), **popen)
        self.init = 0

    def begin(self) -> None:
        """Wait until it, or a program below it, says that it is ready."""
        if self.hear() != "ready":
            fail("a program did not become ready")
        self.init = next(iter(children(self.pid)), 0)

    def settle(self) -> None:
        """Wait until it has taken all of its signals.

        While a process waits in sigtimedwait, its SigBlk is 0; docs/labs/sigcgt says why.
        """
        until(lambda: not any(bitmap(self.init, name) for name in ("SigPnd", "ShdPnd", "SigBlk")))

    def end(self) -> None:
        """Kill it and its namespace. Its parent, which this waits for, ends after it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)  # so that it does not fork right now
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for init in children(self.pid):
                os.kill(init, signal.SIGKILL)
                self._process.send_signal(signal.SIGCONT)
                self._process.wait()
        super().end()


class Lab:
    """A run of a lab, with everything that must be gone at its end."""

    def __init__(self, script: str) -> None:
        """Take the lab's own folder from the path of its script."""
        self._folder = Path(script).resolve().parent
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin: handle interruptions, and set a time limit."""
        for signum in (*INTERRUPTIONS, signal.SIGALRM):
            signal.signal(signum, leave)
        signal.alarm(SECONDS)
        if not shutil.which("pyinit"):
            fail(f"pyinit is not in PATH: run make lab LAB={self._folder.name}")
        os.environ["LC_ALL"] = "C.UTF-8"
        self.scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill everything that was started."""
        for signum in (*INTERRUPTIONS, signal.SIGALRM):
            signal.signal(signum, signal.SIG_IGN)
        self._stack.__exit__(kind, error, trace)

    def file(self, name: str) -> str:
        """Return the path of a file of the lab."""
        return str(self._folder / name)

    def compiled(self, name: str) -> str:
        """Compile a C program of the lab and return its path."""
        with uninterrupted():  # gcc has children and files
            return str(compile_c(self._folder / f"{name}.c", self.scratch))

    def start(self, *command: str, **popen: Any) -> Program:  # noqa: ANN401 - as Popen's
        """Start a program."""
        return self._start(Program, command, popen)

    def init(self, *command: str, **popen: Any) -> Init:  # noqa: ANN401 - as Popen's
        """Start a program as PID 1 of a namespace of its own, and wait until it is ready."""
        init = cast("Init", self._start(Init, command, popen))
        init.begin()
        return init

    def inside(self, init: Init, *command: str) -> str:
        """Run a command in the namespaces of an init, as `docker exec` does; return what it prints.

        If it ends the namespace, it may be killed with it.
        """
        guest = self.start(*ENTER, "--target", str(init.init), *command)
        printed = guest.rest()
        guest.wait()
        return printed

    def _start(
        self, kind: type[Program], command: tuple[str, ...], popen: dict[str, Any]
    ) -> Program:
        with uninterrupted():  # otherwise it might not be killed at the end
            program = kind(command, **popen)
            self._stack.callback(program.end)
        return program


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay interruptions."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def unblock() -> None:
    """Allow interruptions again in a process that was forked while they were delayed."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)


def leave(signum: int, _frame: object) -> NoReturn:
    """Exit on an interruption or after the time limit; on the way out everything is killed."""
    if signum == signal.SIGALRM:
        fail(f"it did not finish within {SECONDS} seconds")
    raise SystemExit(128 + signum)
