"""Who is in the container: each process from when it was first seen until it ended.

The kernel tells nobody without privileges of a birth, so the children of all that are known are
looked at every few milliseconds; a process that lives for less may go unseen. Of each end it tells
by a pidfd, and from Linux 6.15 on what the status was (PIDFD_GET_INFO with PIDFD_INFO_EXIT), also
where another process was the parent.
"""

import fcntl
import os
import resource
import struct
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from pyinit.later import proc
from pyinit.rehearse.errors import NotRehearsedError
from pyinit.rehearse.model import NONE, Process

GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, struct pidfd_info) of linux/pidfd.h, with 64 bytes
INFO_EXIT = 1 << 3
EXIT_CODE_AT = 60
INFO_SIZE = 64
MOST_OPEN = 400  # pidfds of those that have ended
SPARE = 32  # descriptors, to look at processes with
LONGEST_COMMAND = 200
# What makes both streams of the command one pipe, so that pyinit's events have the other.
SHIM = ("sh", "-c", 'exec "$@" 2>&1', "sh")
# What leads to that, and what ends in it, as they stand in /proc/PID/cmdline.
BEFORE_PROGRAM = (
    "unshare --pid --fork --kill-child --mount-proc ",
    "unshare --user --map-user=",
    " ".join(SHIM),
)
BETWEEN = {"sh", "unshare"}  # their names, when an exec has not set the command yet
ASLEEP = "SIT"  # states in which a process waits for something (proc(5))


SIGNAL_FIELDS = ("SigCgt", "SigIgn", "SigBlk")


class Signals(NamedTuple):
    """What a process does with signals, as bitmaps: bit N - 1 stands for signal N (proc(5))."""

    caught: int = 0
    ignored: int = 0
    blocked: int = 0

    def of(self, signum: int) -> str:
        """Return what it does with one: ``handles``, ``ignores``, ``blocks`` or nothing."""
        bit = 1 << (signum - 1)
        if self.blocked & bit:
            return "blocks"
        return "handles" if self.caught & bit else "ignores" if self.ignored & bit else ""


class Seen:
    """A process that was seen.

    Attributes:
        process: what the reports tell of it.
        outer: its pid where the rehearsal runs.
        birth: when it started, in clock ticks since boot: a pid may be another's later.
        pidfd: open until its status is known; -1 then.
        status: as waitpid(2) gives it; None as long as it is not known.
        state: a letter (proc(5)).
        group: its process group as the container sees it; 0 where unknown.
        signals: what it does with signals, as last looked at.
        before: the same as of the look before that one.
        is_program: whether it has become the program that it is to be.
    """

    __slots__ = (
        "before",
        "birth",
        "group",
        "is_program",
        "outer",
        "pidfd",
        "process",
        "signals",
        "state",
        "status",
    )

    def __init__(self, process: Process, outer: int, birth: int, pidfd: int) -> None:
        """Note a process."""
        self.process = process
        self.outer = outer
        self.birth = birth
        self.pidfd = pidfd
        self.status: int | None = None
        self.state = "R"
        self.group = 0
        self.signals = self.before = Signals()
        self.is_program = False

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.ended is None

    def look(self, parents: str | None) -> None:
        """Look at it again: it may have become another program meanwhile.

        Args:
            parents: the command of PID 1, which its child has, too, until it is the program.
        """
        stat = proc.stat(self.outer)
        if stat is None or stat.birth != self.birth or stat.is_dead():
            return
        self.state = stat.state.decode("ascii", "replace")
        process = self.process
        if stat.name != process.name or not process.command or not self.is_program:
            process.name, process.command = stat.name, _command(self.outer)
            is_between = not process.command and stat.name in BETWEEN
            self.is_program = not (
                is_between
                or process.command == parents
                or process.command.startswith(BEFORE_PROGRAM)
            )

    def look_closely(self) -> None:
        """Note its command, its process group, and what it does with signals."""
        self.process.command = _command(self.outer) or self.process.command
        try:
            with open(f"/proc/{self.outer}/status", encoding="ascii", errors="replace") as file:
                fields = dict(line.split(":", 1) for line in file)
            self.group = int(fields["NSpgid"].split()[-1])
            self.before = self.signals
            self.signals = Signals(*(int(fields[name], 16) for name in SIGNAL_FIELDS))
        except (OSError, KeyError, ValueError):  # it has gone
            pass


def child_of(init: str, everybody: Sequence[Seen]) -> Seen | None:
    """Return the process that the command became; None if it was not seen (yet).

    Args:
        init: the name of the init; with NONE the command is PID 1 itself.
        everybody: all processes in the order in which they were seen, PID 1 first.
    """
    if init == NONE:
        return everybody[0] if everybody else None
    return next((seen for seen in everybody if seen.process.parent == 1), None)


