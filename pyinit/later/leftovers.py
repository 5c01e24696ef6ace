"""The processes that the child left behind, for a run that is to fail then (``--leftovers``).

They are noted right before they are asked to go, since afterwards there is less to see. An orphan's
parent has gone, and the kernel does not tell who it was: what is left of that are the process group
and the session that it began in.
"""

import os
from time import CLOCK_BOOTTIME, clock_gettime

from pyinit import processes
from pyinit.later import descendants, proc
from pyinit.later.memory import UnreadableError, fuse_mappings
from pyinit.settings import WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from pyinit.later.proc import Stat
    from pyinit.supervisor import Supervisor

    Keys = dict[str, object]

MOST_TOLD = 32
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Leftovers:
    """The processes below pyinit that live, once the child is dead. False where there are none.

    One that ``docker exec`` brought in is not among them: its parent is outside.

    Attributes:
        count: how many there are; None where there are some and /proc does not tell.
    """

    __slots__ = ("_found", "count")

    def __init__(self, child: int, command: str) -> None:
        """Note them.

        Args:
            child: the pid that the child had, which its process group has still.
            command: what it was called.
        """
        stats = descendants.stats()
        alive = {pid: stat for pid, stat in (stats or {}).items() if not stat.is_dead()}
        names = {child: os.path.basename(command)}
        self._found = [_keys(pid, alive, names) for pid in sorted(alive)[:MOST_TOLD]]
        self.count = len(alive) if stats is not None or _is_childless() else None

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self.count != 0

    def keys(self, killed: "Collection[int]") -> "list[Keys]":
        """Return what an event tells of each, MOST_TOLD at most: the oldest pids.

        Args:
            killed: those that got SIGKILL.
        """
        return [{**keys, "killed": keys["pid"] in killed} for keys in self._found]


def note(supervisor: "Supervisor") -> None:
    """Note which there are, for what is told at the end."""
    supervisor.leftovers = Leftovers(supervisor.child.pid, supervisor.settings.command[0])


def tell(supervisor: "Supervisor") -> None:
    """Tell of them, if there are any."""
    survivors = supervisor.survivors
    if survivors is None:  # without a drain: they are there still
        note(supervisor)
    if supervisor.leftovers:
        killed = survivors.killed if survivors is not None else frozenset()
        facts = (supervisor.settings.leftovers, supervisor.leftovers, killed)
        supervisor.report.tell(WARNING, "leftovers", *facts)


def _is_childless() -> bool:
    try:
        processes.next_dead()
    except ChildProcessError:
        return True
    except OSError:  # it is refused: then nobody can tell
        pass
    return False


def _command(pid: int) -> str:
    """Return the first word of a command line; empty where to read it may hang.

    It lies in the process's memory, which may be a file that nobody serves (FUSE).
    """
    try:
        if fuse_mappings(pid):
            return ""
    except UnreadableError:
        return ""
    return proc.command(pid)[0].decode("utf-8", "backslashreplace")


def _keys(pid: int, alive: "dict[int, Stat]", names: dict[int, str]) -> "Keys":
    """Return what is told of a process.

    Args:
        pid: its pid.
        alive: all that live.
        names: what those were called that do not live any more.
    """
    stat = alive[pid]
    age = clock_gettime(CLOCK_BOOTTIME) - stat.birth / CLOCK_TICKS
    is_orphan = stat.parent not in alive
    # No process gets the number of a group or a session as its pid while one is in there.
    leaders = {
        number: names.get(number) or proc.name(number) for number in (stat.group, stat.session)
    }
    return {
        "pid": pid,
        "name": proc.name(pid),
        "command": _command(pid),
        "seconds": round(max(0.0, age), 1),
        "parent": None if is_orphan else proc.name(stat.parent),
        "parent_pid": None if is_orphan else stat.parent,
        "group": stat.group,
        "group_leader": leaders[stat.group],
        "session": stat.session,
        "session_leader": leaders[stat.session],
    }
