"""Memory of real Python processes, as far as a reader of stacks reads it, and wrong copies of it.

Only pread(2) is replaced: the bounds, the symbols and the reader are those of pyinit.
"""

import contextlib
import copy
import errno
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from pyinit.later import stacks
from pyinit.later.memory import MOST_READS, Memory, UnreadableError
from pyinit.later.stacks import frames

PAGE = 4096
LONGEST_TEXT = 4 * frames.MOST_CHARACTERS
LAST_LINE = (1 << 31) - 1
SECONDS = 60.0  # a loaded machine may take long
PARTS = ("symbols", "threads", "frames")  # in the order in which they are read
BOUNDARIES = [
    *(0, 1, 2, 7, 8, PAGE - 1, PAGE, (1 << 15) + 1, 1 << 16, (1 << 16) + 1, (1 << 31) - 1),
    *(1 << 31, (1 << 32) - 1, 1 << 32, 1 << 47, (1 << 63) - 8, (1 << 63) - 1, 1 << 63),
    *((1 << 64) - PAGE, (1 << 64) - 8, (1 << 64) - 1),
]
KINDS = ("bits", "words", "boundaries", "missing", "swapped", "noise", "torn", "many")


def until_asleep(pid: int) -> None:
    """Wait until all threads of a process wait for something: its run time stands still.

    The states are read between two looks at the run times. Else one thread could wake another up
    that was seen asleep, and be seen asleep itself.
    """
    before = None
    while True:
        tasks = sorted(os.listdir(f"/proc/{pid}/task"))
        try:
            stats = [Path(f"/proc/{pid}/task/{tid}/stat").read_text() for tid in tasks]
            now = [Path(f"/proc/{pid}/task/{tid}/schedstat").read_text() for tid in tasks]
        except (FileNotFoundError, ProcessLookupError):  # a thread has ended
            continue
        if now == before and {stat.rpartition(")")[2].split()[0] for stat in stats} == {"S"}:
            return
        before = now
        os.sched_yield()


