"""Everyone pyinit answers for: as PID 1 all in the namespace, else its own descendants.

kill(-1) stands in this file alone, and behind a question for the own pid each time: off PID 1 it
would reach every process of the user, or of the machine (kill(2)).
"""

import posix
from time import monotonic  # a builtin module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyinit.procfs import Stat

ALL = -1


def get_ready() -> None:
    """Load what a later :func:`send` needs, while it is sure to be there."""
    if posix.getpid() != 1:
        from pyinit import descendants  # noqa: F401


def send(signums: tuple[int, ...], child: int | None) -> None:
    """Send signals, in their order, to everyone.

    Args:
        signums: the signals.
        child: the child's pid while it is not reaped; it gets them whatever becomes of the others.

    Raises:
        OSError: ESRCH where there is nobody; EPERM where the child, or off PID 1 anybody, may not
            be signalled: kill(-1) as PID 1 does not tell of others; off PID 1 ENOENT where /proc
            does not tell who the others are, EAGAIN where it cannot be read just now.
    """
    if posix.getpid() == 1:
        for signum in signums:
            posix.kill(ALL, signum)
        if child is not None:
            posix.kill(child, 0)
        return
    refusal = None if child is None else _send_to_child(signums, child)
    from pyinit import descendants

    try:
        descendants.send(signums, besides=child)
    except ProcessLookupError:
        if child is None:
            raise
    if refusal is not None:
        raise refusal


def _send_to_child(signums: tuple[int, ...], child: int) -> OSError | None:
    try:
        for signum in signums:
            posix.kill(child, signum)
    except OSError as error:
        return error
    return None


def any_without_parent_here() -> bool:
    """Tell whether there is anybody but children: brought in by setns(2), as `docker exec` does.

    Such a process has its parent outside of the PID namespace, so waitpid does not know of it.
    """
    if posix.getpid() != 1:
        return False
    try:
        posix.kill(ALL, 0)
    except OSError:
        return False
    # kill(2) reaches zombies as well, which are their parents' business.
    try:
        return not _are_zombies()
    except BaseException:  # noqa: BLE001 - who cannot be looked at is there, until the deadline
        return True


def pids() -> list[int] | None:
    """Return the pids of everyone, zombies as well; None where /proc does not tell."""
    if posix.getpid() != 1:
        from pyinit import descendants

        found = descendants.stats()
        return None if found is None else list(found)
    from pyinit import procfs

    seen = procfs.pids()
    return None if seen is None else [pid for pid in seen if pid != 1]


def alive(seconds: float) -> "Iterator[tuple[int, Stat]]":
    """Yield everyone but zombies, as far as /proc tells within so many seconds; the newest first.

    Each comes with what the kernel tells of it.
    """
    end = monotonic() + seconds
    for pid, stat in _stats():
        if stat is not None and not stat.is_dead():
            yield pid, stat
        if monotonic() > end:
            return


def _stats() -> "Iterator[tuple[int, Stat | None]]":
    if posix.getpid() != 1:
        from pyinit import descendants

        yield from sorted((descendants.stats() or {}).items(), reverse=True)
        return
    from pyinit import procfs

    for pid in sorted(pids() or (), reverse=True):
        yield pid, procfs.stat(pid)


def _are_zombies() -> bool:
    from pyinit import procfs

    found = pids()
    if not found:  # hidden (hidepid), for somebody is there
        return False
    for pid in found:
        stat = procfs.stat(pid)
        if stat is None or not stat.is_dead():
            return False
    return True
