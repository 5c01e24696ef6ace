"""The processes of the container, each from when it was first seen until it ended.

The kernel does not report new processes to a program without privileges. So the children of all
known processes are read every few milliseconds, and a process that lives for less may go unseen.
The end of a process is reported through its pidfd. From Linux 6.15 on the pidfd also has the exit
status (PIDFD_GET_INFO with PIDFD_INFO_EXIT), even if another process is the parent.
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
MOST_OPEN = 400  # pidfds of processes that have ended
SPARE = 32  # descriptors for reading /proc
LONGEST_COMMAND = 200
# Sends stdout and stderr of the command to one pipe, so that pyinit's events have the other one.
SHIM = ("sh", "-c", 'exec "$@" 2>&1', "sh")
# How /proc/PID/cmdline begins for SHIM, which execs the command, and for what execs SHIM.
BEFORE_PROGRAM = (
    "unshare --pid --fork --kill-child --mount-proc ",
    "unshare --user --map-user=",
    " ".join(SHIM),
)
BETWEEN = {"sh", "unshare"}  # names of these during an exec, when the command line is still empty
ASLEEP = "SIT"  # states in which a process waits for something (proc(5))


SIGNAL_FIELDS = ("SigCgt", "SigIgn", "SigBlk")


class Signals(NamedTuple):
    """What a process does with signals, as bitmaps: bit N - 1 stands for signal N (proc(5))."""

    caught: int = 0
    ignored: int = 0
    blocked: int = 0

    def of(self, signum: int) -> str:
        """Return what it does with a signal: ``handles``, ``ignores``, ``blocks`` or ``""``."""
        bit = 1 << (signum - 1)
        if self.ignored & bit:  # even if it is blocked, as in a shell that forks just now
            return "ignores"
        return "blocks" if self.blocked & bit else "handles" if self.caught & bit else ""


class Seen:
    """A process that was seen.

    Attributes:
        process: what the reports say about it.
        outer: its pid in the PID namespace of the rehearsal.
        birth: when it started, in clock ticks since boot: its pid may be given out again later.
        pidfd: open until its status is known; then -1.
        status: as waitpid(2) returns it; None while it is not known.
        state: a letter (proc(5)).
        group: its process group in the PID namespace of the container; 0 if unknown.
        signals: what it does with signals, when it was last looked at closely.
        before: the same, one look earlier.
        is_program: whether it has run the command by exec, and is no longer a helper of ours.
        is_outlived: whether PID 1 was not yet exiting when this process had ended.
    """

    __slots__ = (
        "before",
        "birth",
        "group",
        "is_outlived",
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
        self.is_outlived = True

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.ended is None

    def look(self, parents: str | None) -> None:
        """Look at it again: it may have become another program by exec.

        Args:
            parents: the command line of PID 1, which a fork of PID 1 has as well until its exec.
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
        except (OSError, KeyError, ValueError):  # it is gone
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
    """All processes of a PID namespace, found from the process that created it.

    Attributes:
        seen: all processes that were seen, in that order.
        living: those that have not ended, by their pid outside.
    """

    def __init__(self, above: int) -> None:
        """Prepare to look below a process that will be the parent of PID 1, or its grandparent."""
        self.seen: list[Seen] = []
        self.living: dict[int, Seen] = {}
        self._ended: dict[int, int] = {}  # pid and birth of ended processes
        self._above = above
        self._depth = len(_namespace_pids(os.getpid()))

    def cpu(self, *, is_init_apart: bool) -> int | None:
        """Return the CPU time of all in nanoseconds; None if one of them is not asleep.

        Args:
            is_init_apart: whether to leave out PID 1.
        """
        apart = self.init if is_init_apart else None
        living = [seen for seen in self.living.values() if seen is not apart]
        if not living or any(seen.state not in ASLEEP for seen in living):
            return None
        return sum(_cpu(seen.outer) for seen in living)

    @property
    def init(self) -> Seen | None:
        """PID 1; None before it exists."""
        return self.seen[0] if self.seen else None

    def look(self) -> list[Seen]:
        """Look at all processes; return the new ones, each with a pidfd to wait for.

        Raises:
            NotRehearsedError: there are more processes than this may open files.
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
        """Note that a process has ended, as its pidfd says."""
        seen.process.ended = monotonic()
        stat = None if self.init is None else proc.stat(self.init.outer)
        seen.is_outlived = stat is not None and not stat.is_exiting
        self._ended[seen.outer] = seen.birth
        self.living.pop(seen.outer, None)

    def note_statuses(self) -> None:
        """Ask for the status of ended processes, which the kernel has once they are reaped."""
        waiting = [seen for seen in self.seen if seen.pidfd >= 0 and not seen.is_alive]
        for number, seen in enumerate(waiting):
            seen.status = _exit_status(seen.pidfd)
            if seen.status is not None or len(waiting) - number > MOST_OPEN:
                os.close(seen.pidfd)
                seen.pidfd = -1

    def close(self) -> None:
        """Close all pidfds."""
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
        if stat is None or len(pids) <= self._depth:  # it is gone
            return None
        if self._ended.get(outer) == stat.birth:  # a zombie that is already noted
            return None
        try:
            pidfd = os.pidfd_open(outer)
        except OSError:
            return None
        if pidfd > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE:
            os.close(pidfd)
            msg = (
                "the command has more processes than can be watched, one open file for each: raise "
                "the limit of open files (ulimit -Hn)"
            )
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
    """Return the CPU time of a process in nanoseconds (sched-stats in the kernel's documents)."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[0])
    except (OSError, IndexError, ValueError):  # it is gone, or the kernel does not count
        return 0


def _children(pid: int) -> list[int]:
    """Return the pids of the children of all threads of a process, with zombies (proc(5))."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:  # it has just gone
        pass
    return found


def _namespace_pids(pid: int) -> list[int]:
    """Return the pid of a process in each PID namespace that it is in, the outermost first."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            found = next((line for line in file if line.startswith(b"NSpid:")), b"")
    except OSError:  # it has just gone
        return []
    return [int(word) for word in found.split()[1:]]


def _exit_status(pidfd: int) -> int | None:
    """Return the status of a process that was reaped; None if the kernel does not report it."""
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
