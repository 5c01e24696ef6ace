"""Signal and reap: no other file does either, so what could hit a stranger is all in here.

1. ``kill(-1)`` only as PID 1, which is asked each time: from any other process it would reach every
   process of the user, or of the machine (kill(2)).
2. A pid is only ever the child's or an orphan's that is not reaped yet, so it is nobody else's; or
   it comes with a descriptor of the process that was looked at (pidfd_open(2)).
3. A zombie that somebody asks about is looked at first, and reaped afterwards by its pid: while it
   is one its name can be read, and a status that is known before it is taken cannot be lost by an
   error in taking it. For orphans of whom nobody asks see :func:`reap_orphans`.
"""

import posix

from pyinit.signals import SIGCHLD, SIGCONT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage

    from pyinit.child import Child

ALL = -1
NONE, MORE, CHILD_OR_NOBODY = range(3)  # of those that are dead
BATCH = 64  # orphans, and then signals are looked for although more are dead
RETRY_SECONDS = 1.0  # until those are looked for again that could not be had
NOBODY = (0, 0)  # of waitpid(2): nobody could be had
NO_SMALL_INTEGER = 1 << 20  # of which CPython has none ready
LOOKING = posix.WEXITED | posix.WNOHANG | posix.WNOWAIT
STOPPED = posix.WSTOPPED | posix.WNOHANG | posix.WNOWAIT  # as long as it is
CORE_DUMPED = 0x80  # the bit of a status that says so (wait(2), WCOREDUMP)


def send(pid: int, signum: int) -> None:
    """Send a signal to the child.

    Raises:
        OSError: EPERM where it may not be signalled.
    """
    posix.kill(pid, signum)


def send_to_group(child: int, signum: int) -> None:
    """Send to the group that the child began with, and to the child wherever it is.

    Raises:
        OSError: EPERM where the child may not be signalled: kill(-PGID) succeeds where one of a
            group may be, and does not tell of it.
    """
    is_member = posix.getpgid(child) == child
    try:
        posix.kill(-child, signum)
    except OSError:  # it went, and nobody is left there; or nobody there may be signalled
        if is_member:
            raise
    posix.kill(child, 0 if is_member else signum)  # 0 asks: of a group one is enough for success


def send_to_all(child: int, signum: int) -> None:
    """Send to everybody in the namespace; nothing where pyinit is not its PID 1.

    Args:
        child: the child's pid; 0 once it is dead.
        signum: the signal.

    Raises:
        OSError: ESRCH where there is nobody; EPERM where the child may not be signalled: kill(-1)
            does not tell of it.
    """
    if posix.getpid() == 1:
        posix.kill(ALL, signum)
        if child:
            posix.kill(child, 0)  # asks, and sends nothing


def wake() -> None:
    """Have the loop look what there is to do; for another thread, which has found something.

    A SIGCHLD is no news to anybody, and is kept: it is blocked, for PID 1 as well (signal(7)).
    """
    posix.kill(posix.getpid(), SIGCHLD)


def send_to(pid: int, descriptor: int | None, signum: int) -> None:
    """Send to one process, through a descriptor of it if there is one.

    Args:
        pid: its pid, which was looked at a moment ago.
        descriptor: its pidfd; None before Linux 5.3, or where one is refused.
        signum: the signal.

    Raises:
        OSError: ESRCH where it is gone, EPERM.
    """
    if descriptor is not None:
        from _signal import pidfd_send_signal

        try:
            pidfd_send_signal(descriptor, signum)
        except ProcessLookupError:
            raise
        except OSError:  # no such call, or forbidden: then kill(2) says which
            pass
        else:
            return
    posix.kill(pid, signum)


def send_to_whole_group(group: int, signum: int) -> None:
    """Send to a process group that is known to be ours; signal 0 asks whether anybody is in it.

    Raises:
        OSError: ESRCH where nobody is; EPERM where nobody there may be signalled.
    """
    posix.kill(-group, signum)


def continue_group(group: int) -> None:
    """Continue a group that a terminal stopped; that it may not be signalled is nothing to us."""
    try:
        posix.kill(-group, SIGCONT)
    except OSError:
        pass


def is_anybody_here() -> bool:
    """Tell, for PID 1, whether there is another process in its namespace, be it a zombie.

    One that was brought in by setns(2), as `docker exec` does, has its parent outside of the
    namespace, so waitpid(2) does not know of it.
    """
    if posix.getpid() != 1:
        return False
    try:
        posix.kill(ALL, 0)
    except OSError:
        return False
    return True


