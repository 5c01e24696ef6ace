"""The processes that the child left behind, for ``--leftovers``.

They are recorded right before they are asked to stop: after that, fewer are left to see. The kernel
does not say which process was the parent of an orphan. Only the process group and the session tell
where the orphan comes from.
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
    """The descendants of pyinit that run after the child has exited. False if there are none.

    A process that ``docker exec`` started is not one of them: its parent is outside.

    Attributes:
        count: how many there are; None if there are some, but /proc does not show them.
    """

    __slots__ = ("_found", "count")

    def __init__(self, child: int, command: str) -> None:
        """Record them.

        Args:
            child: the pid that the child had; its process group still has this number.
            command: the command of the child.
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
        """Return the keys of each for the event: the lowest pids, at most MOST_TOLD.

        Args:
            killed: the pids that got SIGKILL.
        """
        return [{**keys, "killed": keys["pid"] in killed} for keys in self._found]


def note(supervisor: "Supervisor") -> None:
    """Record which there are, for the event at the end."""
    supervisor.leftovers = Leftovers(supervisor.child.pid, supervisor.settings.command[0])


def tell(supervisor: "Supervisor") -> None:
    """Log them, if there are any."""
    survivors = supervisor.survivors
    if survivors is None:  # without a drain they are still there
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
    except OSError:  # refused, so it is unknown
        pass
    return False


def _command(pid: int) -> str:
    """Return the first word of a command line; empty if reading it may hang.

    It is in the memory of the process, which may be mapped from a file of FUSE.
    """
    try:
        if fuse_mappings(pid):
            return ""
    except UnreadableError:
        return ""
    return proc.command(pid)[0].decode("utf-8", "backslashreplace")


def _keys(pid: int, alive: "dict[int, Stat]", names: dict[int, str]) -> "Keys":
    """Return the keys of a process.

    Args:
        pid: its pid.
        alive: all processes that still run.
        names: the names of processes that have exited.
    """
    stat = alive[pid]
    age = clock_gettime(CLOCK_BOOTTIME) - stat.birth / CLOCK_TICKS
    is_orphan = stat.parent not in alive
    # The kernel gives the number of a group or a session to no process while it has members.
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
