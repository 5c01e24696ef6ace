"""The processes below this one, from /proc. Orphans become children of this one (prctl(2))."""

import contextlib
import os
import signal
from pathlib import Path

import prctl

from testkit.processes import children, descendants, state


def adopt_orphans() -> None:
    """Become the parent of the processes that pyinit leaves behind."""
    prctl.set_child_subreaper(1)


def describe(pid: int) -> str:
    """Return its pid, state and command."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return f"{pid} ({state(pid)}) {b' '.join(words[:2]).decode()}"
    except OSError:
        return f"{pid} gone"


def clear_away() -> list[str]:
    """Kill and reap all processes below this one; return what they were at the first look."""
    found = [describe(pid) for pid in children(os.getpid())]
    while below := descendants(os.getpid()):
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    return found
