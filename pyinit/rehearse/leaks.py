"""What a stop leaves behind: shared memory, PID files, sockets and other files.

If the container is removed, they are gone. But a restarted container keeps its files, and a
container may share the IPC namespace or volumes (``/dev/shm``, ``/tmp``, ``/run``) with others.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterable

from pyinit.rehearse.census import Seen
from pyinit.rehearse.model import Leak, Plan

MARK = "what is left:"  # the line after which the stage prints what is left
PLACES = ("/run", "/var/run", "/tmp", "/var/tmp")  # noqa: S108 - they are only read
MOST_ENTRIES = 5000
LONGEST_PID = 20  # bytes of a PID file

Held = dict[str, str]  # path of what was open at the stop, and its kind: "socket" or "file"


def hold(living: Iterable[Seen]) -> Held:
    """Return the sockets and files below PLACES that processes have open."""
    bound = _bound_sockets()
    held: Held = {}
    for seen in living:
        try:
            directory = os.readlink(f"/proc/{seen.outer}/cwd")
        except OSError:  # it has just ended, or is another user's
            continue
        for link in _open_files(seen.outer):
            if link in bound:
                held[os.path.join(directory, bound[link])] = "socket"
            elif link.startswith(_places()) and not link.endswith(" (deleted)"):
                held.setdefault(link, "file")
    return held


def found(
    facts: list[str] | None,
    held: Held,
    everybody: Iterable[Seen],
    plan: Plan,
    began: float,
) -> list[Leak]:
    """Return what is left.

    Args:
        facts: lines of the stage: ``/proc/sysvipc/shm``, then size and path of files in /dev/shm;
            None if it printed nothing.
        held: from :func:`hold`.
        everybody: all processes that were seen, for their pids.
        plan: has the directory; the words of its command may name a PID file.
        began: when the command was started, in seconds of the wall clock.
    """
    leaks = _shared_memory(facts or [])
    pids = {str(seen.process.pid) for seen in everybody}
    for path in sorted({*_pid_files(plan), *held}):
        try:
            entry = os.lstat(path)
        except OSError:
            continue
        if entry.st_mtime < began - 1:  # a file system's clock may be a tick behind
            continue
        if stat.S_ISSOCK(entry.st_mode):
            leaks.append(Leak("socket", path, "the next start may fail: address already in use"))
        elif stat.S_ISREG(entry.st_mode) and _content(path) in pids:
            leaks.append(
                Leak("PID file", path, "the next start may think that the program still runs")
            )
        elif path in held and stat.S_ISREG(entry.st_mode):
            leaks.append(Leak("file", path, f"{entry.st_size:,} bytes", counts=False))
    return leaks


def _shared_memory(facts: list[str]) -> list[Leak]:
    leaks = []
    for line in facts:
        if found := re.fullmatch(r"(\d{1,20}) (/dev/shm/.*)", line):
            leaks.append(Leak("POSIX shared memory", found[2], f"{int(found[1]):,} bytes"))
        elif found := re.match(r" *-?\d+ +(\d+) +\d+ +(\d{1,20}) ", line):  # key, id, rights, size
            size = f"{int(found[2]):,} bytes"
            leaks.append(Leak("System V shared memory", f"segment {found[1]}", size))
    return leaks


def _open_files(pid: int) -> list[str]:
    """Return where the links in /proc/PID/fd of a process lead to (proc(5))."""
    links = []
    with contextlib.suppress(OSError):  # it has just ended, or is another user's
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # this one has just been closed
                links.append(os.readlink(f"/proc/{pid}/fd/{entry}"))
    return links


def _bound_sockets() -> dict[str, str]:
    """Return the paths of Unix sockets, by what /proc/PID/fd calls them (proc(5))."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(maxsplit=7) for line in file]
    except OSError:
        return {}
    return {
        f"socket:[{fields[6]}]": fields[7]
        for fields in lines
        # The path is the last field; a socket whose path begins with @ has no file.
        if len(fields) == 8 and not fields[7].startswith("@")  # noqa: PLR2004
    }


def _pid_files(plan: Plan) -> list[str]:
    """Return the paths of files that are named like a PID file."""
    directory = plan.directory or os.readlink("/proc/self/cwd")  # works if it was deleted, too
    folders = [*PLACES, os.environ.get("TMPDIR", ""), directory]
    named = [word.rpartition("=")[2] for word in plan.command if ".pid" in word]
    paths = [os.path.join(directory, path) for path in named]
    for folder in dict.fromkeys(folders):
        # A PID file deeper in /tmp may be another rehearsal's, which has the same small pids.
        is_temporary = folder.endswith("/tmp")  # noqa: S108 - it is only read
        paths += _entries(folder, ".pid", 1 if is_temporary else 2)
    return [os.path.realpath(path) for path in paths]


def _entries(folder: str, ending: str, depth: int) -> list[str]:
    """Return the paths of files with an ending, in a folder and ``depth - 1`` levels below it."""
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(MOST_ENTRIES), entries, strict=False):
                if entry.name.endswith(ending):
                    found.append(entry.path)
                elif depth > 1 and entry.is_dir(follow_symlinks=False):
                    found += _entries(entry.path, ending, depth - 1)
    except OSError:  # it does not exist, or is another user's
        pass
    return found


def _places() -> tuple[str, ...]:
    return tuple(f"{place}/" for place in (*PLACES, os.environ.get("TMPDIR", "")) if place)


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(LONGEST_PID).decode(errors="replace").strip()
    except OSError:
        return ""
