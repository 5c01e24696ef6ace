"""Read the memory of another process, within limits.

An ancestor needs no capability for that if the process has the same user and no more rights, and is
dumpable (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS). Scope 1 of Yama allows ancestors.
"""

import os
from time import monotonic


MOST_BYTES = 1 << 16  # of one read
MOST_READS = 20_000
MOST_MAPS = 1 << 20  # bytes of the list of mappings
DEVICE_FIELD, PATH_FIELD = 3, 5  # of a line of /proc/PID/maps
MOST_MOUNTS = 1 << 18  # bytes of the list of mounts
FUSE = {b"fuse", b"fuseblk"}  # types of file systems; a dot and a subtype may follow
PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT = 0b11 << 62  # of an entry of /proc/PID/pagemap: in memory, or in swap


class UnreadableError(Exception):
    """The memory cannot be read, or has unexpected content; the text is the reason."""


class Memory:
    """The memory of a process, read within limits.

    Attributes:
        deadline: when reading ends, in seconds on the monotonic clock.
        may_hang: where files are mapped that another process serves (FUSE), as pairs of addresses.
            Only pages that are in memory already are read there. If the file server does not
            answer, the reading thread hangs, and then not even SIGKILL ends PID 1.
    """

    def __init__(self, pid: int, deadline: float) -> None:
        """Open it.

        Raises:
            UnreadableError: the kernel refuses, or the process has exited.
        """
        self.deadline = deadline
        self.may_hang = fuse_mappings(pid)
        self._pid = pid
        self._left = MOST_READS
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            msg = f"its memory cannot be read: {error.strerror}"
            raise UnreadableError(msg) from error

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)

    def read(self, address: int, count: int) -> bytes:
        """Return bytes of it.

        Raises:
            UnreadableError: they are not mapped or too many, or a limit of time or reads is passed.
        """
        self._left -= 1
        if not (0 < count <= MOST_BYTES and 0 < address < 1 << 63):
            msg = "its memory is garbled"
        elif self._left < 0 or monotonic() > self.deadline:
            msg = "it took too long to read its memory"
        elif self.may_hang and not self._is_in_memory(address, count):
            msg = "its memory is in a file system that may hang (FUSE)"
        else:
            try:
                found = os.pread(self._fd, count, address)
            except OSError:
                found = b""
            if len(found) == count:
                return found
            msg = "its memory is garbled"
        raise UnreadableError(msg)

    def _is_in_memory(self, address: int, count: int) -> bool:
        """Tell whether no page of FUSE would have to be loaded."""
        end = address + count
        if not any(first < end and address < last for first, last in self.may_hang):
            return True
        first, pages = address // PAGE, (end - 1) // PAGE - address // PAGE + 1
        try:
            pagemap = os.open(f"/proc/{self._pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            try:
                raw = os.pread(pagemap, 8 * pages, 8 * first)
            finally:
                os.close(pagemap)
        except OSError:
            return False
        entries = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
        return len(entries) == pages and all(entry & PRESENT for entry in entries)

    def number(self, address: int, count: int = 8) -> int:
        """Return the unsigned number at an address."""
        return int.from_bytes(self.read(address, count), "little")


def fuse_mappings(pid: int) -> list[tuple[int, int]]:
    """Return the ranges of addresses at which files of FUSE are mapped into a process.

    Raises:
        UnreadableError: /proc does not show them.
    """
    devices = set()
    for line in _lines(pid, "mountinfo", MOST_MOUNTS):
        mount, _, file_system = line.partition(b" - ")
        if file_system.split(b" ")[0].split(b".")[0] in FUSE:
            major, _, minor = mount.split()[2].partition(b":")
            devices.add(b"%02x:%02x" % (int(major), int(minor)))
    if not devices:
        return []
    places = [
        fields[0].split(b"-")
        for fields in mappings(pid)
        if len(fields) > DEVICE_FIELD and fields[DEVICE_FIELD] in devices
    ]
    return [(int(first, 16), int(last, 16)) for first, last in places]


def mappings(pid: int) -> list[list[bytes]]:
    """Return the fields of each line of /proc/PID/maps.

    Raises:
        UnreadableError: /proc does not show them.
    """
    return [line.split(None, PATH_FIELD) for line in _lines(pid, "maps", MOST_MAPS)]


def _lines(pid: int, name: str, most: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        msg = f"its mappings cannot be read: {error.strerror}"
        raise UnreadableError(msg) from error
    if len(found) > most:  # the rest may name a file of FUSE
        msg = "it has too many mappings or mounts"
        raise UnreadableError(msg)
    return found.splitlines()