@contextlib.contextmanager
def hung(python, source, folder):
    """Run a program until it says that it is ready, and hangs; with pipes to talk to it."""
    path = folder / "app.py"
    path.write_text(source)
    with subprocess.Popen([python, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert b"ready\n" == process.stdout.readline()
            until_asleep(process.pid)
            yield process
        finally:
            process.kill()


class Pages:
    """Memory of pages, read as by pread(2); pages that are missing are not mapped.

    Attributes:
        pages: the bytes of each page that there is, by its number.
        calls: how often it was to be read.
        reads: address and count of each time that it was.
        short: what was read, where that is no more than a text may have.
        has_symbols: whether the tables of symbols are to be read in it; else they are known.
    """

    has_symbols = True

    def __init__(self, pages):
        self.pages = pages
        self.calls = 0
        self.reads = []
        self.short = set()

    def pread(self, _fd, count, address):
        self.calls += 1
        number, at = divmod(address, PAGE)
        page = self.page(number)
        if page is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        found = page[at : at + count]
        while len(found) < count:
            number += 1
            page = self.page(number)
            if page is None:
                break
            found += page[: count - len(found)]
        self.reads.append((address, count))
        if count <= LONGEST_TEXT:
            self.short.add(found)
        return found

    def page(self, number):
        return self.pages.get(number)


class Live(Pages):
    """Memory of a process that runs; each page that is read is kept."""

    def __init__(self, pid, pages=()):
        super().__init__(dict(pages))
        self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        self._pread = os.pread

    def close(self):
        os.close(self._fd)

    def page(self, number):
        if number not in self.pages:
            try:
                self.pages[number] = self._pread(self._fd, PAGE, number * PAGE)
            except (OSError, OverflowError):
                self.pages[number] = None
        return self.pages[number]


@contextlib.contextmanager
def instead_of_pread(memory):
    """Have pread(2) read these pages, whatever it is asked to read from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", memory.pread)
        yield


def told(answer):
    """Return what is told of each thread."""
    return {
        tid: [(each.file, each.line, each.function, *flags(each)) for each in stack]
        for tid, stack in answer.items()
    }


def flags(frame):
    return frame.is_handler, frame.is_awaiting, frame.is_deaf


class Recording:
    """What was read of a process that hangs.

    Attributes:
        name: what it is called in a message.
        python: the interpreter.
        first: the number of its first thread.
        pages: the pages in which it is.
        answer: the stacks of its threads.
        places: by part, the address and the count of each read.
        codes: the code objects of the frames, and what was read of each.
        at: distances within structures.
        frames: the addresses of frames, of coroutines that are suspended as well.
        pointers: the words that were read, outside of the tables of symbols, which are addresses of
            something that was read as well; by their own addresses.
    """

    def __init__(self, source, first, begin, name="", python=""):
        """Read the stacks.

        Args:
            source: the pages to read.
            first: the number of the first thread.
            begin: makes a Reader for a memory.
            name: as above.
            python: as above.
        """
        self.name, self.python, self.first = name, python, first
        self._begin = begin
        with contextlib.closing(Memory(os.getpid(), time.monotonic() + 1000 * SECONDS)) as memory:
            self._memory = copy.copy(memory)  # as it is before the first read
        self._memory._fd = -1
        with instead_of_pread(source):
            self._known = None
            reader = self._known = self._reader(source)
            ends = [len(source.reads)]
            reader.threads()
            ends.append(len(source.reads))
            self.answer = stacks._stacks(self.first, reader)
            ends.append(len(source.reads))
        self.pages = {number: page for number, page in source.pages.items() if page}
        begun = 0
        self.places = {}
        for part, end in zip(PARTS, ends, strict=True):
            self.places[part] = sorted(set(source.reads[begun:end]))
            begun = end
        self.codes, self.at = reader._codes, reader._at
        self.text_type = reader._text_type
        self.texts = {text for stack in self.answer.values() for text in texts_of(stack)}
        self.pointers = self._pointers()
        self.frames = [
            address for address, count in self.places["frames"] if count == reader._frame_bytes
        ]

    def _pointers(self):
        words = {}
        for part in PARTS[1:]:
            for address, count in self.places[part]:
                for at in range(address, address + count - 7, 8):
                    word = self.number(at)
                    if word // PAGE in self.pages:
                        words[at] = word
        return words

    def bytes(self, address, count):
        return Pages(self.pages).pread(-1, count, address)

    def number(self, address, count=8):
        return int.from_bytes(self.bytes(address, count), "little")

    def read(self, memory):
        """Return the stacks that pyinit reads of a memory, by thread."""
        with instead_of_pread(memory):
            return stacks._stacks(self.first, self._reader(memory))

    def _reader(self, memory):
        found = copy.copy(self._known)
        if found is None or memory.has_symbols:
            return self._begin(copy.copy(self._memory))
        found._memory, found._codes = copy.copy(self._memory), {}
        return found

    def genuine_texts(self):
        """Return every str object that is whole in the pages; this is a decoder of its own."""
        found = set()
        at = self.at
        wanted = self.text_type.to_bytes(8, "little")
        for number, page in self.pages.items():
            for match in re.finditer(re.escape(wanted), page):
                address = number * PAGE + match.start() - at["object_type"]
                if address % 8:
                    continue
                try:
                    state = self.number(address + at["text_state"], 4) >> 2
                    length = self.number(address + at["text_length"])
                    width = state & 7
                    begin = at["text_content"] + (0 if state & 16 else at["text_wide"])
                    if not state & 8 or width not in {1, 2, 4} or length > PAGE:
                        continue
                    raw = self.bytes(address + begin, width * length)
                except OSError:
                    continue
                encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
                found.add(raw.decode(encoding, "replace")[: frames.MOST_CHARACTERS])
        return found


def record(pid, name="", python=""):
    """Return what is read of a process that hangs."""
    program, bases = os.readlink(f"/proc/{pid}/exe"), stacks.objects(pid)
    with contextlib.closing(Live(pid)) as live:
        return Recording(
            live, pid, lambda memory: frames.reader(memory, bases, program), name, python
        )


def texts_of(stack):
    return {text for frame in stack for text in (frame.file, frame.function)}


def check(image, memory):
    """Read a memory; check what holds whatever it has. Return what is told, or the reason."""
    try:
        answer = image.read(memory)
    except UnreadableError as error:
        return str(error)
    finally:
        assert memory.calls <= MOST_READS
    assert len(answer) <= frames.MOST_THREADS
    for stack in answer.values():
        assert 0 < len(stack) <= frames.MOST_FRAMES + frames.MOST_AWAITED
        for frame in stack:
            assert 0 <= frame.line <= LAST_LINE, frame
        for text in texts_of(stack) - image.texts - {""}:
            assert len(text) <= frames.MOST_CHARACTERS
            assert stood(text, memory), text
    return told(answer)


def stood(text, memory):
    """Tell whether a text stood in the memory, as one that was read, with its end behind it."""
    codes = ("latin-1", "utf-16-le", "utf-32-le")
    end = "" if len(text) == frames.MOST_CHARACTERS else "\0"
    found = (raw.decode(code, "replace") for raw in memory.short for code in codes)
    return "\0" not in text and any(each.startswith(text + end) for each in found)


@contextlib.contextmanager
def told_if_wrong(memory, seed):
    """Say on failure which case it was, and what was changed."""
    try:
        yield
    except Exception as error:
        msg = f"case {seed!r}: {', '.join(memory.changes)}"
        raise AssertionError(msg) from error


class Torn(Pages):
    """What a process has before and after a change, which comes between two reads."""

    has_symbols = False

    def __init__(self, before, after, at):
        super().__init__({})
        self._before, self._after, self._at = before, after, at

    def page(self, number):
        return (self._before if self.calls <= self._at else self._after).page(number)


def writable_pages(pid):
    """Return the pages of a process that may change."""
    found = {}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if "w" not in rights:
                continue
            first, last = (int(word, 16) for word in place.split("-"))
            memory.seek(first)
            raw = memory.read(last - first)
            for at in range(0, len(raw), PAGE):
                found[(first + at) // PAGE] = raw[at : at + PAGE]
    return found


class Wrong(Pages):
    """A copy of an image with errors in it.

    Attributes:
        image: what it is a copy of.
        changes: what was changed, for the message where a check fails.
        turns: how many reads see the errors until as many see none, and so on; 0 where all do.
    """

    def __init__(self, image):
        super().__init__(dict(image.pages))
        self.image = image
        self.changes = []
        self.turns = self.offset = 0

    def page(self, number):
        is_torn = self.turns and (self.calls + self.offset) // self.turns % 2
        return (self.image.pages if is_torn else self.pages).get(number)

    def write(self, address, raw):
        self.changes.append(f"{address:#x}: {raw[:16].hex()}")
        while raw:
            number, at = divmod(address, PAGE)
            page = self.pages.get(number) or bytes(PAGE)
            part = raw[: PAGE - at]
            self.pages[number] = page[:at] + part + page[at + len(part) :]
            address, raw = address + len(part), raw[len(part) :]

    def spoil(self, kind, chance):
        """Make errors of a kind (KINDS), which `chance` decides upon."""
        self.changes.append(kind)
        if kind == "many":
            for _ in range(chance.randrange(2, 9)):
                self.spoil(chance.choice(KINDS[:-2]), chance)
        elif kind == "torn":
            self.spoil(chance.choice(KINDS[:-2]), chance)
            self.turns = chance.choice((1, 2, 3, 10, 100, 300))
            self.offset = chance.randrange(2 * self.turns)
            self.changes.append(f"by turns of {self.turns}, from {self.offset}")
        elif kind in {"missing", "swapped", "noise"}:
            self._spoil_pages(kind, chance)
        else:
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                self._spoil_word(kind, chance)

    def _place(self, chance):
        """Return a place that is read: of each of the three parts as often as the first two."""
        places = self.image.places[chance.choice((*PARTS, *PARTS[1:], PARTS[-1]))]
        return chance.choice(places)

    def _spoil_pages(self, kind, chance):
        one = self._place(chance)[0] // PAGE
        self.changes.append(f"page {one:#x}")
        if kind == "missing":
            self.pages[one] = None
        elif kind == "noise":
            self.pages[one] = chance.randbytes(PAGE)
        else:
            other = self._place(chance)[0] // PAGE
            self.changes.append(f"page {other:#x}")
            pages = self.pages
            pages[one], pages[other] = pages.get(other), pages.get(one)

    def _spoil_word(self, kind, chance):
        address, count = self._place(chance)
        size = min(count, chance.choice((1, 2, 4, 8, 8, 8)))
        at = address + chance.randrange(0, count - size + 1, size)
        if kind == "bits":
            bit = 1 << chance.randrange(8 * size)
            word = self.image.number(at, size) ^ bit
        elif kind == "boundaries":
            word = chance.choice(BOUNDARIES) + chance.choice((0, 0, 0, 1, 8))
        else:  # the word of another place, or its address, or that of its middle
            other, length = self._place(chance)
            inside = other + chance.randrange(0, length, 8)
            word = chance.choice(
                (self.image.number(other, min(8, length)), other, inside, other ^ 4, inside - 8)
            )
        self.write(at, (word % (1 << 8 * size)).to_bytes(size, "little"))
