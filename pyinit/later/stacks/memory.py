"""The memory of another process, and where the symbols of its programs are in it.

An ancestor may read it without a capability where user and rights are its own and the process is
dumpable (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS); Yama's scope 1 lets ancestors through.
"""

import os
from time import monotonic


MOST_BYTES = 1 << 16  # of one read
MOST_READS = 20_000
MOST_MAPS = 1 << 20  # bytes of the list of mappings
MOST_STEPS = 4096  # along a chain of the symbol table

# Of elf(5), for 64 bits in the order of bytes of this machine.
MAGIC = b"\x7fELF\x02\x01"
HEADERS = 64
PT_LOAD, PT_DYNAMIC = 1, 2
DT_STRTAB, DT_SYMTAB, DT_GNU_HASH = 5, 6, 0x6FFF_FEF5
SYMBOL_BYTES = 24
DEVICE_FIELD, PATH_FIELD = 3, 5  # of a line of /proc/PID/maps
MOST_MOUNTS = 1 << 18  # bytes of the list of mounts
FUSE = {b"fuse", b"fuseblk"}  # types of file systems; behind a dot there may be more
PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT = 0b11 << 62  # of an entry of /proc/PID/pagemap: in memory, or in swap


class UnreadableError(Exception):
    """It cannot be read, or is not what it should be; the text is the reason."""


class Memory:
    """A process's memory, read within bounds.

    Attributes:
        deadline: when reading ends, in seconds on the monotonic clock.
        may_hang: where files are mapped that a process serves (FUSE), as pairs of addresses. What
            is not in memory there is not read: where nobody answers the thread that asks is held,
            and PID 1 with it, which not even SIGKILL ends then.
    """

    def __init__(self, pid: int, deadline: float) -> None:
        """Open it.

        Raises:
            UnreadableError: the kernel refuses, or the process is gone.
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
            UnreadableError: they are not there, are too many, or time or patience is over.
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
        """Tell whether all is in memory already, of what is mapped from files of FUSE."""
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
        """Return an unsigned number that stands there."""
        return int.from_bytes(self.read(address, count), "little")


class Symbols:
    """Where the symbols are that a program or a library in a process's memory exports.

    They are found as the dynamic linker finds them, by the table that DT_GNU_HASH points to, in
    memory alone: the file may be gone, be another one by now, or lie where we cannot see.
    """

    def __init__(self, memory: Memory, base: int) -> None:
        """Find the tables of the object whose first page is mapped at ``base``.

        Raises:
            UnreadableError: no such object is there.
        """
        self._memory = memory
        head = memory.read(base, HEADERS)
        if not head.startswith(MAGIC):
            msg = "its program is no ELF of 64 bits"
            raise UnreadableError(msg)
        table, size, count = (
            int.from_bytes(head[at : at + length], "little")
            for at, length in ((32, 8), (54, 2), (56, 2))
        )
        loaded, dynamic = [], (0, 0)
        for index in range(min(count, 64)):
            entry = memory.read(base + table + index * size, 56)
            kind = int.from_bytes(entry[:4], "little")
            address, length = (int.from_bytes(entry[at : at + 8], "little") for at in (16, 40))
            if kind == PT_LOAD:
                loaded.append(address)
            elif kind == PT_DYNAMIC:
                dynamic = (address, length)
        self._moved = base - min(loaded, default=0)
        entries = self._entries(*dynamic)
        try:
            self._names, self._table, self._hashes = (
                self._relocated(entries[tag]) for tag in (DT_STRTAB, DT_SYMTAB, DT_GNU_HASH)
            )
        except KeyError as error:
            msg = "its program has no symbols"
            raise UnreadableError(msg) from error

    def _entries(self, address: int, length: int) -> dict[int, int]:
        raw = self._memory.read(self._moved + address, min(length, MOST_BYTES))
        words = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw) - 7, 8)]
        return dict(zip(words[::2], words[1::2], strict=False))

    def _relocated(self, address: int) -> int:
        # glibc adds where the object lies; musl leaves what the file has.
        return address if address >= self._moved else address + self._moved

    def address(self, name: str) -> int:
        """Return where a symbol is, or 0 where it is none that this object defines."""
        wanted = 5381
        for byte in name.encode():
            wanted = (wanted * 33 + byte) & 0xFFFF_FFFF
        memory = self._memory
        buckets, first, words, _shift = (
            memory.number(self._hashes + at, 4) for at in (0, 4, 8, 12)
        )
        if not buckets:
            return 0
        lists = self._hashes + 16 + words * 8
        index = memory.number(lists + wanted % buckets * 4, 4)
        chain = lists + buckets * 4
        for _step in range(MOST_STEPS):
            if index < first:
                return 0
            hashed = memory.number(chain + (index - first) * 4, 4)
            if hashed | 1 == wanted | 1:
                symbol = memory.read(self._table + index * SYMBOL_BYTES, SYMBOL_BYTES)
                text = self._names + int.from_bytes(symbol[:4], "little")
                value = int.from_bytes(symbol[8:16], "little")
                if value and memory.read(text, len(name) + 1) == name.encode() + b"\0":
                    return self._moved + value
            if hashed & 1:
                return 0
            index += 1
        return 0


def objects(pid: int) -> dict[str, int]:
    """Return the files that are mapped into a process, with the address of the first page of each.

    Raises:
        UnreadableError: /proc does not tell.
    """
    found: dict[str, int] = {}
    for fields in _mappings(pid):
        if len(fields) == PATH_FIELD + 1 and not int(fields[2], 16):
            path = os.fsdecode(fields[PATH_FIELD].removesuffix(b" (deleted)"))
            found.setdefault(path, int(fields[0].partition(b"-")[0], 16))
    return found


def fuse_mappings(pid: int) -> list[tuple[int, int]]:
    """Return from where to where files of FUSE are mapped into a process.

    Raises:
        UnreadableError: /proc does not tell.
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
        for fields in _mappings(pid)
        if len(fields) > DEVICE_FIELD and fields[DEVICE_FIELD] in devices
    ]
    return [(int(first, 16), int(last, 16)) for first, last in places]


def _mappings(pid: int) -> list[list[bytes]]:
    return [line.split(None, PATH_FIELD) for line in _lines(pid, "maps", MOST_MAPS)]


def _lines(pid: int, name: str, most: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read(most).splitlines()
    except OSError as error:
        msg = f"its mappings cannot be read: {error.strerror}"
        raise UnreadableError(msg) from error
