"""What pyinit uses at one moment, from /proc; and whether it grew from the first to the last."""

import dataclasses
import os

from testkit.processes import children, state, status
from testkit.usage import memory_kib

FEW_PERCENT = 2
ARENA_KIB = 1024  # CPython allocates memory for small objects in pieces of this size (obmalloc.c)
FIRST_SECONDS = 60.0  # by then, everything that is loaded late is loaded
FIRST_PART = 6  # in a shorter run: the first of six parts of it


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Memory in KiB, and numbers of other things."""

    seconds: float
    rounds: int
    orphans: int
    signals: int
    private_dirty: int
    rss: int
    data: int
    threads: int
    descriptors: int
    zombies: int


MEMORY = ("private_dirty", "rss", "data")
COUNTS = ("threads", "descriptors")
NAMES = tuple(field.name for field in dataclasses.fields(Sample))


def look(pid: int) -> dict[str, int]:
    """Return what a process uses now."""
    memory, fields = memory_kib(pid), status(pid)
    return {
        "private_dirty": memory["Private_Dirty"],
        "rss": memory["Rss"],
        "data": int(fields["VmData"].split()[0]),  # kB
        "threads": int(fields["Threads"]),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "zombies": sum(state(child) == "Z" for child in children(pid)),
    }


def judge(samples: list[Sample]) -> list[str]:
    """Return what grew between the first minute and the end, one sentence each."""
    last = samples[-1]
    start = min(FIRST_SECONDS, last.seconds / FIRST_PART)
    judged = [sample for sample in samples if sample.seconds >= start]
    first = judged[0]
    found = []
    if first is last:
        found.append("there is only one sample after the beginning: nothing can be judged")
    for name in MEMORY:
        before, after = getattr(first, name), getattr(last, name)
        step = ARENA_KIB if name == "data" else 0  # a piece is mapped at once, and used bit by bit
        if after - before > max(before * FEW_PERCENT // 100, step):
            found.append(f"{name} grew by more than {FEW_PERCENT} %: {before} to {after} KiB")
    for name in COUNTS:
        seen = {getattr(sample, name) for sample in judged}
        if len(seen) > 1:
            found.append(f"{name} did not stay the same: {min(seen)} to {max(seen)}")
    left = max(sample.zombies for sample in samples)
    if left:
        found.append(f"zombies were left: {left}")
    return found


def row(sample: Sample | None = None) -> str:
    """Return a line of the table, or without a sample its head."""
    if sample is None:
        return "".join(f"{name:>{width(name)}}" for name in NAMES)
    values = dataclasses.astuple(sample)
    return "".join(f"{value:>{width(name)}.0f}" for name, value in zip(NAMES, values, strict=True))


def width(name: str) -> int:
    """Return the width of a column."""
    return max(len(name), 7) + 2
