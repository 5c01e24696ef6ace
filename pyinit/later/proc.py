"""What ``/proc`` says of processes, made safe to show. Nothing here raises where it is missing."""

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
PLAIN = "_-./:+@[]"  # what a name may have besides letters and digits to need no quotes


class Stat:
    """Some of /proc/PID/stat.

    Attributes:
        name: as :func:`name` returns it.
        state: a letter (proc(5)).
        parent: the pid of the parent.
        group: its process group.
        session: its session.
        has_terminal: whether it has a controlling terminal.
        threads: how many it has.
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
        "name",
        "parent",
        "session",
        "state",
        "threads",
    )

    def __init__(self, fields: list[bytes], name: bytes = b"") -> None:
        """Take them from the fields behind the name.

        Raises:
            IndexError, ValueError: that is not a /proc/PID/stat.
        """
        self.name = _shown(name)
        self.state = fields[0]
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.session = int(fields[3])
        self.has_terminal = fields[4] != b"0"
        self.threads = int(fields[17])
        self.birth = int(fields[19])
        self.ignored = int(fields[30])
        self.caught = int(fields[31])

    def is_stopped(self) -> bool:
        """Tell whether a signal has stopped it; not so where a tracer holds it for a moment."""
        return self.state == b"T"

    def is_dead(self) -> bool:
        """Tell whether it is a zombie; not so where the first thread alone has ended."""
        return self.state in {b"Z", b"X"} and self.threads <= 1

    def in_words(self) -> str | None:
        """Return what it is doing."""
        if self.state == b"Z" and not self.is_dead():
            return "running without its first thread"
        return STATES.get(self.state.decode("ascii", "replace"))


def name(pid: int) -> str | None:
    """Return the name (comm) of ``pid``, a zombie's too; None where it cannot be read.

    It is whatever the process made of it (prctl(2), PR_SET_NAME): at most 15 bytes, any bytes.
    """
    text = _read(f"/proc/{pid}/comm") if is_ours() else None
    return None if text is None else _shown(text.removesuffix(b"\n"))


def quoted(text: str) -> str:
    """Return a name as it stands in a sentence: in quotes where it could pass for more of that."""
    if text and all(c in PLAIN or (c.isascii() and c.isalnum()) for c in text):
        return text
    return repr(text) if "'" in text else f"'{text}'"


def called(name: str | None, pid: int) -> str:
    """Return what a process is called in a sentence."""
    return f"process {pid}" if name is None else f"{quoted(name)} (pid {pid})"


def thread_name(pid: int, tid: int) -> str | None:
    """Return the name of a thread, as :func:`name` does that of a process."""
    text = _read(f"/proc/{pid}/task/{tid}/comm")
    return None if text is None else _shown(text.removesuffix(b"\n"))


def command(pid: int) -> list[bytes]:
    """Return the words that ``pid`` was started with, one empty word where that is not told."""
    text = _read(f"/proc/{pid}/cmdline") if is_ours() else None
    return (text or b"").split(b"\0")


def stat(pid: int) -> Stat | None:
    """Return what the kernel tells of ``pid``; None where it cannot be read."""
    text = _read(f"/proc/{pid}/stat") or b""
    try:
        # The name may hold blanks and brackets, too.
        name, _, rest = text.partition(b"(")[2].rpartition(b")")
        return Stat(rest.split(), name)
    except (IndexError, ValueError):
        return None


def is_nested_init(pid: int) -> bool:
    """Tell whether ``pid`` is PID 1 of a namespace below pyinit's; no where /proc does not tell."""
    for line in (_read(f"/proc/{pid}/status") or b"").splitlines():
        if line.startswith(b"NSpid:"):
            pids = line.split()[1:]  # by namespace, from here inwards
            return len(pids) > 1 and pids[-1] == b"1"
    return False


def pid_namespace(pid: int) -> str | None:
    """Return what tells the PID namespace of ``pid`` from others; None where it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def state(pid: int) -> str | None:
    """Return in words what ``pid`` is doing; None where it cannot be read."""
    found = stat(pid) if is_ours() else None
    return None if found is None else found.in_words()


def stats(seconds: float | None = None) -> dict[int, Stat] | None:
    """Return what the kernel tells of everybody who can be seen; None as for :func:`pids`.

    Args:
        seconds: how long it may take, LOOKING_SECONDS by default; the newest come first: where
            processes fork without end the others are zombies mostly.
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
    """Return all pids of pyinit's own PID namespace; None where /proc is missing or another's."""
    try:
        return (
            [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if is_ours() else None
        )
    except OSError:
        return None


def own_children(descriptor: int) -> set[int]:
    """Return the pids of pyinit's own children, adopted orphans and zombies too.

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
    """Return the pids of the children of the first thread of ``pid``; none where it is not told."""
    try:
        return list(map(int, (_read(f"/proc/{pid}/task/{pid}/children") or b"").split()))
    except ValueError:  # cut off
        return []


def open_children() -> int | None:
    """Open what lists pyinit's own children; None where there is none (CONFIG_PROC_CHILDREN).

    It is there in the kernels of distributions, and costs one read however many others there are.
    Orphans become the first thread's children, which forks as well (kernel/exit.c).
    """
    try:
        path = f"/proc/self/task/{os.getpid()}/children"
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if is_ours() else None
    except OSError:
        return None


def last_pid() -> int:
    """Return the pid that was given out last; 0 where /proc does not tell (proc(5), loadavg)."""
    try:
        return int((_read("/proc/loadavg") or b"").split()[-1])
    except (IndexError, ValueError):
        return 0


def is_ours() -> bool:
    """Tell whether /proc shows the PID namespace that pyinit is in; else its pids are others'."""
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
    except Exception:  # noqa: BLE001 - hidden, gone, or no memory for it: none of it is vital
        return None
