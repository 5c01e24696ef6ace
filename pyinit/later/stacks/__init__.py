"""Stacks of Python processes, read from their memory; loaded when a stop is slow.

What is read belongs to somebody else: it may be torn, garbled or made to mislead. So each read is
bounded in size, all of them in number and time, and what does not fit ends in ``UnreadableError``.
"""

import os

from pyinit.later.memory import Memory, UnreadableError
from pyinit.later.stacks.frames import Frame, Reader, reader
from pyinit.later.stacks.symbols import objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GREENLETS = "/greenlet/_greenlet"  # in the path of the library that switches between them


def read(pid: int, deadline: float, first: int = 0) -> dict[int, list[Frame]]:
    """Return the frames of each thread of a process that runs Python, innermost first, by tid.

    The main thread comes first. A thread that cannot be read, or for which there is no time left,
    is not there.

    Args:
        pid: the process.
        deadline: when reading ends, in seconds on the monotonic clock.
        first: the number of its first thread in its own PID namespace; 0 where that is the pid.

    Raises:
        UnreadableError: it runs no Python, may not be looked at, or no thread can be read; the
            text says why.
    """
    thread, program = _program(pid)
    memory = Memory(thread, deadline)
    try:
        mapped = objects(thread)
        found = _stacks(first or pid, reader(memory, mapped, program))
    finally:
        memory.close()
    if any(GREENLETS in path for path in mapped):
        for stack in found.values():
            stack[-1].is_greenlet = not stack[-1].is_begin
    return found


def _program(pid: int) -> tuple[int, str]:
    """Return the first thread that has not ended, and the program: what has ended shows neither."""
    reason: OSError | None = None
    for tid in _tids(pid):
        try:
            return tid, os.readlink(f"/proc/{tid}/exe").removesuffix(" (deleted)")
        except OSError as error:
            reason = reason or error
    msg = f"its program cannot be seen: {reason and reason.strerror}"
    raise UnreadableError(msg) from reason


def _tids(pid: int) -> "Iterator[int]":
    yield pid
    try:
        yield from map(int, os.listdir(f"/proc/{pid}/task"))
    except OSError:
        pass


def _stacks(first: int, python: Reader) -> dict[int, list[Frame]]:
    found: dict[int, list[Frame]] = {}
    reason = UnreadableError("no thread of it runs Python")
    threads = python.threads()
    for tid in sorted(threads, key=lambda tid: tid != first):
        try:
            stack = python.stack(threads[tid], is_first=tid == first)
        except UnreadableError as error:
            reason = error
        else:
            if stack:
                found[tid] = stack
    if not found:
        raise reason
    return found
