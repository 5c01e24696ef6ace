"""The processes below pyinit, where it is not PID 1 and kill(-1) is out of the question.

They are found in /proc, where a pid that is read may be another process's by the time it is
signalled. So a process is held by a pidfd first and looked at afterwards:

1. pyinit's own children cannot be confused: it alone reaps them, and their pids stay until then.
2. A process found below one that is held is opened (pidfd_open). From now on a signal through that
   descriptor reaches this process or nobody.
3. Only then is its parent read, and the parent's descriptor asked whether its process is still
   there. If so the parent's pid was no other process's when it was read, and what is held is its
   child.

kill(-1) reaches everyone at one moment. A walk takes time, in which processes fork. It is repeated
until nobody new is found, but passes over those that were forked by a process which had been asked
already: that may be a command that it cleans up with. SIGKILL passes over nobody.
"""

import os
from errno import ENOSYS, EPERM, ESRCH

from pyinit import procfs, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PASSES = 5  # a tree that grows faster than it is walked ends no pass without a new process


class Held:
    """A process that cannot become another while it is held.

    Attributes:
        pid: its pid.
        birth: when it started; with the pid this tells any two processes apart.
        descriptor: its pidfd; None for pyinit itself, and for a child where there are no pidfds.
        children: those of its children that are still to be visited.
    """

    __slots__ = ("birth", "children", "descriptor", "pid")

    def __init__(self, pid: int, descriptor: int | None, children: "Iterator[int]") -> None:
        """Keep the three; `_is_child_of` finds out the birth."""
        self.pid = pid
        self.birth = 0
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
    """Send signals, in their order, to all below pyinit, parents first.

    Raises:
        OSError: ESRCH where there is nobody; EPERM where nobody may be signalled.
    """
    sending = Sending(tuple(signums))
    for _ in range(PASSES):
        if not sending.walk():
            break
    if not sending.reached:
        number = EPERM if sending.refused else ESRCH
        raise OSError(number, os.strerror(number))


def pids() -> list[int] | None:
    """Return the pids of all that live below pyinit; None where /proc does not tell."""
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


class Sending:
    """Signals on their way to all below pyinit, each process once.

    Attributes:
        reached: how many they were sent to.
        refused: how many may not be signalled.
    """

    __slots__ = ("_last_pid", "_signums", "reached", "refused")

    def __init__(self, signums: tuple[int, ...]) -> None:
        """Begin with nobody."""
        self._signums = signums
        # By pid and birth of who was asked: the last pid that was given out before. What it forked
        # later has a higher one, unless the numbers began anew.
        self._last_pid: dict[tuple[int, int], int] = {}
        self.reached = 0
        self.refused = 0

    def walk(self) -> bool:
        """Send to all that were not met before; return whether there were any."""
        found = False
        for process, parent in _walk():
            if (process.pid, process.birth) not in self._last_pid:
                found = True
                self._meet(process, parent)
        # Orphans of those that were asked and have gone.
        self._last_pid.setdefault((os.getpid(), 0), procfs.last_pid())
        return found

    def _meet(self, process: Held, parent: Held) -> None:
        key = (process.pid, process.birth)
        limit = self._last_pid.get((parent.pid, parent.birth))
        if limit is not None and process.pid > limit and signals.SIGKILL not in self._signums:
            self._last_pid[key] = 0
            return
        self._last_pid[key] = procfs.last_pid()
        try:
            for signum in self._signums:
                process.send(signum)
            self.reached += 1
        except PermissionError:
            self.refused += 1
        except OSError:  # gone
            pass


def _walk() -> "Iterator[tuple[Held, Held]]":
    """Yield everyone below pyinit with its parent, held for as long as the caller looks."""
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
            if _is_child_of(line[-2], process):
                yield process, line[-2]
            else:
                line.pop().close()
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


def _is_child_of(parent: Held, process: Held) -> bool:
    stat = procfs.stat(process.pid)
    # An orphan of the last few microseconds is pyinit's own child by now.
    if stat is None or stat.parent not in {parent.pid, os.getpid()} or not parent.is_there():
        return False
    process.birth = stat.birth
    return True


def _children_by_parent() -> dict[int, list[int]] | None:
    everybody = procfs.pids()
    if everybody is None:
        return None
    children: dict[int, list[int]] = {}
    for pid in everybody:
        stat = procfs.stat(pid)
        if stat is not None and not stat.is_dead():
            children.setdefault(stat.parent, []).append(pid)
    return children
