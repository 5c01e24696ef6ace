"""What the labs read about processes, and how they print it."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from testkit.processes import status


def fail(what: str) -> NoReturn:
    """Exit with one line and code 1."""
    line = f"lab: {what}"
    raise SystemExit(line)


def expect(wanted: object, seen: object) -> None:
    """Fail if something is not as expected."""
    if wanted != seen:
        fail(f"expected {wanted!r}, saw {seen!r}")


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met, or its process is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while not condition():
            os.sched_yield()


def bitmap(pid: int, name: str) -> int:
    """Return a bitmap of signals from /proc/PID/status."""
    return int(status(pid)[name], 16)


def names(mask: int) -> str:
    """Return the signals of a bitmap, whose bit n-1 is signal n; real-time signals as numbers."""
    known = {int(signum): signum.name for signum in signal.Signals}
    return " ".join(known.get(bit + 1, str(bit + 1)) for bit in range(64) if mask >> bit & 1)


def outcome(code: int) -> str:
    """Return in words how a program ended: its code, or the signal that killed it."""
    return f"code {code}" if code >= 0 else signal.Signals(-code).name
