"""Read the stacks of Python processes from their memory; loaded when a stop is slow.

The memory may change during the read, may be damaged, or may be made to mislead. So each read is
limited in size, and all reads in number and time. Unexpected content raises ``UnreadableError``.
"""

import os

from pyinit.later.memory import Memory, UnreadableError
from pyinit.later.stacks.frames import Frame, Reader, reader
from pyinit.later.stacks.symbols import objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GREENLETS = "/greenlet/_greenlet"  # in the path of the library greenlet


def read(pid: int, deadline: float, first: int = 0) -> dict[int, list[Frame]]:
    """Return the frames of each thread of a process that runs Python, innermost first, by tid.

    The main thread comes first. A thread that cannot be read in time is left out.

    Args:
        pid: the process.
        deadline: when reading ends, in seconds on the monotonic clock.
        first: the tid of its first thread in its own PID namespace; 0 if that is the pid.

    Raises:
        UnreadableError: it does not run Python, its memory may not be read, or no thread can be
            read; the text says why.
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
    """Return a thread and the program: the first thread that has not exited shows both."""
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
    reason = UnreadableError("none of its threads runs Python")
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
