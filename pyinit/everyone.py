"""Everyone pyinit answers for: as PID 1 all in the namespace, else its own descendants.

kill(-1) stands in this file alone, and behind a question for the own pid each time: off PID 1 it
would reach every process of the user, or of the machine (kill(2)).
"""

import os


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = -1


def send(signums: "Iterable[int]") -> None:
    """Send signals, in their order, to everyone; who may not be signalled is passed over.

    Raises:
        OSError: ESRCH where there is nobody; EPERM where, off PID 1, nobody may be signalled.
    """
    if os.getpid() != 1:
        from pyinit import descendants

        descendants.send(signums)
        return
    for signum in signums:
        os.kill(ALL, signum)


def any_without_parent_here() -> bool:
    """Tell whether there is anybody but children: brought in by setns(2), as `docker exec` does.

    Such a process has its parent outside of the PID namespace, so waitpid does not know of it.
    """
    if os.getpid() != 1:
        return False
    try:
        os.kill(ALL, 0)
    except OSError:
        return False
    return alive() != []  # kill(2) reaches zombies too, which are their parents' business


def alive() -> list[int] | None:
    """Return the pids of everyone but zombies, as of now; None where /proc does not tell."""
    if os.getpid() == 1:
        from pyinit import procfs

        found = procfs.pids()
    else:
        from pyinit import descendants, procfs

        found = descendants.pids()
    if found is None:
        return None
    stats = [(pid, procfs.stat(pid)) for pid in found if pid != 1]
    return [pid for pid, stat in stats if stat is not None and not stat.is_dead()]
