"""What a process uses: time, wake-ups, memory."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from testkit.processes import stat, status, until


def settle(pid: int) -> None:
    """Wait until no thread of a process has anything to do."""
    until(lambda: all(stat(task)[0] == "S" for task in _tasks(pid)))


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process, with all its threads but without its children."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid(3)


def ticks(pid: int) -> int:
    """Return the CPU time as /proc shows it."""
    fields = stat(pid)
    return int(fields[11]) + int(fields[12])


def wakeups(pid: int) -> int:
    """Return how often all threads of a process gave up the processor to wait."""
    return sum(int(status(task)["voluntary_ctxt_switches"]) for task in _tasks(pid))


def memory_kib(pid: int) -> dict[str, int]:
    """Return Rss, Pss, Private_Dirty and so on."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kb) for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}


def _tasks(pid: int) -> Iterator[str]:
    """Yield the paths of the threads of a process in /proc."""
    return (f"{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task"))