class Census:
    """All of a PID namespace, found from what made it.

    Attributes:
        seen: everybody, in the order in which they were seen.
        living: those that have not ended, by their pid outside.
    """

    def __init__(self, above: int) -> None:
        """Prepare to look below a process that will be the parent of PID 1, or its grandparent."""
        self.seen: list[Seen] = []
        self.living: dict[int, Seen] = {}
        self._ended: dict[int, int] = {}  # births of those whose end was noted, by their pid
        self._above = above
        self._depth = len(_namespace_pids(os.getpid()))

    def cpu(self, *, is_init_apart: bool) -> int | None:
        """Return how long all have run, in nanoseconds; None where one of them is not asleep.

        Args:
            is_init_apart: whether PID 1 does not count.
        """
        apart = self.init if is_init_apart else None
        living = [seen for seen in self.living.values() if seen is not apart]
        if not living or any(seen.state not in ASLEEP for seen in living):
            return None
        return sum(_cpu(seen.outer) for seen in living)

    @property
    def init(self) -> Seen | None:
        """PID 1; None as long as it is not there."""
        return self.seen[0] if self.seen else None

    def look(self) -> list[Seen]:
        """Look at everybody; return those that are new and have a pidfd to wait for.

        Raises:
            NotRehearsedError: there are more than this may have pidfds.
        """
        new = []
        if not self.seen:
            first = self._find_init()
            if first is None:
                return []
            new.append(first)
        pending = [self.seen[0].outer]
        while pending:
            for child in _children(pending.pop()):
                pending.append(child)
                if child not in self.living and (seen := self._note(child)):
                    new.append(seen)
        for seen in self.living.values():
            seen.look(None if seen is self.init else self.seen[0].process.command)
        return new

    def note_end(self, seen: Seen) -> None:
        """Note that a process has ended, as its pidfd tells."""
        seen.process.ended = monotonic()
        self._ended[seen.outer] = seen.birth
        self.living.pop(seen.outer, None)

    def note_statuses(self) -> None:
        """Ask for the status of those that have ended, which is there once they are reaped."""
        waiting = [seen for seen in self.seen if seen.pidfd >= 0 and not seen.is_alive]
        for number, seen in enumerate(waiting):
            seen.status = _exit_status(seen.pidfd)
            if seen.status is not None or len(waiting) - number > MOST_OPEN:
                os.close(seen.pidfd)
                seen.pidfd = -1

    def close(self) -> None:
        """Close what is open."""
        for seen in self.seen:
            if seen.pidfd >= 0:
                os.close(seen.pidfd)
                seen.pidfd = -1

    def _find_init(self) -> Seen | None:
        pending = [self._above]
        while pending:
            for child in _children(pending.pop()):
                pids = _namespace_pids(child)
                if len(pids) == self._depth + 1 and pids[-1] == 1:
                    return self._note(child)
                pending.append(child)
        return None

    def _note(self, outer: int) -> Seen | None:
        stat = proc.stat(outer)
        pids = _namespace_pids(outer)
        if stat is None or len(pids) <= self._depth:  # it has gone
            return None
        if self._ended.get(outer) == stat.birth:  # nobody has reaped it yet
            return None
        try:
            pidfd = os.pidfd_open(outer)
        except OSError:
            return None
        if pidfd > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE:
            os.close(pidfd)
            msg = "it has more processes than can be watched: raise the limit of open files"
            raise NotRehearsedError(msg)
        parent = self.living.get(stat.parent)
        process = Process(
            pid=pids[self._depth],
            name=stat.name,
            command="",
            parent=parent.process.pid if parent is not None else 0,
            began=monotonic(),
        )
        seen = Seen(process, outer, stat.birth, pidfd)
        self.seen.append(seen)
        self.living[outer] = seen
        return seen


def _command(pid: int) -> str:
    words = [word.decode(errors="replace") for word in proc.command(pid)]
    return " ".join(words).strip()[:LONGEST_COMMAND]


def _cpu(pid: int) -> int:
    """Return how long a process has run, in nanoseconds (sched-stats in the kernel's documents)."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[0])
    except (OSError, IndexError, ValueError):  # it has gone, or the kernel does not count
        return 0


def _children(pid: int) -> list[int]:
    """Return the pids of the children of all threads of a process, zombies too (proc(5))."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:  # it has just gone
        pass
    return found


def _namespace_pids(pid: int) -> list[int]:
    """Return the pids of a process in each PID namespace that it is in, from here inwards."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            found = next((line for line in file if line.startswith(b"NSpid:")), b"")
    except OSError:  # it has just gone
        return []
    return [int(word) for word in found.split()[1:]]


def _exit_status(pidfd: int) -> int | None:
    """Return the status of a process that was reaped; None where the kernel does not tell."""
    room = bytearray(INFO_SIZE)
    struct.pack_into("Q", room, 0, INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, GET_INFO, room)
    except OSError:  # before Linux 6.13
        return None
    if not struct.unpack_from("Q", room)[0] & INFO_EXIT:
        return None
    status: int = struct.unpack_from("i", room, EXIT_CODE_AT)[0]
    return status
