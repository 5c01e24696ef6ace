"""What /proc tells of a process that is looked at."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 30.0


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, zombies included."""
    return [int(pid) for task in _tasks(pid) for pid in (task / "children").read_text().split()]


def settle(pid: int) -> None:
    """Wait until no thread of a process has anything to do."""
    until(lambda: all(_fields(task)[0] == "S" for task in _tasks(pid)))


def until(condition: Callable[[], bool]) -> bool:
    """Wait for what no event tells of; return False where it does not come."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()) and time.monotonic() < end:
        os.sched_yield()
    return found


def cpu_ns(pid: int) -> int:
    """Return the processor time of a process, of all its threads but of none of its children."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # as clock_getcpuclockid(3)


def ticks(pid: int) -> int:
    """Return the same as /proc has it."""
    fields = _fields(Path(f"/proc/{pid}"))
    return int(fields[11]) + int(fields[12])


def wakeups(pid: int) -> int:
    """Return how often a process gave up the processor to wait, all its threads together."""
    found = [
        re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (task / "status").read_text(), re.MULTILINE)
        for task in _tasks(pid)
    ]
    return sum(int(match[1]) for match in found if match)


def memory_kb(pid: int) -> dict[str, int]:
    """Return Rss, Pss, Private_Dirty and so on."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kb) for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}


def _tasks(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/task").iterdir()


def _fields(folder: Path) -> list[str]:
    """Return the fields of a stat file from the third one on; a name may have anything in it."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
