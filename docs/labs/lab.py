"""What the labs share: programs one talks to, and a PID 1 in a namespace of its own.

A lab leaves nothing behind, whether it comes to its end, fails or is interrupted: what it started
is killed with it, and what it compiled lies in a temporary folder.
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

SECONDS = 60  # for a whole lab, which takes a few: what was not seen by then does not come
INTERRUPTIONS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

UNSHARE = ("unshare", *USER, "--pid")
OUTSIDE = (sys.executable, "-IS", str(Path(__file__).with_name("outside.py")))
TIED = ("setpriv", "--pdeathsig", "KILL", "--")  # should the lab itself get SIGKILL


class Program:
    """A program of a lab, talked to by lines."""

    def __init__(self, command: tuple[str, ...], **popen: Any) -> None:  # noqa: ANN401 - as Popen's
        """Start it, in a session of its own: what is meant for the lab's terminal is not for it."""
        how: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        how |= {"start_new_session": "process_group" not in popen, "preexec_fn": unblock}
        self._process: subprocess.Popen[str] = subprocess.Popen(
            (*TIED, *command), **{**how, **popen}
        )
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)
        self.pid = self._process.pid

    def tell(self, line: str) -> None:
        """Give it a line to read, if it is still there to read it."""
        with contextlib.suppress(BrokenPipeError):
            self._input.write(f"{line}\n")
            self._input.flush()

    def hear(self) -> str:
        """Wait for a line that it prints; an empty one where there is none to come."""
        return self._output.readline().rstrip("\n")

    def answers(self) -> bool:
        """Tell whether it goes on: a program in Python may print one line before a handler runs."""
        for line in ("are you there?", "are you still there?"):
            self.tell(line)
            if self.hear() != line:
                return False
        return True

    def rest(self) -> str:
        """Wait until all that could print have gone, and return what they printed."""
        return self._output.read()

    def wait(self) -> int:
        """Wait for its end; return its code, or -N where signal N killed it."""
        return self._process.wait()

    def end(self) -> None:
        """End it, whatever state it is in."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Init(Program):
    """A program that is PID 1 of a PID namespace; `wait` returns how that ended.

    Attributes:
        init: its pid out here; 0 if it ended as soon as it was ready.
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
        """Wait until no signal is left for it to take or to act upon.

        One that waits in sigtimedwait has SigBlk 0 while it does; docs/labs/sigcgt says why.
        """
        until(lambda: not any(bitmap(self.init, name) for name in ("SigPnd", "ShdPnd", "SigBlk")))

    def end(self) -> None:
        """End it and with it its namespace: it is gone when its parent is, which ends with it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)  # or it might fork right now
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for init in children(self.pid):
                os.kill(init, signal.SIGKILL)
                self._process.send_signal(signal.SIGCONT)
                self._process.wait()
        super().end()


class Lab:
    """A run of a lab: all that is to be gone when it is over."""

    def __init__(self, script: str) -> None:
        """Take the lab's own folder from the path of its script."""
        self._folder = Path(script).resolve().parent
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin: be interrupted in order, and do not wait for ever."""
        for signum in (*INTERRUPTIONS, signal.SIGALRM):
            signal.signal(signum, leave)
        signal.alarm(SECONDS)
        if not shutil.which("pyinit"):
            fail(f"pyinit is not in PATH, use: make lab LAB={self._folder.name}")
        os.environ["LC_ALL"] = "C.UTF-8"
        self.scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all that was started."""
        for signum in (*INTERRUPTIONS, signal.SIGALRM):
            signal.signal(signum, signal.SIG_IGN)
        self._stack.__exit__(kind, error, trace)

    def file(self, name: str) -> str:
        """Return the path of a file of the lab."""
        return str(self._folder / name)

    def compiled(self, name: str) -> str:
        """Compile a C program of the lab and return its path."""
        with uninterrupted():  # gcc has children, and files
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

        If it ends the namespace, it may die with it.
        """
        guest = self.start(*ENTER, "--target", str(init.init), *command)
        printed = guest.rest()
        guest.wait()
        return printed

    def _start(
        self, kind: type[Program], command: tuple[str, ...], popen: dict[str, Any]
    ) -> Program:
        with uninterrupted():  # or it would be nobody's to end
            program = kind(command, **popen)
            self._stack.callback(program.end)
        return program


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let interruptions wait."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def unblock() -> None:
    """Take interruptions in a process that was forked while they had to wait."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)


def leave(signum: int, _frame: object) -> NoReturn:
    """Be interrupted, or lose patience: all that was started is ended on the way out."""
    if signum == signal.SIGALRM:
        fail(f"what should be seen was not seen in {SECONDS} seconds")
    raise SystemExit(128 + signum)
