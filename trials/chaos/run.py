"""Run a plan and record what happens."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from testkit.namespaces import ROOT, UNSHARE
from testkit.processes import children, state
from testkit.programs import PYINIT, compile_c
from trials.chaos import proc, tree
from trials.chaos.plan import FICKLE, REQUESTS, TERM, Plan
from trials.chaos.seen import RUNNER, Line, Seen
from trials.chaos.watch import Watch

SOURCE = Path(__file__).parent / "actor.c"
SECONDS = 20.0  # for what comes at once unless something hangs
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("PYINIT_", "TINI_"))
}


def compile_actor(folder: str) -> str:
    """Compile the actor; return its path."""
    return str(compile_c(SOURCE, Path(folder), "-static"))


def execute(plan: Plan, actor: str, init: str = PYINIT) -> Seen:
    """Run a plan to its end, and clean up what is left."""
    run = Run(plan, actor, init)
    try:
        run.play()
        return run.finish()
    finally:
        run.clear_away()


class Run:
    """A pyinit with a tree, and the plan of what to do with it."""

    def __init__(self, plan: Plan, actor: str, init: str) -> None:
        """Start it."""
        self._plan = plan
        self._actor = actor
        self._hung = ""
        self._zombies: list[int] = []
        self._guests: list[subprocess.Popen[bytes]] = []
        told, self._end = os.pipe()
        self._process = subprocess.Popen(
            [
                *((*UNSHARE, "--") if plan.namespace else ()),
                init,
                *plan.words,
                "--",
                *self._words("early" if plan.early else "tree"),
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[self._end],
            env={**ENVIRONMENT, **plan.environment},
            start_new_session=True,
        )
        assert self._process.stderr
        self._watch = Watch(told, os.dup(self._process.stderr.fileno()), self._process.pid)
        self._init: int | None = None  # a pidfd

    def _words(self, how: str, init: int = 0, node: int = 0) -> list[str]:
        nodes = (*self._plan.nodes, *self._plan.guests)
        numbers = (self._end, self._plan.quit, init, node)
        return [self._actor, how, *map(str, numbers), tree.spec(nodes, users=ROOT)]

    def play(self) -> None:
        """Do what the plan says."""
        awaited = {0} if self._plan.early else {node.id for node in self._plan.nodes}
        self._await("the tree", lambda: awaited <= {line.node for line in self._told("A")})
        pid = self._find_init()
        if pid is None:
            return
        self._bring_guests(pid)
        self._look_for_zombies(pid)
        for signum in self._plan.signals:
            self._send_and_wait(signum)
        if self._plan.stop:
            self._send(TERM)
        for signum in self._plan.later:
            self._send(signum)

    def _told(self, letter: str) -> list[Line]:
        return [line for line in self._watch.lines if line.letter == letter]

    def _await(self, what: str, is_so: Callable[[], bool], *, looks: bool = False) -> None:
        if not self._hung and not self._watch.until(is_so, SECONDS, looks=looks):
            self._hung = what

    def _find_init(self) -> int | None:
        """Open a pidfd of pyinit. Its pid may be reused between two looks, but not here."""
        pid = self._process.pid
        if self._plan.namespace:
            pid = next(iter(children(pid)), 0)
        with contextlib.suppress(OSError):
            self._init = os.pidfd_open(pid)
        if self._plan.namespace and pid not in children(self._process.pid):
            return None
        return pid

    def _bring_guests(self, pid: int) -> None:
        for node in self._plan.guests:
            words = self._words("enter", pid, node.id)
            self._guests.append(
                subprocess.Popen(words, pass_fds=[self._end], start_new_session=True)
            )
        numbers = {node.id for node in self._plan.guests}
        self._await("guests", lambda: self._came(numbers) >= len(numbers))

    def _came(self, numbers: set[int]) -> int:
        """Count the guests that came, or could not."""
        came = [line for line in self._told("A") if line.node in numbers]
        return len(came) + len(self._told("F"))

    def _look_for_zombies(self, pid: int) -> None:
        """The zombies that are there now must be gone soon."""
        dead = {child for child in children(pid) if state(child) == "Z"}

        def stay() -> set[int]:
            return {child for child in dead & set(children(pid)) if state(child) == "Z"}

        if not self._watch.until(lambda: not stay(), SECONDS, looks=True):
            self._zombies = sorted(stay())

    def _send_and_wait(self, signum: int) -> None:
        before = len(self._watch.lines)
        self._send(signum)
        comes = self._plan.wishes.rewrite.get(signum, signum)
        if not self._plan.one_by_one or comes == 0 or {signum, comes} & FICKLE:
            return
        if signum in REQUESTS and self._plan.wishes.first_step:  # any may be first
            return
        if comes == self._plan.quit and not self._plan.root.tells_of_asking:
            return

        def saw() -> bool:
            new = (line for line in self._watch.lines[before:] if line.node == 0)
            return any(x.letter == "S" and x.a == comes for x in new) or self._is_root_gone()

        self._await(f"signal {comes} at the root", saw)

    def _is_root_gone(self) -> bool:
        return any(line.node == 0 for line in self._told("G"))

    def _send(self, signum: int) -> None:
        if self._init is None:
            return
        os.write(self._end, b"K %d 0 %d 0 0 %d\n" % (RUNNER, signum, now()))
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signum)

    def finish(self) -> Seen:
        """Wait for the end and return what was seen."""
        os.close(self._end)
        self._end = -1
        limit = self._plan.limit + 2 * SECONDS
        if not self._hung and not self._watch.until(lambda: False, limit):
            self._hung = f"the end, which is due after {self._plan.limit:.1f} s at most"
        ended = now()
        left = proc.clear_away() if self._hung else []
        code = self._process.wait()
        for guest in self._guests:
            guest.wait()
        self._watch.close()
        return Seen(
            plan=self._plan,
            lines=self._watch.lines,
            stderr=self._watch.stderr.decode(errors="backslashreplace"),
            code=code,
            hung=self._hung,
            left=left or [proc.describe(pid) for pid in children(os.getpid())],
            zombies=self._zombies,
            ended=ended,
            holders=self._watch.is_held,
        )

    def clear_away(self) -> None:
        """Kill what is left."""
        proc.clear_away()
        for descriptor in (self._end, self._init):
            if descriptor not in {-1, None}:
                os.close(descriptor)
        if self._process.stderr:
            self._process.stderr.close()


def now() -> int:
    """Return the milliseconds of the clock that actor.c uses."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000
