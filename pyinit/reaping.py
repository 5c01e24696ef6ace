"""Take the dead from the kernel, one by one and each with its name still readable."""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage

NOBODY = (0, 0)  # of waitpid(2): nobody could be had
MORE = (0, -1)  # instead of somebody dead: there may be more
LOOKING = posix.WEXITED | posix.WNOHANG | posix.WNOWAIT
CORE_DUMPED = 0x80  # the bit of a status that says so (wait(2), WCOREDUMP)

_taken: dict[int, int] = {}  # who was reaped where looking is refused, until `take` asks for it


class CannotReapError(Exception):
    """A zombie is there and cannot be had; the text says why."""


def next_dead() -> tuple[int, int] | None:
    """Return pid and status of a child or orphan that is a zombie, and leave it one.

    None if none is. ``waitpid(-1)`` would take it at once, and its name with it. And a status that
    is known before the zombie is taken cannot be lost by an error in taking it.

    Raises:
        ChildProcessError: there are no children at all, living or dead.
        OSError: the kernel refuses to tell, as a seccomp filter may have it.
    """
    return _told(posix.waitid(posix.P_ALL, 0, LOOKING))


def _told(dead: "posix.waitid_result | None") -> tuple[int, int] | None:
    if dead is None:
        return None
    if dead.si_code == posix.CLD_EXITED:
        return dead.si_pid, dead.si_status << 8
    return dead.si_pid, dead.si_status | (CORE_DUMPED if dead.si_code == posix.CLD_DUMPED else 0)


def next_but_orphans(child: int, most: int) -> tuple[int, int] | None:
    """Return what :func:`next_dead` does, but reap orphans instead, whom nobody wants to know of.

    In a storm of orphans nearly all that PID 1 does is here, so the loop is as short as can be.

    Args:
        child: the pid of the child, which is left a zombie.
        most: how many to reap; MORE is returned when so many were.

    Returns:
        None also where a zombie cannot be had, or this would turn in circles.

    Raises:
        ChildProcessError: as for :func:`next_dead`.
        CannotReapError: one could not be reaped.
        OSError: as for :func:`next_dead`.
    """
    waitid, waitpid = posix.waitid, posix.waitpid  # looked up once
    everyone, looking, at_once = posix.P_ALL, LOOKING, posix.WNOHANG
    for _ in range(most):
        dead = waitid(everyone, 0, looking)
        if dead is None or dead.si_pid == child:
            return _told(dead)
        try:
            if waitpid(dead.si_pid, at_once) == NOBODY:
                return None
        except ChildProcessError as error:  # of this one; it does not say that nobody is left
            raise CannotReapError(str(error)) from error
    return MORE


def next_unseen() -> tuple[int, int] | None:
    """Return what :func:`next_dead` does where the kernel refuses that: reap first.

    Raises:
        ChildProcessError: as for :func:`next_dead`.
        OSError: this is refused as well.
    """
    dead = posix.waitpid(-1, posix.WNOHANG)
    if dead == NOBODY:
        return None
    pid, _taken[pid] = dead
    return dead


def take(pid: int) -> int | None:
    """Reap the zombie ``pid``, without waiting; return its status, None if it cannot be had.

    This status counts: before Linux 5.17 WNOWAIT tells the one of the thread that began the
    process, even where another thread ended it (wait_task_zombie() in kernel/exit.c).
    """
    if pid in _taken:
        return _taken.pop(pid)
    taken, status = posix.waitpid(pid, posix.WNOHANG)
    return status if taken else None


def take_with_usage(pid: int) -> "tuple[int | None, struct_rusage | None]":
    """Reap ``pid`` as :func:`take` does, and return what it used with those that it waited for.

    ``posix.wait4`` imports the module ``resource`` only after it has reaped, so ask for it first.
    """
    try:
        import resource  # noqa: F401
    except ImportError:
        return take(pid), None
    if pid in _taken:
        return take(pid), None
    taken, status, usage = posix.wait4(pid, posix.WNOHANG)
    return (status, usage) if taken else (None, None)
