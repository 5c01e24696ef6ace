"""The processes below pyinit, where it is not PID 1 and kill(-1) is out of the question.

They are found in /proc, where a pid that is read may be another process's by the time it is
signalled. So a process is held by a pidfd first and looked at afterwards:

1. pyinit's own children cannot be confused: it alone reaps them, and their pids stay until then.
2. A process found below one that is held is opened (pidfd_open). From now on a signal through that
   descriptor reaches this process or nobody.
3. Only then is its parent read, and the parent's descriptor asked whether its process is still
   there. If so the parent's pid was no other process's when it was read, and what is held is its
   child.
"""

import os
from errno import ENOSYS, EPERM, ESRCH

from pyinit import procfs, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PASSES = 20  # a tree that grows faster than it is walked ends no pass without a new process


class Held:
    """A process that cannot become another while it is held.

    Attributes:
        pid: its pid.
        descriptor: its pidfd; None for pyinit itself, and for a child where there are no pidfds.
        children: those of its children that are still to be visited.
    """

    __slots__ = ("children", "descriptor", "pid")

    def __init__(self, pid: int, descriptor: int | None, children: "Iterator[int]") -> None:
        """Keep the three."""
        self.pid = pid
        self.descriptor = descriptor
        self.children = children

    def is_there(self) -> bool:
        """Tell whether the process, be it a zombie, still has its pid."""
        try:
            if self.descriptor is not None:
                signals.send(self.descriptor, 0)
        except PermissionError:
            return True
        except OSError:
            return False
        return True

    def send(self, signum: int) -> None:
        """Send a signal to it."""
        if self.descriptor is None:
            os.kill(self.pid, signum)
        else:
            signals.send(self.descriptor, signum)

    def close(self) -> None:
        """Let go."""
        if self.descriptor is not None:
            os.close(self.descriptor)


def send(signums: "Iterable[int]") -> None:
    """Send signals to all below pyinit, parents first, until a walk finds nobody new.

    A process that forks while the tree is walked may be passed when its child is not there yet.

    Raises:
        OSError: ESRCH where there is nobody; EPERM where nobody may be signalled.
    """
    reached: dict[tuple[int, int], bool] = {}
    for _ in range(PASSES):
        if not _send_to_new(tuple(signums), reached):
            break
    if not any(reached.values()):
        number = EPERM if reached else ESRCH
        raise OSError(number, os.strerror(number))


def pids() -> list[int] | None:
    """Return the pids of all below pyinit, as of now; None where /proc does not tell."""
    children = _children_by_parent()
    if children is None:
        return None
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.pop(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _send_to_new(signums: tuple[int, ...], reached: dict[tuple[int, int], bool]) -> bool:
    found = False
    for process, birth in _walk():
        key = (process.pid, birth)
        if key in reached:
            continue
        found = True
        try:
            for signum in signums:
                process.send(signum)
            reached[key] = True
        except OSError:  # gone, or another user's
            reached[key] = False
    return found


def _walk() -> "Iterator[tuple[Held, int]]":
    """Yield everyone below pyinit, held for as long as the caller looks at it, and its birth."""
    children = _children_by_parent() or {}
    line = [Held(os.getpid(), None, iter(children.get(os.getpid(), ())))]
    try:
        while line:
            pid = next(line[-1].children, None)
            if pid is None:
                line.pop().close()
                continue
            process = _hold(pid, line[-1], iter(children.get(pid, ())))
            if process is None:
                continue
            line.append(process)
            birth = _birth_of_child(process, line[-2])
            if birth is None:
                line.pop().close()
            else:
                yield process, birth
    finally:
        for process in line:
            process.close()


def _hold(pid: int, parent: Held, children: "Iterator[int]") -> Held | None:
    try:
        return Held(pid, os.pidfd_open(pid), children)
    except OSError as error:
        if error.errno in {ENOSYS, EPERM} and parent.pid == os.getpid():
            return Held(pid, None, children)  # Linux before 5.3, or forbidden: see rule 1
        return None  # gone; or out of descriptors, which the next walk may not be


def _birth_of_child(process: Held, parent: Held) -> int | None:
    stat = procfs.stat(process.pid)
    # An orphan of the last few microseconds is pyinit's own child by now.
    if stat is None or stat.parent not in {parent.pid, os.getpid()} or not parent.is_there():
        return None
    return stat.birth


def _children_by_parent() -> dict[int, list[int]] | None:
    everybody = procfs.pids()
    if everybody is None:
        return None
    children: dict[int, list[int]] = {}
    for pid in everybody:
        stat = procfs.stat(pid)
        if stat is not None:
            children.setdefault(stat.parent, []).append(pid)
    return children
