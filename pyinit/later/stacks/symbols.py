"""Find the exported symbols of programs in the memory of another process."""

import os

from pyinit.later.memory import MOST_BYTES, PATH_FIELD, Memory, UnreadableError, mappings

# From elf(5), for 64-bit little-endian files.
MAGIC = b"\x7fELF\x02\x01"
HEADERS = 64
PT_LOAD, PT_DYNAMIC = 1, 2
DT_STRTAB, DT_SYMTAB, DT_GNU_HASH = 5, 6, 0x6FFF_FEF5
SYMBOL_BYTES = 24
NO_SYMBOLS = "its program has no symbols"
MOST_STEPS = 4096  # along a chain of the symbol table


class Symbols:
    """The exported symbols of a program or a library in the memory of a process.

    They are found as the dynamic linker finds them, by the table that DT_GNU_HASH points to. Only
    the memory is read: the file may be deleted, replaced, or in another mount namespace.
    """

    def __init__(self, memory: Memory, base: int) -> None:
        """Find the tables of the object whose first page is mapped at ``base``.

        Raises:
            UnreadableError: no such object is there.
        """
        self._memory = memory
        head = memory.read(base, HEADERS)
        if not head.startswith(MAGIC):
            msg = "its program is not a 64-bit ELF file"
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
        if not all(dynamic):  # linked statically
            raise UnreadableError(NO_SYMBOLS)
        self._moved = base - min(loaded, default=0)
        entries = self._entries(*dynamic)
        try:
            self._names, self._table, self._hashes = (
                self._relocated(entries[tag]) for tag in (DT_STRTAB, DT_SYMTAB, DT_GNU_HASH)
            )
        except KeyError as error:
            raise UnreadableError(NO_SYMBOLS) from error

    def _entries(self, address: int, length: int) -> dict[int, int]:
        raw = self._memory.read(self._moved + address, min(length, MOST_BYTES))
        words = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw) - 7, 8)]
        return dict(zip(words[::2], words[1::2], strict=False))

    def _relocated(self, address: int) -> int:
        # glibc adds the base address of the object; musl keeps the address of the file.
        return address if address >= self._moved else address + self._moved

    def address(self, name: str) -> int:
        """Return the address of a symbol; 0 if this object does not define it."""
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
        UnreadableError: /proc does not show them.
    """
    found: dict[str, int] = {}
    for fields in mappings(pid):
        if len(fields) == PATH_FIELD + 1 and not int(fields[2], 16):
            path = os.fsdecode(fields[PATH_FIELD].removesuffix(b" (deleted)"))
            found.setdefault(path, int(fields[0].partition(b"-")[0], 16))
    return found
