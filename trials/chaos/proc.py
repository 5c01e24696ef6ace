"""The processes below this one, by /proc; those whose parent has gone come to it (prctl(2))."""

import contextlib
import os
import signal
from pathlib import Path

import prctl


def adopt_orphans() -> None:
    """Become the parent of what pyinit leaves behind."""
    prctl.set_child_subreaper(1)


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, zombies too."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def state(pid: int) -> str:
    """Return the letter of its state; none where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def describe(pid: int) -> str:
    """Say who it is."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return f"{pid} ({state(pid)}) {b' '.join(words[:2]).decode()}"
    except OSError:
        return f"{pid} gone"


def clear_away() -> list[str]:
    """Kill and reap all below this process; say who they were, at first sight."""
    found = [describe(pid) for pid in children(os.getpid())]
    while below := children(os.getpid()):
        for pid in (*below, *(further for child in below for further in _descendants(child))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    return found


def _descendants(pid: int) -> list[int]:
    below = children(pid)
    return below + [further for child in below for further in _descendants(child)]
