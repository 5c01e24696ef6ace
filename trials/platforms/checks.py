"""Checks of pyinit in another root file system, from outside."""

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from testkit import roots
from testkit.processes import children, until
from testkit.programs import ROOT_DIRECTORY
from testkit.running import Result, Run

LISTENER = ROOT_DIRECTORY / "tests/victims/listener.py"
SCRATCH = "/var/tmp"  # noqa: S108 - in a root file system of our own
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 300  # for one check; an emulator needs seconds where a processor needs milliseconds
ORPHANS = 20
REALTIME = 34
LEAVES_ONE = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if not os.fork():
    signal.sigwait([signal.SIGTERM])
    print("asked", flush=True)
    os._exit(0)
os._exit(7)
"""


class Place(NamedTuple):
    """A root file system with pyinit in it.

    Attributes:
        directory: its path.
        python: the interpreter there; pyinit is beside it.
        signals: the signals that can be forwarded there.
        is_subreaper: whether pyinit becomes a subreaper there when it is not PID 1.
        blocks: whether env(1) there can block signals, for the launcher.
        emulated: whether programs run in an emulator, so that the kernel does not report what they
            wait for.
        shift: how much greater the numbers of real-time signals are outside.
        prefix: the prefix of a command that lets it run there.
    """

    directory: Path
    python: str
    signals: Iterable[int]
    is_subreaper: bool
    blocks: bool
    emulated: bool = False
    shift: int = 0
    prefix: tuple[str, ...] = ()

    def start(self, *command: str, **popen: Any) -> Run:  # noqa: ANN401 - as Popen's
        """Start a command there, as PID 1 of a namespace of its own."""
        entering = roots.entering(self.directory, *command, as_init=True)
        return Run([*self.prefix, *entering], namespace=True, env={"PATH": PATH}, **popen)

    def run(self, *command: str) -> Result:
        """Run a command there to its end."""
        return self.start(*command).finish(timeout=SECONDS)

    def outside(self, signum: int) -> int:
        """Return the number of a signal of there, outside."""
        return signum + self.shift if signum >= REALTIME else signum

    def beside(self, name: str) -> str:
        """Return the path of a command of pyinit."""
        return f"{self.python.rpartition('/')[0]}/{name}"

    @property
    def pyinit(self) -> str:
        """The command that pip installs."""
        return self.beside("pyinit")


def codes(place: Place) -> None:
    """Exit with the child's code, 128+N, 127 and 126."""
    for words, code in (
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("/nowhere",), 127),
        (("/etc",), 126),
    ):
        equal(code, place.run(place.pyinit, "--", *words).code)


def signals(place: Place) -> None:
    """Forward each signal; 37 is an engine's SIGRTMIN+3."""
    listen = (place.python, "-IS", f"{SCRATCH}/listener.py")
    run = place.start(place.pyinit, "-v", "-r", "RTMIN+3:USR1", "--", *listen)
    try:
        run.ready()
        run.send(place.outside(37))
        equal("got 10", run.line())
        equal("SIGRTMIN+3", run.event("signal_forwarded")["signal"])
        for signum in place.signals:
            run.send(place.outside(signum))
            equal(f"got {signum}", run.line())
    finally:
        run.kill()


def orphans(place: Place) -> None:
    """Reap orphans: no zombie is left."""
    script = f"n={ORPHANS}; while [ $n -gt 0 ]; do (true &); n=$((n-1)); done; echo done; read x"
    run = place.start(place.pyinit, "-vv", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    try:
        equal("done", run.line())
        for _ in range(ORPHANS):
            run.event("orphan_reaped")
        equal(True, until(lambda: len(children(run.init)) == 1))  # noqa: FBT003 - the expectation
        equal(0, run.finish(b"\n", SECONDS).code)
    finally:
        run.kill()


def drain(place: Place) -> None:
    """Let what the child left behind finish, and exit with the child's code."""
    result = place.run(place.pyinit, "-d", "60", "--", place.python, "-IS", "-c", LEAVES_ONE)
    equal((7, "asked\n"), (result.code, result.out))


def not_pid_1(place: Place) -> None:
    """Be a subreaper when it is not PID 1, or say that this is not possible."""
    script = f'{place.pyinit} -v -- sh -c "read x; exit 3"; exit $?'
    run = place.start("sh", "-c", script, stdin=subprocess.PIPE)
    try:
        if not place.is_subreaper:
            run.event("subreaper_refused")
        equal(place.is_subreaper, run.event("not_pid1")["subreaper"])
        equal(3, run.finish(b"\n", SECONDS).code)
    finally:
        run.kill()


def launcher(place: Place) -> None:
    """Run the command that pyinit-launcher writes; it blocks signals, or says why it cannot."""
    written = place.run(place.beside("pyinit-launcher"), f"{SCRATCH}/pyinit")
    equal((0, place.blocks), (written.code, "--block-signal" in written.out))
    equal(not place.blocks, "no env with -S --block-signal here" in written.err)
    equal(3, place.run(f"{SCRATCH}/pyinit", "-v", "--", "sh", "-c", "exit 3").code)


def inspect(place: Place) -> None:
    """Show what a process does with each signal."""
    result = place.run(place.pyinit, "--", "sh", "-c", f"{place.pyinit} --inspect=1")
    equal(
        (0, True),
        (result.code, "SIGTERM is taken: it waits for it" in " ".join(result.out.split())),
    )


CHECKS: tuple[Callable[[Place], None], ...] = (
    codes,
    signals,
    orphans,
    drain,
    not_pid_1,
    launcher,
    inspect,  # the last one: see check()
)


class DifferenceError(Exception):
    """A check failed."""


def equal(expected: object, seen: object) -> None:
    """Raise an error if the two differ."""
    if expected != seen:
        message = f"expected {expected!r}, not {seen!r}"
        raise DifferenceError(message)


def check(place: Place) -> bool:
    """Print for each check whether it passes; return whether all do."""
    failed = 0
    for one in CHECKS if not place.emulated else CHECKS[:-1]:
        try:
            one(place)
        except (DifferenceError, subprocess.TimeoutExpired, EOFError, AssertionError) as error:
            failed += 1
            print(f"FAILED  {one.__name__}: {error}", flush=True)
        else:
            print(f"passed  {one.__name__}: {(one.__doc__ or '').splitlines()[0]}", flush=True)
    return not failed
