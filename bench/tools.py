"""Run an init as PID 1 of a namespace of its own: to its end, or while it is looked at."""

import contextlib
import dataclasses
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench.errors import BenchError
from testkit.namespaces import UNSHARE_TIED, USER
from testkit.processes import only_child
from testkit.programs import compile_c

SOURCES = Path(__file__).parent
TOLD = 8  # bytes of a time, see inside.c
LINE = 4096
SECONDS = 120  # no run takes this long: one that does hangs
# The same for every user that runs the benchmark: as in the official images of Python.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """The two C programs, compiled into a folder."""

    folder: Path

    def compile(self) -> None:
        """Compile them. The workload is static: it starts without a dynamic linker."""
        for name, options in (("inside", ["-static"]), ("outside", [])):
            compile_c(SOURCES / f"{name}.c", self.folder, *options)

    def workload(self, *words: object) -> tuple[str, ...]:
        """Return the command of a workload (see inside.c)."""
        return (str(self.folder / "inside"), *map(str, words))

    def measure(self, what: tuple[object, ...], command: tuple[str, ...]) -> list[int]:
        """Return the figures of one run (see outside.c)."""
        words = (*_outside(), str(self.folder / "outside"), *map(str, what), *command)
        return [int(word) for word in run(words, stdout=subprocess.PIPE).stdout.split()]


def run(words: tuple[str, ...], stdout: int) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must succeed, and in time."""
    try:
        done = subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(words)}: it did not end within {SECONDS} s"
        raise BenchError(message) from error
    if done.returncode:
        message = f"{' '.join(words)}: code {done.returncode}, {done.stderr.strip()}"
        raise BenchError(message)
    return done


def _outside() -> tuple[str, ...]:
    return ("unshare", *USER, "--") if USER else ()


class Held:
    """An init whose workload says when it is ready, and exits at the end of its input."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start it; it is ready after `hear`."""
        self._process = subprocess.Popen(
            (*UNSHARE_TIED, "--", *command),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )

    def hear(self) -> None:
        """Wait until the workload writes."""
        if len(self._read(self._process.stdout, TOLD)) != TOLD:
            message = f"{self._process.args!r}: the workload wrote nothing"
            raise BenchError(message)

    def hear_error(self) -> None:
        """Wait for a line on stderr."""
        if not self._read(self._process.stderr, LINE):
            message = f"{self._process.args!r}: no line on stderr"
            raise BenchError(message)

    def _read(self, pipe: IO[bytes] | None, size: int) -> bytes:
        if pipe is None or not select.select([pipe], [], [], SECONDS)[0]:
            return b""
        return os.read(pipe.fileno(), size)

    def tell(self) -> None:
        """Tell the workload to go on."""
        assert self._process.stdin
        self._process.stdin.write(b"\n")

    @property
    def init(self) -> int:
        """The pid of the init, as seen from outside of its namespace."""
        return only_child(self._process.pid)

    def fileno(self) -> int:
        """Return the file that can be read when the workload writes, or no process is left."""
        assert self._process.stdout
        return self._process.stdout.fileno()

    def end(self) -> None:
        """Close its input, and wait for its end."""
        try:
            self._process.communicate(timeout=SECONDS)
        finally:
            self._process.kill()


@contextlib.contextmanager
def held(command: tuple[str, ...]) -> Iterator[Held]:
    """Start an init, wait until its workload is ready, and stop it at the end."""
    process = Held(command)
    try:
        process.hear()
        yield process
    finally:
        process.end()
