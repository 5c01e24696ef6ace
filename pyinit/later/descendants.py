"""Send signals to the descendants of pyinit if it is not PID 1, where kill(-1) is forbidden.

They are found in /proc. By the time of the signal, a pid may belong to another process. So:

1. The pids of pyinit's own children are safe: pyinit alone reaps them, and keeps the pids until
   then.
2. Any other process is opened (pidfd_open) and read afterwards. A signal through that descriptor
   reaches the process that was read, or none. It is a descendant if its parent is one, and if the
   pid of the parent still belongs to that parent. A pid and a start time identify a process.
3. Without pidfds (before Linux 5.3, or forbidden) the read comes right before the kill.

kill(-1) reaches all processes at one moment. A walk through /proc takes time: processes fork, and
parents exit between the read of their children and the read of themselves. So the walk is repeated
until it finds no new process. But it leaves out a process that was forked by one that had already
been asked to stop: it may be a command of its clean-up.

SIGKILL leaves out no process, and comes last. First all are stopped (SIGSTOP), again and again
until no new process is found. So none of them sees another one exit, and none forks. A process that
forks and exits without a pause has exited by the time a walk has found it. Two ways reach it:

4. A signal to its process group reaches all members at one moment, and what they fork in that
   moment (copy_process() in kernel/fork.c). This is used for groups that have only descendants and
   are not in pyinit's session. The kernel does not reuse the number of such a group while a child
   of pyinit is in it, even a zombie.
5. When its parent exits it becomes pyinit's own child. The list of these is one file. Reading that
   is faster than a fork, and by rule 1 nothing else must be read.

So for each process that has got SIGSTOP or SIGKILL, the same kind of list of its children is read
at once: those that it has just forked had no time to fork yet.
"""

import os
from errno import EAGAIN, ENOENT, EPERM, ESRCH
from time import CLOCK_BOOTTIME, clock_gettime, monotonic, sleep

from pyinit import processes
from pyinit.later import proc
from pyinit.signals import SIGKILL, SIGSTOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyinit.later.proc import Stat

    Known = tuple[int, int]  # pid and birth
    Moment = tuple[int, int]  # in ticks since boot, and the last pid given out by then

WALKING_SECONDS = 0.3  # a limit: a tree that grows fast enough has new processes in every walk
STOPPING_SECONDS = 0.1  # the same for SIGSTOP; SIGKILL is sent to all of them anyway
DESCENDING_SECONDS = 0.5  # a limit for descendants: a chain may grow for ever
CHASING_SECONDS = 0.05  # for processes that become pyinit's own children meanwhile
CALM = 4  # reads in a row without a new child
CALM_SECONDS = 0.0005  # between two reads: a killed process must exit before it leaves orphans


def send(signums: tuple[int, ...], child: int) -> None:
    """Send signals, in their order, to the child and all other descendants, parents first.

    Args:
        signums: the signals. SIGKILL alone is sent as described above. The caller then reaps, since
            zombies slow down a walk, and sends it again.
        child: the pid of the child if it has not exited, else 0. It gets the signals in any case.

    Raises:
        OSError: ENOENT if /proc does not show the processes, EAGAIN if it cannot be read at the
            moment, ESRCH if there are none, EPERM if some may not be signalled.
    """
    if SIGKILL in signums:
        sending, refusal = _kill(child)
    else:
        refusal = _send_to_child(signums, child) if child else None
        sending = Sending(signums, besides=child)
        end = monotonic() + WALKING_SECONDS
        is_growing = sending.walk()
        while is_growing:  # twice at least, however long the first walk took
            is_growing = sending.walk() and monotonic() < end
    if refusal is not None:
        raise refusal
    if sending.refused:
        raise OSError(EPERM, os.strerror(EPERM))
    if not sending.reached and not child:
        raise OSError(ESRCH, os.strerror(ESRCH))


def _kill(child: int) -> "tuple[Sending, OSError | None]":
    """Stop all, then kill all; return the result, and the error for the child."""
    stopping, killing = Sending((SIGSTOP,), besides=0), Sending((SIGKILL,), besides=0)
    end = monotonic() + STOPPING_SECONDS
    try:
        while stopping.walk() and monotonic() < end:
            pass
    finally:  # even if /proc cannot be read
        refusal = _send_to_child((SIGKILL,), child) if child else None
        killing.finish(stopping)
    return killing, refusal


def _send_to_child(signums: tuple[int, ...], child: int) -> OSError | None:
    try:
        for signum in signums:
            processes.send_to(child, None, signum)
    except OSError as error:
        return error
    return None


