"""What the labs see of processes, and how they say it."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from testkit.processes import status


def fail(what: str) -> NoReturn:
    """Leave with one line and code 1."""
    line = f"lab: {what}"
    raise SystemExit(line)


def expect(wanted: object, seen: object) -> None:
    """Fail if something was not seen as it should be."""
    if wanted != seen:
        fail(f"expected {wanted!r}, saw {seen!r}")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells of; a process that is not there any more meets every one."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while not condition():
            os.sched_yield()


def bitmap(pid: int, name: str) -> int:
    """Return a bitmap of signals out of /proc/PID/status."""
    return int(status(pid)[name], 16)


def names(mask: int) -> str:
    """Return the signals of a bitmap, bit n-1 being signal n; the real-time ones by number."""
    known = {int(signum): signum.name for signum in signal.Signals}
    return " ".join(known.get(bit + 1, str(bit + 1)) for bit in range(64) if mask >> bit & 1)


def outcome(code: int) -> str:
    """Return in words how a program ended: its code, or by which signal."""
    return f"code {code}" if code >= 0 else signal.Signals(-code).name
