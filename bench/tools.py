"""Run an init as PID 1 of a namespace of its own: to its end, or for as long as it is looked at."""

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
TOLD = 8  # bytes of a clock, see inside.c
LINE = 4096
SECONDS = 120  # for the longest run: what has not ended by then hangs
# The same for all, whoever runs the benchmark: as the official images of Python have it.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """The programs in C, compiled into a folder."""

    folder: Path

    def compile(self) -> None:
        """Compile them. The workload is static: it begins without a dynamic linker."""
        for name, options in (("inside", ["-static"]), ("outside", [])):
            compile_c(SOURCES / f"{name}.c", self.folder, *options)

    def workload(self, *words: object) -> tuple[str, ...]:
        """Return the command of a workload, as inside.c has it."""
        return (str(self.folder / "inside"), *map(str, words))

    def measure(self, what: tuple[object, ...], command: tuple[str, ...]) -> list[int]:
        """Return the figures of one run, as outside.c has it."""
        words = (*_outside(), str(self.folder / "outside"), *map(str, what), *command)
        return [int(word) for word in run(words, stdout=subprocess.PIPE).stdout.split()]


def run(words: tuple[str, ...], stdout: int) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which must come in time and be a success."""
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
        message = f"{' '.join(words)}: it does not end"
        raise BenchError(message) from error
    if done.returncode:
        message = f"{' '.join(words)}: code {done.returncode}, {done.stderr.strip()}"
        raise BenchError(message)
    return done


def _outside() -> tuple[str, ...]:
    return ("unshare", *USER, "--") if USER else ()


class Held:
    """An init whose workload tells that it is ready, and leaves at the end of its input."""

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
        """Wait until the workload tells."""
        if len(self._read(self._process.stdout, TOLD)) != TOLD:
            message = f"{self._process.args!r}: the workload told nothing"
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
        """Let the workload go on."""
        assert self._process.stdin
        self._process.stdin.write(b"\n")

    @property
    def init(self) -> int:
        """The pid of the init, as seen from here."""
        return only_child(self._process.pid)

    def fileno(self) -> int:
        """Return what can be read once the workload tells, or nobody is left."""
        assert self._process.stdout
        return self._process.stdout.fileno()

    def end(self) -> None:
        """Let it end."""
        try:
            self._process.communicate(timeout=SECONDS)
        finally:
            self._process.kill()


@contextlib.contextmanager
def held(command: tuple[str, ...]) -> Iterator[Held]:
    """Start an init, wait until its workload is ready, and end it at the end."""
    process = Held(command)
    try:
        process.hear()
        yield process
    finally:
        process.end()
