"""Signal and reap: all code that could hit a wrong process is in this file.

1. ``kill(-1)`` is used only as PID 1, which is checked each time: from any other process it would
   reach every process of the user, or of the machine (kill(2)).
2. A pid is always that of the child, or of an orphan that is not reaped yet, so it cannot belong to
   another process; or it comes with a descriptor of the process (pidfd_open(2)).
3. A zombie that is logged is looked at first, and then reaped by its pid. The name of a zombie can
   be read only until it is reaped, and an error while reaping cannot lose a status that is known.
   For orphans that are not logged see :func:`reap_orphans`.
"""

import posix

from pyinit.signals import SIGCHLD, SIGCONT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage

    from pyinit.child import Child

ALL = -1
NONE, MORE, CHILD_OR_NOBODY = range(3)  # what was found of exited processes
BATCH = 64  # orphans; then signals are taken, even if there are more orphans
RETRY_SECONDS = 1.0  # until the next attempt to reap those that could not be reaped
NOBODY = (0, 0)  # of waitpid(2): there was nothing to reap
NO_SMALL_INTEGER = 1 << 20  # CPython has no integer of this size ready
LOOKING = posix.WEXITED | posix.WNOHANG | posix.WNOWAIT
STOPPED = posix.WSTOPPED | posix.WNOHANG | posix.WNOWAIT  # only while it is stopped
CORE_DUMPED = 0x80  # the bit of a status that says so (wait(2), WCOREDUMP)


def send(pid: int, signum: int) -> None:
    """Send a signal to the child.

    Raises:
        OSError: EPERM if pyinit may not signal it.
    """
    posix.kill(pid, signum)


def send_to_group(child: int, signum: int) -> None:
    """Send to the group that the child began with, and to the child in whatever group it is.

    Raises:
        OSError: EPERM if pyinit may not signal the child. kill(-PGID) does not say so: it succeeds
            if one process of the group may be signalled.
    """
    is_member = posix.getpgid(child) == child
    try:
        posix.kill(-child, signum)
    except OSError:  # the group is empty, or none of it may be signalled
        if is_member:
            raise
    posix.kill(child, 0 if is_member else signum)  # 0 asks: may it be signalled?


def send_to_all(child: int, signum: int) -> None:
    """Send to every process in the namespace; do nothing if pyinit is not PID 1.

    Args:
        child: the pid of the child; 0 if it has exited.
        signum: the signal.

    Raises:
        OSError: ESRCH if there is no process; EPERM if pyinit may not signal the child, which
            kill(-1) does not say.
    """
    if posix.getpid() == 1:
        posix.kill(ALL, signum)
        if child:
            posix.kill(child, 0)  # sends nothing, but fails with EPERM


def wake() -> None:
    """Wake the loop from another thread, because there is something to do.

    A SIGCHLD too many does no harm. It stays pending even for PID 1, because it is blocked.
    """
    posix.kill(posix.getpid(), SIGCHLD)


def send_to(pid: int, descriptor: int | None, signum: int) -> None:
    """Send to one process, through its pidfd if there is one.

    Args:
        pid: its pid, which was read a moment ago.
        descriptor: its pidfd; None before Linux 5.3, or if the kernel refuses one.
        signum: the signal.

    Raises:
        OSError: ESRCH if it is gone, EPERM if pyinit may not signal it.
    """
    if descriptor is not None:
        from _signal import pidfd_send_signal

        try:
            pidfd_send_signal(descriptor, signum)
        except ProcessLookupError:
            raise
        except OSError:  # there is no such call, or it is forbidden: kill(2) will say
            pass
        else:
            return
    posix.kill(pid, signum)


def send_to_whole_group(group: int, signum: int) -> None:
    """Send to a process group that is known to be ours; signal 0 only asks whether it is empty.

    Raises:
        OSError: ESRCH if it is empty; EPERM if pyinit may signal no process in it.
    """
    posix.kill(-group, signum)


def continue_group(group: int) -> None:
    """Continue a group that a terminal has stopped, if pyinit may signal it."""
    try:
        posix.kill(-group, SIGCONT)
    except OSError:
        pass


def is_anybody_here() -> bool:
    """Tell, for PID 1, whether there is another process in its namespace, even a zombie.

    waitpid(2) does not know all of them: a process that entered by setns(2), as with `docker exec`,
    has its parent outside the namespace.
    """
    if posix.getpid() != 1:
        return False
    try:
        posix.kill(ALL, 0)
    except OSError:
        return False
    return True


def next_dead() -> tuple[int, int] | None:
    """Return pid and status of a child or orphan that is a zombie, without reaping it.

    None if there is no zombie.

    Raises:
        ChildProcessError: there are no children at all, neither running nor zombies.
        OSError: the kernel refuses, for example because of a seccomp filter.
    """
    dead = posix.waitid(posix.P_ALL, 0, LOOKING)
    return None if dead is None else (dead.si_pid, _status(dead))


def _status(dead: "posix.waitid_result") -> int:
    if dead.si_code == posix.CLD_EXITED:
        return dead.si_status << 8
    return dead.si_status | (CORE_DUMPED if dead.si_code == posix.CLD_DUMPED else 0)


def reap_orphans(child: "Child", most: int) -> int:
    """Reap orphans that are not logged; and the child, if it exits meanwhile.

    In a storm of orphans PID 1 spends nearly all of its time here, so the loop is short: one system
    call for each orphan. The child is looked for only once, before the loop. If it exits later, its
    status comes from waitpid(2), and a lack of memory must not lose it. CPython needs two integers
    and a tuple for the result, so twice as many are made and freed before: CPython keeps their
    memory for the next objects of their kind (tests/test_reaping.py).

    Args:
        child: the child. If it is a zombie already, it stays one; if it is reaped here, its status
            is noted.
        most: how many to reap.

    Returns:
        NONE if there are no more zombies; MORE if there may be some; CHILD_OR_NOBODY if the child
        is a zombie or has just been reaped, or if there are no children at all.

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
    """Reap the zombie ``pid``, without waiting; return its status, None if there is none.

    This status counts: before Linux 5.17, WNOWAIT returns the status of the first thread, even if
    another thread has ended the process (wait_task_zombie() in kernel/exit.c).

    Raises:
        OSError: the kernel refuses.
    """
    taken, status = posix.waitpid(pid, posix.WNOHANG)
    return status if taken else None


def take_with_usage(pid: int) -> "tuple[int | None, struct_rusage | None]":
    """Reap ``pid`` as :func:`take` does, and return the resources that it and its children used.

    ``posix.wait4`` imports the module ``resource`` only after it has reaped, so import it before.
    """
    try:
        import resource  # noqa: F401
    except BaseException:  # noqa: BLE001 - it is missing, or there is no memory
        return take(pid), None
    taken, status, usage = posix.wait4(pid, posix.WNOHANG)
    return (status, usage) if taken else (None, None)


def take_any() -> tuple[int, int] | None:
    """Reap any zombie, if the kernel refuses :func:`next_dead`; None if there is no zombie.

    Raises:
        ChildProcessError: as for :func:`next_dead`.
        OSError: the kernel refuses this as well.
    """
    dead = posix.waitpid(ALL, posix.WNOHANG)
    return None if dead == NOBODY else dead


def is_gone(child: int) -> bool:
    """Tell whether the child, which waitpid(2) does not know, is gone, and not even a zombie."""
    try:
        posix.kill(child, 0)
    except ProcessLookupError:
        return True
    except OSError:  # EPERM: it is there
        pass
    return False


def stopped_by(child: int) -> int:
    """Return the signal that has stopped the child; 0 if it is not stopped, or is reaped."""
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
