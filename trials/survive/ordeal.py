"""Run one init in one case, and say in two or three words what went wrong."""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from testkit.namespaces import UNSHARE_TIED
from testkit.processes import children, only_child
from testkit.usage import cpu_ns
from trials.survive.case import CODE, Case, Stage

OK, REFUSES = "ok", "refuses"
CHANNEL = 1000  # of guest.c
BURN_NS = 20_000_000  # of processor time
IDLE_NS = 4_000_000  # that an init may use in that time
PLACES = ("unshare:", "sh:", "/bin/sh:", "-:", "setpriv:", "prlimit:", "mount:", "env:", "confine:")
WRONG = ("Traceback", "internal_error", "Exception ignored")


class Trouble(Exception):  # noqa: N818 - it is about the init
    """The init did not survive; the text says how."""


def fail(how: str) -> NoReturn:
    """Say what went wrong."""
    raise Trouble(how)


class Unavailable(Exception):  # noqa: N818 - it is not an error
    """The surrounding is not possible here; the text says why."""


class Ordeal:
    """One run.

    Attributes:
        stage: what was prepared.
        init: the pid of the init, as seen from here.
        guest: that of the workload.
    """

    def __init__(self, case: Case, stage: Stage, limit: float) -> None:
        """Start it; nothing may take longer than ``limit`` seconds."""
        self.stage = stage
        self.init = self.guest = 0
        self._case = case
        self._limit = limit
        self._heard = b""
        self._sum = _sum_without_init(case, stage) if case.exact else ""
        self._stderr = stage.scratch / "stderr"
        words = [*stage.init, stage.guest, str(case.code), *case.words]
        self._channel, self._process = _start(case, stage, words, self._stderr)

    def live(self, *, is_pyinit: bool, verbose: bool) -> str:
        """Run the whole case; return OK or REFUSES.

        Raises:
            Trouble: the init did not survive.
        """
        if not self._begins():
            return self._refused(is_pyinit=is_pyinit)
        self._case.during(self)
        self._rests()
        self.send(signal.SIGUSR1)
        self._until(lambda: children(self.init) in ([self.guest], []), "leaves zombies")
        self._leaves()
        if is_pyinit and not self._case.mute:
            self._judge_words(self._case.told or ("child_exited" if verbose else ""))
        return OK

    def _begins(self) -> bool:
        try:
            ready, _, value = self.hear("hangs at the start").partition(" ")
        except EOFError:
            return False
        if ready != "ready" or (self._sum and value != self._sum):
            fail("changes words")
        self.init = only_child(self._process.pid)
        self.guest = only_child(self.init)
        if self._case.refuses:
            fail("starts")
        return True

    def _refused(self, *, is_pyinit: bool) -> str:
        code, text = self._code("hangs at the start"), self.said()
        if text.startswith(PLACES):
            raise Unavailable(text.strip())
        if self._case.refuses is False or code == 0:
            fail(_fate(code))
        # An interpreter may print many lines, or have no memory for one; pyinit must print one.
        if is_pyinit and text.startswith("pyinit: ") and text.count("\n") != 1:
            fail(f"{text.count(chr(10))} lines, {_fate(code)}")
        if is_pyinit and self._case.told:
            self._judge_words(self._case.told)
        return REFUSES

    def send(self, signum: int, to: int = 0) -> None:
        """Send a signal to the init, or another process, and wait until the workload has got it."""
        os.kill(to or self.init, signum)
        self.expect(signum)

    def expect(self, signum: int) -> None:
        """Wait until the workload has got a signal."""
        name = _name(signum)
        try:
            heard = self.hear(f"loses {name}")
        except EOFError:
            fail(f"dies, {_fate(self._code('hangs'))}")
        if heard != f"got {signum}":
            fail(f"{heard} for {name}")

    def hear(self, otherwise: str) -> str:
        """Return the next line of the workload.

        Raises:
            EOFError: there is none, and every process has ended.
        """
        while b"\n" not in self._heard:
            if not select.select([self._channel], [], [], self._limit)[0]:
                fail(otherwise)
            data = self._channel.recv(4096)
            if not data:
                raise EOFError
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def said(self) -> str:
        """Return what is on stderr so far."""
        return self._stderr.read_text(errors="replace")

    def _rests(self) -> None:
        """Wait until it uses almost no CPU while another process uses a lot."""

        def is_idle() -> bool:
            before, end = cpu_ns(self.init), time.process_time_ns() + BURN_NS
            while time.process_time_ns() < end:
                pass
            return cpu_ns(self.init) - before < IDLE_NS

        self._until(is_idle, "spins")

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for something that /proc shows."""
        self._until(condition, "hangs")

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + self._limit
        while not condition():
            if time.monotonic() > end:
                fail(otherwise)
            os.sched_yield()

    def _leaves(self) -> None:
        began = time.monotonic()
        self.send(signal.SIGTERM)
        code = self._code("hangs at the end")
        if time.monotonic() - began < self._case.seconds:
            fail("ends early")
        if code != self._case.ends:
            fail(f"loses the code, {_fate(code)}")

    def _code(self, otherwise: str) -> int:
        try:
            return self._process.wait(self._limit)
        except subprocess.TimeoutExpired:
            fail(otherwise)

    def _judge_words(self, told: str) -> None:
        text = self.said()
        for word in WRONG:
            if word in text:
                fail(word.lower())
        if len(re.findall(told, text)) < bool(told):
            fail(f"does not tell {told}")

    def end(self) -> None:
        """Kill every process."""
        self._channel.close()
        if self._process.poll() is None:  # otherwise all have ended: it waits for the init
            for pid in (*children(self._process.pid), self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def is_gone(self) -> bool:
        """Tell whether the init has ended, or is about to."""
        return bool(select.select([self._channel], [], [], self._limit)[0])


def endure(case: Case, stage: Stage, *, limit: float, verbose: bool) -> str:
    """Run an init in a case; return OK, REFUSES or what went wrong.

    Raises:
        Unavailable: this case is not possible here.
    """
    is_pyinit = stage.name.startswith("pyinit")
    if is_pyinit:
        stage.init[1:1] = case.options
    with stage.cleanup:
        case.prepare(stage)
        stage.environment.update(case.variables)
        ordeal = Ordeal(case, stage, limit)
        try:
            return ordeal.live(is_pyinit=is_pyinit, verbose=verbose)
        except Trouble as trouble:
            return str(trouble)
        except (OSError, ValueError):  # it is gone, or has no child
            if not ordeal.is_gone():
                raise
            return "dies"
        finally:
            ordeal.end()


def _start(
    case: Case, stage: Stage, words: list[str], stderr: Path
) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    ours, theirs = socket.socketpair()
    os.dup2(theirs.fileno(), CHANNEL, inheritable=True)
    theirs.close()
    places = {"SCRATCH": str(stage.scratch), "CONFINE": str(Path(stage.guest).with_name("confine"))}
    wrapping = case.wrapping()
    for word, place in places.items():
        wrapping = [given.replace(word, place) for given in wrapping]
    with stderr.open("ab") as file:
        process = subprocess.Popen(
            [*UNSHARE_TIED, *case.namespaces, "--", *wrapping, *words],
            executable="/usr/bin/unshare",  # the case may have another PATH
            stdin=subprocess.DEVNULL if stage.stdin is None else stage.stdin,
            stdout=subprocess.DEVNULL,
            stderr=file if stage.stderr is None else stage.stderr,
            pass_fds=(CHANNEL, *stage.descriptors),
            env=stage.environment,
            cwd=stage.folder,
            start_new_session=True,
        )
    os.close(CHANNEL)
    return ours, process


def _sum_without_init(case: Case, stage: Stage) -> str:
    """Return what the workload prints about its words and environment without an init."""
    words = [stage.guest, str(CODE), *case.words]
    channel, process = _start(case, stage, words, stage.scratch / "other")
    with channel:
        line = channel.recv(100)
    process.kill()
    process.wait()
    return line.decode().split()[1]


def _fate(code: int) -> str:
    return f"code {code}" if code >= 0 else _name(-code)


def _name(signum: int) -> str:
    known = signum in signal.Signals.__members__.values()
    return signal.Signals(signum).name if known else f"signal {signum}"
