"""Read ``/proc`` about processes, made safe to show. Nothing here raises if /proc is missing."""

import os
from time import monotonic

LOOKING_SECONDS = 5.0

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in an uninterruptible wait",
    "T": "stopped",
    "t": "stopped by a tracer",
    "I": "idle",
    "Z": "zombie",
    "X": "dead",
}
EXITING = 0x4  # PF_EXITING of linux/sched.h, among the flags
PLAIN = "_-./:+@[]"  # a name of these, letters and digits needs no quotes


class Stat:
    """Some of /proc/PID/stat.

    Attributes:
        name: as :func:`name` returns it.
        state: a letter (proc(5)).
        parent: the pid of the parent.
        group: its process group.
        session: its session.
        has_terminal: whether it has a controlling terminal.
        threads: how many threads it has.
        is_exiting: whether it exits or has exited, be it only on its way through the kernel.
        birth: when it started, in clock ticks since boot.
        ignored, caught: signals below 32 that it ignores, and those that it has handlers for, as
            bitmaps: bit N - 1 stands for signal N.
    """

    __slots__ = (
        "birth",
        "caught",
        "group",
        "has_terminal",
        "ignored",
        "is_exiting",
        "name",
        "parent",
        "session",
        "state",
        "threads",
    )

    def __init__(self, fields: list[bytes], name: bytes = b"") -> None:
        """Take the values from the fields after the name.

        Raises:
            IndexError, ValueError: the fields are not those of /proc/PID/stat.
        """
        self.name = _shown(name)
        self.state = fields[0]
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.session = int(fields[3])
        self.has_terminal = fields[4] != b"0"
        self.is_exiting = bool(int(fields[6]) & EXITING)
        self.threads = int(fields[17])
        self.birth = int(fields[19])
        self.ignored = int(fields[30])
        self.caught = int(fields[31])

    def is_stopped(self) -> bool:
        """Tell whether a signal has stopped it; a stop by a tracer does not count."""
        return self.state == b"T"

    def is_dead(self) -> bool:
        """Tell whether it is a zombie; a process whose first thread alone has exited is not."""
        return self.state in {b"Z", b"X"} and self.threads <= 1

    def in_words(self) -> str | None:
        """Return its state in words."""
        if self.state == b"Z" and not self.is_dead():
            return "running without its first thread"
        return STATES.get(self.state.decode("ascii", "replace"))


def name(pid: int) -> str | None:
    """Return the name (comm) of ``pid``, which may be a zombie; None if it cannot be read.

    A process can set its name to any bytes, at most 15 (prctl(2), PR_SET_NAME).
    """
    text = _read(f"/proc/{pid}/comm") if is_ours() else None
    return None if text is None else _shown(text.removesuffix(b"\n"))


def quoted(text: str) -> str:
    """Return a name for a sentence, in quotes if it could be mistaken for a part of it."""
    if text and all(c in PLAIN or (c.isascii() and c.isalnum()) for c in text):
        return text
    return repr(text) if "'" in text else f"'{text}'"


def called(name: str | None, pid: int) -> str:
    """Return the name and pid of a process for a sentence."""
    return f"process {pid}" if name is None else f"{quoted(name)} (pid {pid})"


def thread_name(pid: int, tid: int) -> str | None:
    """Return the name of a thread, as :func:`name` does for a process."""
    text = _read(f"/proc/{pid}/task/{tid}/comm")
    return None if text is None else _shown(text.removesuffix(b"\n"))


def command(pid: int) -> list[bytes]:
    """Return the command line of ``pid``; one empty word if it cannot be read."""
    text = _read(f"/proc/{pid}/cmdline") if is_ours() else None
    return (text or b"").split(b"\0")


def stat(pid: int) -> Stat | None:
    """Return /proc/PID/stat of ``pid``; None if it cannot be read."""
    text = _read(f"/proc/{pid}/stat") or b""
    try:
        # The name may contain spaces and brackets.
        name, _, rest = text.partition(b"(")[2].rpartition(b")")
        return Stat(rest.split(), name)
    except (IndexError, ValueError):
        return None


def is_nested_init(pid: int) -> bool:
    """Tell whether ``pid`` is known to be PID 1 of a namespace below the one of pyinit."""
    for line in (_read(f"/proc/{pid}/status") or b"").splitlines():
        if line.startswith(b"NSpid:"):
            pids = line.split()[1:]  # by namespace, the innermost one last
            return len(pids) > 1 and pids[-1] == b"1"
    return False


def pid_namespace(pid: int) -> str | None:
    """Return what identifies the PID namespace of ``pid``; None if it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def state(pid: int) -> str | None:
    """Return the state of ``pid`` in words; None if it cannot be read."""
    found = stat(pid) if is_ours() else None
    return None if found is None else found.in_words()


def stats(seconds: float | None = None) -> dict[int, Stat] | None:
    """Return /proc/PID/stat of every process that can be seen; None as for :func:`pids`.

    Args:
        seconds: how long it may take, LOOKING_SECONDS by default. The newest come first: if
            processes fork without end, the older ones are mostly zombies.
    """
    found = pids()
    if found is None:
        return None
    end = monotonic() + (LOOKING_SECONDS if seconds is None else seconds)
    told: dict[int, Stat] = {}
    for pid in sorted(found, reverse=True):
        each = stat(pid)
        if each is not None:
            told[pid] = each
        if monotonic() > end:
            break
    return told


def pids() -> list[int] | None:
    """Return all pids of pyinit's PID namespace; None if /proc is missing or shows another."""
    try:
        return (
            [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if is_ours() else None
        )
    except OSError:
        return None


def own_children(descriptor: int) -> set[int]:
    """Return the pids of pyinit's own children, with adopted orphans and zombies.

    Args:
        descriptor: from :func:`open_children`.

    Raises:
        OSError: it cannot be read.
    """
    text, part = b"", b"0"
    while part:
        part = os.pread(descriptor, 1 << 16, len(text))
        text += part
    return set(map(int, text.split()))


def children(pid: int) -> list[int]:
    """Return the pids of the children of the first thread of ``pid``; empty if unknown."""
    try:
        return list(map(int, (_read(f"/proc/{pid}/task/{pid}/children") or b"").split()))
    except ValueError:  # cut off
        return []


def open_children() -> int | None:
    """Open the list of pyinit's own children; None without it (CONFIG_PROC_CHILDREN).

    Kernels of distributions have it. It costs one read, however many other processes there are. It
    is complete: the first thread forks, and orphans become its children (kernel/exit.c).
    """
    try:
        path = f"/proc/self/task/{os.getpid()}/children"
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if is_ours() else None
    except OSError:
        return None


def last_pid() -> int:
    """Return the pid that the kernel gave out last; 0 if unknown (proc(5), loadavg)."""
    try:
        return int((_read("/proc/loadavg") or b"").split()[-1])
    except (IndexError, ValueError):
        return 0


def is_ours() -> bool:
    """Tell whether /proc shows pyinit's PID namespace; else its pids are of other processes."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _read(path: str) -> bytes | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, 4096)
        finally:
            os.close(file)
    except Exception:  # noqa: BLE001 - hidden, gone, or no memory for it: pyinit can do without
        return None