def stats(seconds: float | None = None) -> "dict[int, Stat] | None":
    """Return the stats of all descendants, with zombies, as `proc.stats` does."""
    found = proc.stats(seconds)
    if found is None:
        return None
    return {pid: found[pid] for pid, _ in _down(os.getpid(), _children_by_parent(found))}


def send_to(pid: int, birth: int, signums: tuple[int, ...]) -> bool:
    """Send signals, in their order, to one process that was found in /proc.

    Args:
        pid: its pid.
        birth: when it started, in clock ticks since boot; any other process gets nothing.
        signums: the signals.

    Returns:
        Whether it was still there, and could be signalled.
    """
    try:
        descriptor = _open(pid)
        try:
            now = proc.stat(pid)
            if now is None or now.birth != birth:
                return False
            for signum in signums:
                processes.send_to(pid, descriptor, signum)
        finally:
            if descriptor is not None:
                os.close(descriptor)
    except OSError:  # gone, or another user's
        return False
    return True


class Sending:
    """Sends signals to all descendants of pyinit, once to each process.

    Attributes:
        reached: how many processes got the signals.
        refused: how many may not be signalled.
        parents: the processes that walks have found, with their parents, parents first.
        groups: the process groups that have only descendants.
    """

    __slots__ = (
        "_besides",
        "_end",
        "_is_last",
        "_looked",
        "_met",
        "_own",
        "_pids",
        "_signums",
        "groups",
        "parents",
        "reached",
        "refused",
    )

    def __init__(self, signums: tuple[int, ...], besides: int) -> None:
        """Begin with no process."""
        self._signums = signums
        self._is_last = bool({SIGSTOP, SIGKILL} & {*signums})  # these leave out no process
        self._besides = besides
        self._looked = False
        self._own: Known = (os.getpid(), 0)
        # When each was asked. For an adopted orphan, whose parent is unknown: the beginning.
        self._met: dict[Known, Moment] = {self._own: _now()}
        self.parents: dict[Known, Known] = {}
        self._pids: set[int] = set()  # of own children, which were signalled without a read
        self._end = 0.0  # of the time for _descend
        self.groups: set[int] = set()
        self.reached = 0
        self.refused = 0

    def walk(self) -> bool:
        """Send to all that were not met before; return whether there were any, or may be more.

        Raises:
            OSError: ENOENT if /proc does not show them, EAGAIN if it cannot be read at the moment.
        """
        self._end = monotonic() + DESCENDING_SECONDS
        if self._is_last:
            self._chase()
        stats = proc.stats()
        if stats is None:
            raise _unreadable()
        children = _children_by_parent(stats)
        if self._is_last:
            self.groups = self._own_groups(stats, children)
            self._send_to_groups()
        is_first = len(self._met) == 1
        # Only once: if /proc hides processes (hidepid), a parent is always missing.
        found = not self._looked and self._lost_a_parent(stats)
        self._looked = True
        for pid, parent in _down(self._own[0], children):
            process = (pid, stats[pid].birth)
            if process not in self._met and pid not in self._pids and not stats[pid].is_dead():
                above = self._own if parent == self._own[0] else (parent, stats[parent].birth)
                found = self._meet(process, above, is_first=is_first) or found
                if self._is_last:
                    self._descend(process)
        return found

    def finish(self, stopping: "Sending") -> None:
        """Send to all that ``stopping`` has met, without another walk, and to new children.

        Parents first, as in a walk: to find the new parent of an orphan, the kernel goes through
        all of its ancestors, which takes seconds if there are many (find_new_reaper()).
        """
        self._end = monotonic() + DESCENDING_SECONDS
        self.groups = stopping.groups
        self._send_to_groups()
        self._chase()
        for process, parent in stopping.parents.items():
            if process[0] not in self._pids:
                self._meet(process, parent, is_first=True)
        self._chase()

    def _chase(self) -> None:
        """Send to pyinit's own children, until no new ones come."""
        end = monotonic() + CHASING_SECONDS
        calm = 0
        descriptor = proc.open_children()
        if descriptor is None:
            return
        try:
            while calm < CALM and monotonic() < end:
                new = proc.own_children(descriptor) - self._pids
                new.discard(self._besides)
                for pid in new:
                    self._send_to_own_child(pid)
                    self._descend((pid, None))
                calm = 0 if new else calm + 1
                if calm:
                    sleep(CALM_SECONDS)
        except OSError:  # it cannot be read at the moment: a walk finds them
            pass
        finally:
            os.close(descriptor)

    def _descend(self, process: "tuple[int, int | None]") -> None:
        """Send to all descendants of a process that has got the signal and does not fork now.

        Args:
            process: its pid and birth; no birth for pyinit's own child, whose pid is safe.
        """
        waiting = [process]
        while waiting and monotonic() < self._end:
            pid, birth = waiting.pop()
            below = proc.children(pid)
            above = proc.stat(pid) if below else None
            if above is None or above.birth != (birth or above.birth):
                continue
            for child in below:
                stat = proc.stat(child)
                if stat is None or stat.is_dead() or child in self._pids:
                    continue
                if (child, stat.birth) not in self._met:
                    self._meet((child, stat.birth), (pid, above.birth), is_first=True)
                    waiting.append((child, stat.birth))

    def _send_to_own_child(self, pid: int) -> None:
        try:
            for signum in self._signums:
                processes.send_to(pid, None, signum)
            self.reached += 1
        except PermissionError:  # also raised for a zombie, which does not count
            stat = proc.stat(pid)
            self.refused += stat is None or not stat.is_dead()
        self._pids.add(pid)

    def _lost_a_parent(self, stats: "dict[int, Stat]") -> bool:
        """Tell whether a parent may have exited during the read, which hides its descendants."""
        own = self._own[0]
        return any(
            stat.parent not in stats and stat.parent not in {0, own}
            for pid, stat in stats.items()
            if pid != own
        )

    def _own_groups(self, stats: "dict[int, Stat]", children: dict[int, list[int]]) -> set[int]:
        """Return the groups of rule 4."""
        if 1 not in stats:  # PID 1 is read last: some were not read
            return set()
        below = {pid for pid, _ in _down(self._own[0], children)}
        others = {stat.group for pid, stat in stats.items() if pid not in below}
        session = os.getsid(0)
        own_children = (stats[pid] for pid in children.get(self._own[0], ()))
        groups = {stat.group for stat in own_children if stat.session not in {0, session}}
        return groups - others - {0, 1}  # 0 is one of an outer PID namespace

    def _send_to_groups(self) -> None:
        for group in self.groups:
            for signum in self._signums:
                try:
                    processes.send_to_whole_group(group, signum)
                except OSError:  # a walk signals each one, or counts it as refused
                    pass
        # They are counted when a walk meets them, even as zombies, since pyinit reaps them.

    def _meet(self, process: "Known", parent: "Known", *, is_first: bool) -> bool:
        """Send to a process; return whether another walk may find more."""
        if process[0] == self._besides:
            self._met[process] = self._met[self._own]
            return True
        late = not is_first and not _is_older(process, self._met.get(parent, (0, 0)))
        if late and not self._is_last:
            self._met[process] = (0, 0)  # so all of its descendants are late, too
            return False
        self._met[process] = _now()
        self.parents[process] = parent
        try:
            if self._send(process, parent):
                self.reached += 1
            else:  # another walk may find it under another parent
                del self._met[process]
        except PermissionError:
            self.refused += 1
        except OSError:  # gone
            pass
        return True

    def _send(self, process: "Known", parent: "Known") -> bool:
        """Return False if the process has another parent than before."""
        pid = process[0]
        descriptor = _open(pid)
        try:
            if parent != self._own and not self._is_below(process, parent):
                return False
            for signum in self._signums:
                processes.send_to(pid, descriptor, signum)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        return True

    def _is_below(self, process: "Known", parent: "Known") -> bool:
        now = proc.stat(process[0])
        if now is None or now.birth != process[1]:
            return False
        if now.parent == self._own[0]:  # it has just become an orphan
            return True
        above = proc.stat(parent[0])
        return now.parent == parent[0] and above is not None and above.birth == parent[1]


def _unreadable() -> OSError:
    if proc.is_ours():
        return OSError(EAGAIN, "/proc cannot be read at the moment")
    msg = "/proc does not show the processes of this PID namespace: mount it again in this one"
    return OSError(ENOENT, msg)


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except Exception:  # noqa: BLE001 - not in this kernel, forbidden, or out of descriptors: rule 3
        return None


def _now() -> "Moment":
    last_pid = proc.last_pid()
    return int(clock_gettime(CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")), last_pid


def _is_older(process: "Known", moment: "Moment") -> bool:
    """Tell whether a process was forked before a moment; within one tick, pids tell."""
    pid, birth = process
    tick, last_pid = moment
    return birth < tick or (birth == tick and pid <= last_pid)


def _children_by_parent(stats: "dict[int, Stat]") -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    return children


def _down(pid: int, children: dict[int, list[int]]) -> "Iterator[tuple[int, int]]":
    """Yield each descendant of ``pid`` once, with the pid of its parent, parents first."""
    left = dict(children)
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for child in left.pop(parent, ()):
            waiting.append(child)
            yield child, parent
