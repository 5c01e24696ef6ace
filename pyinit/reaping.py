"""Take the dead from the kernel, one by one and each with its name still readable."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage


def next_dead() -> int:
    """Return the pid of a child or orphan that is a zombie, and leave it one; 0 if none is.

    ``waitpid(-1)`` would take it at once, and its name with it.
    """
    try:
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are no children at all
        return 0
    return 0 if dead is None else dead.si_pid


def take(pid: int) -> int | None:
    """Reap ``pid`` and return its status; None if it cannot be had, without waiting for it."""
    taken, status = os.waitpid(pid, os.WNOHANG)
    return status if taken else None


def take_with_usage(pid: int) -> "tuple[int | None, struct_rusage | None]":
    """Reap ``pid`` as :func:`take` does and return what it and its children used as well.

    ``os.wait4`` imports the module ``resource`` only after it has reaped: were it missing, the
    status would be lost. So ask for it first and do without where it is.
    """
    try:
        import resource  # noqa: F401
    except ImportError:
        return take(pid), None
    taken, status, usage = os.wait4(pid, os.WNOHANG)
    return (status, usage) if taken else (None, None)
