"""Run a program that does not stop, ask it to stop, and read what its init says about that."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from testkit.namespaces import ENTER, UNSHARE_TIED
from testkit.programs import PYINIT
from testkit.running import Run
from trials.hung.program import Program

SECONDS = 60.0  # the time limit for everything
PROFILER_SECONDS = 10.0  # the time limit for a profiler
LOOKS = 5
URGENT = ("nice", "-n", "-20")  # the machine may have other work
LINE = "the line"
# The capabilities of a container by default: without CAP_SYS_PTRACE.
CONFINED = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")

# A look of pyinit, in an interpreter that has not imported pyinit yet.
LOOK = """
import sys
from time import monotonic, process_time
wall, cpu = monotonic(), process_time()
from pyinit.later import look
look.start_new_thread = lambda function, arguments: function(*arguments)
pid = int(sys.argv[1])
found = look.Look([pid], (wall, 15, 15), wall + 2, target=0, stacks=True).keys(pid)
assert "reason" in found, found
print(monotonic() - wall, process_time() - cpu)
"""


class UnreadyError(Exception):
    """The program did not begin; the text is what it wrote."""


@dataclass(frozen=True)
class Told:
    """What pyinit and a profiler said about a program.

    Attributes:
        event: the event of pyinit; empty if there was none.
        wall, cpu: how long a look takes, in seconds, and its CPU time: the shortest of several,
            because other work on the machine disturbs that least.
        spied: what a profiler said, with the rights of the container, and with CAP_SYS_PTRACE.
    """

    event: dict[str, Any]
    wall: float = 0.0
    cpu: float = 0.0
    spied: tuple[str, ...] = ()


@contextlib.contextmanager
def hung(program: Program, init: tuple[str, ...], python: str) -> Iterator[Run]:
    """Start an init with a program, wait until the program is ready, and send SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="hung-") as name:
        folder = Path(name)
        run = Run(
            [*UNSHARE_TIED, *CONFINED, *init, *program.words(python, folder)],
            namespace=True,
            cwd=folder,
            stdin=subprocess.PIPE if program.is_talking else subprocess.DEVNULL,
        )
        try:
            program.begin(run, folder)
            if not _find(run.process.stdout, lambda line: line.strip() == b"ready"):
                raise UnreadyError(run.kill().err)
            with program.during(run, folder):
                run.send(signal.SIGTERM)
                yield run
        finally:
            run.process.kill()  # and with it the namespace
            run.process.communicate()


def attempt(program: Program, *, python: str, after: float, look: bool) -> Told:
    """Have pyinit explain why a program does not stop.

    Args:
        program: the program.
        python: the interpreter for programs that run with any.
        after: the seconds of `--explain-after`.
        look: whether to measure looks, and to try a profiler, as well.

    Raises:
        UnreadyError: the program did not become ready.
    """
    options = ("--explain-after", str(after), "--log-format", "json", "--")
    event: dict[str, Any] = {}

    def is_it(line: bytes) -> bool:
        with contextlib.suppress(ValueError):  # the program writes to the same stream
            found = json.loads(line[line.index(b'{"timestamp"') :])
            if found["event"] == "stop_is_slow":
                event.update(found)
        return bool(event)

    with hung(program, (PYINIT, *options), python) as run:
        if not _find(run.process.stderr, is_it) or not look:
            return Told(event)
        command = (*URGENT, sys.executable, "-P", "-c", LOOK, str(event["pid"]))
        measured = [run.inside(*command).stdout.split() for _ in range(LOOKS)]
        wall, cpu = (min(map(float, column)) for column in zip(*measured, strict=True))
        pids = [event["pid"], *(each["pid"] for each in event.get("below", ()))]
        spied = tuple(_spy(run, pids, program, prefix) for prefix in (CONFINED, ()))
    return Told(event, wall, cpu, spied)


def missing(program: Program) -> str:
    """Return a file that a program needs and that is missing; empty if none is."""
    return next((path for path in program.needs if not Path(path).exists()), "")


def is_right(program: Program, event: dict[str, Any]) -> bool:
    """Tell whether the event has the right cause, with the right line."""
    reason = event.get("reason", "")
    waits = [event.get("waits_for", ""), *(each["waits_for"] for each in event.get("below", ()))]
    return (
        re.search(program.cause, reason) is not None
        and (not program.lines or any(f"{line} " in reason for line in program.lines))
        and any(re.search(program.waits, each) for each in waits)
    )


def said_by_tini(program: Program, *, python: str, seconds: float) -> str:
    """Return what tini says about a program in so many seconds; empty for nothing."""
    said: list[bytes] = []

    def is_it(line: bytes) -> bool:
        if b" tini " in line:
            said.append(line)
        return bool(said)

    with hung(program, ("tini", "--"), python) as run:
        _find(run.process.stderr, is_it, seconds)
    return b"".join(said).decode()


def _spy(run: Run, pids: list[int], program: Program, prefix: tuple[str, ...]) -> str:
    """Return what `py-spy dump` says about a process, or about one below it that has the line."""
    told = ""
    for pid in pids:
        found = _dump(run, pid, program, prefix)
        if found.startswith(LINE):
            return found
        told = told or found
    return told


def _dump(run: Run, pid: int, program: Program, prefix: tuple[str, ...]) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    enter = (*ENTER, "--target", str(run.init), *prefix, "py-spy", "dump", "--pid", str(pid))
    began = time.monotonic()
    try:
        done = subprocess.run(
            enter,
            check=False,
            capture_output=True,
            text=True,
            timeout=PROFILER_SECONDS,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", "RUST_BACKTRACE": "0"},
        )
    except subprocess.TimeoutExpired:
        return f"nothing within {PROFILER_SECONDS:.0f} s"
    seconds = time.monotonic() - began
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if line.startswith("Error: ")), "")
        return f"nothing: {first.removeprefix('Error: ')}"
    names_it = any(f"{Path(line).name})" in done.stdout for line in program.lines)
    found = LINE if names_it else "stacks without it" if program.lines else "stacks"
    return f"{found}, {seconds * 1000:.0f} ms"


def _find(pipe: IO[bytes] | None, is_it: Callable[[bytes], bool], seconds: float = SECONDS) -> bool:
    """Read lines until one fits; tell whether it came."""
    assert pipe
    end = time.monotonic() + seconds
    text = b""
    while select.select([pipe], [], [], max(end - time.monotonic(), 0))[0]:
        part = os.read(pipe.fileno(), 65536)
        *lines, text = (text + part).split(b"\n")
        if any(is_it(line) for line in lines):
            return True
        if not part:
            break
    return False
