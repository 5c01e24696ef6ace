"""The processes below pyinit, where it is not PID 1 and kill(-1) is out of the question.

They are found in /proc, where a pid that is read may be another process's by the time it is
signalled. So:

1. pyinit's own children cannot be confused: it alone reaps them, and their pids stay until then.
2. Any other process is opened (pidfd_open) and looked at afterwards: a signal through that
   descriptor reaches what was looked at or nobody. It is below pyinit if its parent is, and the
   parent's pid is not another's by now: a process is known by its pid and its birth.
3. Where there are no pidfds (before Linux 5.3, or forbidden) the look comes right before the kill.

kill(-1) reaches everyone at one moment; a walk takes time, in which processes fork, and parents end
between the look at their children and the look at themselves. So it is repeated until nobody new is
found. But who was forked by a process that had been asked already is passed over: that may be a
command which it cleans up with.

SIGKILL passes over nobody, and comes last: all are stopped first (SIGSTOP), again and again until
nobody new is found, so that none of them sees another one end, or forks. A process that forks and
exits without a pause is another one by the time a walk has found it. Two things reach it:

4. A signal to its process group reaches all in it at one moment, and what they fork in that moment
   (copy_process() in kernel/fork.c). That is for groups of other sessions than pyinit's own, in
   which nobody is but descendants. Such a number is no other group's while a child of pyinit's is
   in it, be it a zombie.
5. When its parent exits it becomes pyinit's own child. The list of these is one file, which is read
   faster than a process forks; by rule 1 there is nothing more to look at.

So each process that has got SIGSTOP or SIGKILL is asked for its children at once, by the same kind
of list: those that it has just forked have had no time yet.
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

WALKING_SECONDS = 0.3  # a tree that grows faster than it is walked ends no walk without a new one
STOPPING_SECONDS = 0.1  # the same for SIGSTOP; SIGKILL is for all of them all the same
DESCENDING_SECONDS = 0.5  # for those below them: one that grows a chain must not hold us for ever
CHASING_SECONDS = 0.05  # for those that become pyinit's own children meanwhile
CALM = 4  # looks in a row without a new child
CALM_SECONDS = 0.0005  # from one to the next: who was killed has to exit, and leaves its children


def send(signums: tuple[int, ...], child: int) -> None:
    """Send signals, in their order, to the child and all others below pyinit, parents first.

    Args:
        signums: the signals. SIGKILL alone is sent as the module has it, and then again by who
            calls this, after the dead were reaped: they slow down a walk.
        child: the child's pid while it lives, else 0; it gets them whatever becomes of the others.

    Raises:
        OSError: ENOENT where /proc does not tell who they are, EAGAIN where it cannot be read just
            now, ESRCH where there is nobody, EPERM where some may not be signalled.
    """
    if SIGKILL in signums:
        sending, refusal = _kill(child)
    else:
        refusal = _send_to_child(signums, child) if child else None
        sending = Sending(signums, besides=child)
        end = monotonic() + WALKING_SECONDS
        while sending.walk() and monotonic() < end:
            pass
    if refusal is not None:
        raise refusal
    if sending.refused:
        raise OSError(EPERM, os.strerror(EPERM))
    if not sending.reached and not child:
        raise OSError(ESRCH, os.strerror(ESRCH))


def _kill(child: int) -> "tuple[Sending, OSError | None]":
    """Stop all, then kill all; return what came of it, and of the child."""
    stopping, killing = Sending((SIGSTOP,), besides=0), Sending((SIGKILL,), besides=0)
    end = monotonic() + STOPPING_SECONDS
    try:
        while stopping.walk() and monotonic() < end:
            pass
    finally:  # although not all could be found
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
    """Return what the kernel tells of all below pyinit, zombies too, as `proc.stats` does."""
    found = proc.stats(seconds)
    if found is None:
        return None
    return {pid: found[pid] for pid, _ in _down(os.getpid(), _children_by_parent(found))}


def send_to(pid: int, birth: int, signums: tuple[int, ...]) -> bool:
    """Send signals, in their order, to one process that was found in /proc.

    Args:
        pid: its pid.
        birth: when it started, in clock ticks since boot; a process of another age gets nothing.
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
    """Signals on their way to all below pyinit, each process once.

    Attributes:
        reached: how many they were sent to.
        refused: how many may not be signalled.
        parents: those that were met in a walk, with their parents, parents first.
        groups: the process groups that a walk found to be of descendants alone.
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
        """Begin with nobody."""
        self._signums = signums
        self._is_last = bool({SIGSTOP, SIGKILL} & {*signums})  # they pass over nobody
        self._besides = besides
        self._looked = False
        self._own: Known = (os.getpid(), 0)
        # When each was asked. An adopted orphan's parent is unknown: the beginning stands for it.
        self._met: dict[Known, Moment] = {self._own: _now()}
        self.parents: dict[Known, Known] = {}
        self._pids: set[int] = set()  # of own children that were sent to without a look
        self._end = 0.0  # of the time to descend
        self.groups: set[int] = set()
        self.reached = 0
        self.refused = 0

    def walk(self) -> bool:
        """Send to all that were not met before; return whether there were any, or may be more.

        Raises:
            OSError: ENOENT where /proc does not tell, EAGAIN where it cannot be read just now.
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
        # Once: where others are hidden (hidepid) there is always somebody without a parent.
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
        """Send to all that another one has met, without another walk, and to what turns up.

        Parents first, as in a walk: to find a new parent for a child the kernel goes through all
        that are above it, which takes seconds where they are many (find_new_reaper()).
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
        except OSError:  # it cannot be read just now: a walk finds them
            pass
        finally:
            os.close(descriptor)

    def _descend(self, process: "tuple[int, int | None]") -> None:
        """Send to all below a process at once, which has got the signal and forks no more.

        Args:
            process: its pid and birth; no birth for pyinit's own child, which keeps its pid until
                it is reaped.
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
        except PermissionError:  # for a zombie as well, which is nobody to be told of
            stat = proc.stat(pid)
            self.refused += stat is None or not stat.is_dead()
        self._pids.add(pid)

    def _lost_a_parent(self, stats: "dict[int, Stat]") -> bool:
        """Tell whether a parent may have ended during the look, which hides all below it."""
        own = self._own[0]
        return any(
            stat.parent not in stats and stat.parent not in {0, own}
            for pid, stat in stats.items()
            if pid != own
        )

    def _own_groups(self, stats: "dict[int, Stat]", children: dict[int, list[int]]) -> set[int]:
        """Return the groups of rule 4."""
        if 1 not in stats:  # the oldest come last: not everybody was seen
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
                except OSError:  # not all may be signalled: each one will be, or be refused
                    pass
        # They are counted when they are met: as zombies, too, for it is pyinit that reaps them.

    def _meet(self, process: "Known", parent: "Known", *, is_first: bool) -> bool:
        """Send to a process; return whether that makes another walk worth while."""
        if process[0] == self._besides:
            self._met[process] = self._met[self._own]
            return True
        late = not is_first and not _is_older(process, self._met.get(parent, (0, 0)))
        if late and not self._is_last:
            self._met[process] = (0, 0)  # and all below it are late, too
            return False
        self._met[process] = _now()
        self.parents[process] = parent
        try:
            if self._send(process, parent):
                self.reached += 1
            else:  # it may turn up below another parent
                del self._met[process]
        except PermissionError:
            self.refused += 1
        except OSError:  # gone
            pass
        return True

    def _send(self, process: "Known", parent: "Known") -> bool:
        """Return False where the process is not where it was seen."""
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
        if now.parent == self._own[0]:  # an orphan of the last moments
            return True
        above = proc.stat(parent[0])
        return now.parent == parent[0] and above is not None and above.birth == parent[1]


def _unreadable() -> OSError:
    if proc.is_ours():
        return OSError(EAGAIN, "/proc cannot be read just now")
    msg = "/proc does not show the processes of this PID namespace: mount one that does"
    return OSError(ENOENT, msg)


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except Exception:  # noqa: BLE001 - no such call, or forbidden, or out of descriptors: see rule 3
        return None


def _now() -> "Moment":
    last_pid = proc.last_pid()
    return int(clock_gettime(CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")), last_pid


def _is_older(process: "Known", moment: "Moment") -> bool:
    """Tell whether a process was forked before a moment; a tick is long, pids tell within one."""
    pid, birth = process
    tick, last_pid = moment
    return birth < tick or (birth == tick and pid <= last_pid)


def _children_by_parent(stats: "dict[int, Stat]") -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    return children


def _down(pid: int, children: dict[int, list[int]]) -> "Iterator[tuple[int, int]]":
    """Yield everyone below ``pid`` and its parent's pid, parents first, each once."""
    left = dict(children)
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for child in left.pop(parent, ()):
            waiting.append(child)
            yield child, parent
