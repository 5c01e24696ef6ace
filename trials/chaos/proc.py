"""The processes below this one, by /proc; those whose parent has gone come to it (prctl(2))."""

import contextlib
import os
import signal
from pathlib import Path

import prctl

from testkit.processes import children, descendants, state


def adopt_orphans() -> None:
    """Become the parent of what pyinit leaves behind."""
    prctl.set_child_subreaper(1)


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
    while below := descendants(os.getpid()):
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    return found