def next_dead() -> tuple[int, int] | None:
    """Return pid and status of a child or orphan that is a zombie, and leave it one.

    None if none is.

    Raises:
        ChildProcessError: there are no children at all, living or dead.
        OSError: the kernel refuses to tell, as a seccomp filter may have it.
    """
    dead = posix.waitid(posix.P_ALL, 0, LOOKING)
    return None if dead is None else (dead.si_pid, _status(dead))


def _status(dead: "posix.waitid_result") -> int:
    if dead.si_code == posix.CLD_EXITED:
        return dead.si_status << 8
    return dead.si_status | (CORE_DUMPED if dead.si_code == posix.CLD_DUMPED else 0)


def reap_orphans(child: "Child", most: int) -> int:
    """Reap orphans that nobody asks about; and the child, should it die meanwhile.

    In a storm of orphans nearly all that PID 1 does is here, so the loop is as short as can be: one
    system call an orphan. The child is looked for but once, before. Where it dies later its status
    comes out of waitpid(2), and must not be lost for want of memory: CPython puts pid and status
    into two integers and a tuple, so twice as many are made and given back before. It keeps the
    room for the next of their kind (tests/test_reaping.py).

    Args:
        child: the child, which is left a zombie if it is one already; its status is noted where it
            is reaped.
        most: how many to reap.

    Returns:
        NONE where nobody is dead any more; MORE where somebody may be; CHILD_OR_NOBODY where the
        child was found dead or has just been reaped, or where there are no children at all.

    Raises:
        OSError: as for :func:`next_dead`.
    """
    waitpid, everyone, at_once = posix.waitpid, ALL, posix.WNOHANG  # looked up once
    pid = child.pid if child.status is None else 0
    try:
        if pid and posix.waitid(posix.P_PID, pid, LOOKING) is not None:
            return CHILD_OR_NOBODY
        big = pid + NO_SMALL_INTEGER
        room = (big + 1, big + 2), (big + 3, big + 4)
        del room
        for _ in range(most):
            dead, status = waitpid(everyone, at_once)
            if dead == 0:
                return NONE
            if dead == pid:
                child.status = status
                return CHILD_OR_NOBODY
    except ChildProcessError:
        return CHILD_OR_NOBODY
    return MORE


def take(pid: int) -> int | None:
    """Reap the zombie ``pid``, without waiting; return its status, None if it cannot be had.

    This status counts: before Linux 5.17 WNOWAIT tells the one of the thread that began the
    process, even where another thread ended it (wait_task_zombie() in kernel/exit.c).

    Raises:
        OSError: it cannot be had either.
    """
    taken, status = posix.waitpid(pid, posix.WNOHANG)
    return status if taken else None


def take_with_usage(pid: int) -> "tuple[int | None, struct_rusage | None]":
    """Reap ``pid`` as :func:`take` does, and return what it used with those that it waited for.

    ``posix.wait4`` imports the module ``resource`` only after it has reaped, so ask for it first.
    """
    try:
        import resource  # noqa: F401
    except BaseException:  # noqa: BLE001 - it is missing, or there is no memory for it
        return take(pid), None
    taken, status, usage = posix.wait4(pid, posix.WNOHANG)
    return (status, usage) if taken else (None, None)


def take_any() -> tuple[int, int] | None:
    """Reap whoever is dead, unseen: where the kernel refuses :func:`next_dead`. None if none is.

    Raises:
        ChildProcessError: as for :func:`next_dead`.
        OSError: this is refused as well.
    """
    dead = posix.waitpid(ALL, posix.WNOHANG)
    return None if dead == NOBODY else dead


def is_gone(child: int) -> bool:
    """Tell whether the child, of which the kernel knows nothing, is not even a zombie any more."""
    try:
        posix.kill(child, 0)
    except ProcessLookupError:
        return True
    except OSError:  # EPERM: it is there
        pass
    return False


def stopped_by(child: int) -> int:
    """Return the signal that has stopped the child; 0 where it is not stopped, or reaped."""
    try:
        found = posix.waitid(posix.P_PID, child, STOPPED)
    except ChildProcessError:
        return 0
    return 0 if found is None else found.si_status


def is_group_of_ours(group: int) -> bool:
    """Tell whether there is a child or an adopted orphan in a process group."""
    try:
        posix.waitid(posix.P_PGID, group, LOOKING)
    except ChildProcessError:
        return False
    return True
