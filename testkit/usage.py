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
    """Return the processor time of a process, of all its threads but of none of its children."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid(3)


def ticks(pid: int) -> int:
    """Return the same as /proc has it."""
    fields = stat(pid)
    return int(fields[11]) + int(fields[12])


def wakeups(pid: int) -> int:
    """Return how often a process gave up the processor to wait, all its threads together."""
    return sum(int(status(task)["voluntary_ctxt_switches"]) for task in _tasks(pid))


def memory_kib(pid: int) -> dict[str, int]:
    """Return Rss, Pss, Private_Dirty and so on."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kb) for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}


def _tasks(pid: int) -> Iterator[str]:
    """Yield where the threads of a process are, below /proc."""
    return (f"{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task"))
