"""What /proc shows about other processes, and how to wait for it."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path


def until(condition: Callable[[], object], seconds: float = 30) -> bool:
    """Wait for something without an event, such as a reaped zombie; False if it does not come."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        os.sched_yield()
    return bool(found)


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, of all its threads, with zombies."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just exited
            found += map(int, task.read_text().split())
    return found


def only_child(pid: int) -> int:
    """Return the pid of the only child of a process."""
    (child,) = children(pid)
    return child


def descendants(pid: int) -> list[int]:
    """Return the pids of all processes below a process."""
    below = children(pid)
    return below + [further for child in below for further in descendants(child)]


def state(pid: int) -> str:
    """Return the letter of the state of a process; empty if it is gone."""
    try:
        return stat(pid)[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def stat(pid: int | str) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; the name before may have any bytes."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def status(pid: int | str) -> dict[str, str]:
    """Return the fields of /proc/PID/status."""
    return status_of(Path(f"/proc/{pid}/status").read_text(errors="replace"))


def status_of(text: str) -> dict[str, str]:
    """Return the fields in the text of a /proc/PID/status."""
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))
