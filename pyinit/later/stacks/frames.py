"""The threads of a CPython process and the frames of each thread, from CPython 3.11 on.

``_PyRuntime`` leads to the interpreters, these to their threads, and each thread to its innermost
frame; each frame leads to the next one outwards. The location table of the code gives the line of
the instruction that a frame is at (CPython, InternalDocs/code_objects.md).
"""

from pyinit.later.memory import Memory, UnreadableError
from pyinit.later.stacks.symbols import Symbols
from pyinit.later.stacks.tables import DISTANCES, FIXED, PLACES

MOST_INTERPRETERS, MOST_THREADS, MOST_FRAMES = 16, 512, 128
MOST_CHARACTERS = 1024
BEGINS = {"<module>", "_run_module_as_main", "Thread._bootstrap"}
MOST_CODES = 512  # code objects in the cache: a hostile program may have any number
LONGEST_TABLE = 1 << 15  # bytes; of the locations in one function
UNIT = 2  # bytes of code
LAST_LINE = (1 << 31) - 1  # a line number is an int in C
FARTHEST = 1 << 20  # the largest offset in a structure that makes sense
MAJOR = 3
COOKIE = b"xdebugpy"  # at the beginning of the interpreter's own table of offsets
TAGS = 7  # bits of a reference that do not belong to the address, from 3.14 on
WIDEST = {1: 1, 2: 2, 4: 4}
# Functions of asyncio that run an event loop until one coroutine is done.
LOOPS = {"BaseEventLoop.run_until_complete", "Runner.run"}
SIGNALS_DUE = 2  # the bit for signal handlers in the eval breaker, from 3.13 on
MOST_ARGUMENTS = 4  # of a handler: two, and one more for a method
MOST_LOCALS = 8  # the coroutine is one of the first local variables of such a function
TASK_WORDS = 40  # a Task has its coroutine within its first words
MOST_AWAITED = 32
# The fields that are read of a code object, with their sizes in bytes.
OF_CODE = {
    "object_type": 8,
    "object_size": 8,
    "code_filename": 8,
    "code_qualname": 8,
    "code_lines": 8,
    "code_first_line": 4,
    "code_arguments": 4,
}
SHIM = "<shim>"  # the file name of shim frames in 3.12
TRIES = 3  # to read the same stack twice
GARBLED = "its memory is garbled"
BUSY = "its stack changes all the time: it is busy"
NO_PYTHON = "it does not run CPython 3.11 or later"


class Frame:
    """A function that has been called and has not returned.

    Attributes:
        file: the path of its source as the interpreter knows it.
        line: the current line; 0 if the code does not have it.
        function: its qualified name.
        is_handler: whether it is a signal handler, which interrupted the next frame.
        is_awaiting: whether it is a suspended coroutine of the event loop in the next frame.
        is_greenlet: whether it is the outermost frame of a greenlet; the others cannot be seen.
        is_deaf: whether a signal has arrived whose handler the interpreter has not run yet.
    """

    def __init__(self, file: str, line: int, function: str) -> None:
        """Keep them."""
        self.file, self.line, self.function = file, line, function
        self.is_handler = self.is_awaiting = self.is_greenlet = self.is_deaf = False

    def __str__(self) -> str:
        """Return it as the log shows it."""
        return f"{self.file}:{self.line} {self.function}"

    @property
    def is_begin(self) -> bool:
        """Whether it is the outermost frame of a script or of a thread."""
        return self.function in BEGINS


class Code:
    """What a code object says about a function: its file, its name and its lines.

    Attributes:
        address: of the object.
        head: the bytes of it that lead to everything else.
        file, function: as in a frame.
        first_line: of the function.
        table: the location table of its instructions.
        arguments: the number of positional arguments.
        units: the length of its instructions, in units of two bytes.
        is_sure: whether two reads gave the same.
    """

    __slots__ = (
        "address",
        "arguments",
        "file",
        "first_line",
        "function",
        "head",
        "is_sure",
        "table",
        "units",
    )
    address: int
    head: bytes
    file: str
    function: str
    first_line: int
    table: bytes
    arguments: int
    units: int
    is_sure: bool

    def is_like(self, other: "Code") -> bool:
        """Tell whether both have the same content."""
        return (self.head, self.file, self.function, self.table) == (
            *(other.head, other.file, other.function, other.table),
        )


class Reader:
    """Reads the stacks of one process that runs one version of CPython."""

    def __init__(self, memory: Memory, symbols: Symbols) -> None:
        """Find the version of CPython, and its offsets.

        Raises:
            UnreadableError: it is not CPython, or an unknown version of it.
        """
        self._memory = memory
        self._runtime = symbols.address("_PyRuntime")
        at_version = symbols.address("Py_Version")
        self._code_type = symbols.address("PyCode_Type")
        self._frame_type = symbols.address("PyFrame_Type")
        self._tuple_type = symbols.address("PyTuple_Type")
        self._text_type = symbols.address("PyUnicode_Type")
        self._coroutine_type = symbols.address("PyCoro_Type")
        if not (self._runtime and at_version and self._code_type):
            raise UnreadableError(NO_PYTHON)
        word = memory.number(at_version)
        self.version = (word >> 24, word >> 16 & 0xFF)
        if self.version[0] != MAJOR:
            raise UnreadableError(GARBLED)
        if self.version not in FIXED:
            msg = f"this pyinit does not know Python {self.version[0]}.{self.version[1]}"
            raise UnreadableError(msg)
        self._at = {**FIXED[self.version], **self._distances()}
        names = ("frame_code", "frame_previous", "frame_instruction", "frame_copy")
        self._frame_bytes = max(self._at.get(name, 0) for name in names) + 8
        places = [self._at[name] for name in OF_CODE]
        self._code_begin, self._code_bytes = min(places), max(places) + 8 - min(places)
        self._codes: dict[int, Code] = {}

    def _distances(self) -> dict[str, int]:
        if self.version in DISTANCES:
            return DISTANCES[self.version]
        places = PLACES[self.version]
        raw = self._memory.read(self._runtime, max(places.values()) + 8)
        version = int.from_bytes(raw[8:16], "little")
        if raw[:8] != COOKIE or (version >> 24, version >> 16 & 0xFF) != self.version:
            raise UnreadableError(GARBLED)
        self._is_free_threaded = bool(int.from_bytes(raw[16:24], "little"))
        found = {name: int.from_bytes(raw[at : at + 8], "little") for name, at in places.items()}
        if max(found.values()) > FARTHEST:
            raise UnreadableError(GARBLED)
        return found

    _is_free_threaded = False

    def threads(self) -> dict[int, list[int]]:
        """Return the thread states of each thread that runs Python, by its tid.

        A thread has one state in each interpreter that it has entered.

        Raises:
            UnreadableError: they cannot be read.
        """
        memory, at = self._memory, self._at
        found: dict[int, list[int]] = {}
        left = MOST_THREADS
        interpreter = memory.number(self._runtime + at["head"])
        seen = {0}
        for _interpreter in range(MOST_INTERPRETERS):
            if not interpreter:
                break
            thread = memory.number(interpreter + at["interpreter_threads"])
            while left and thread not in seen:
                left -= 1
                seen.add(thread)
                found.setdefault(memory.number(thread + at["thread_tid"]), []).append(thread)
                thread = memory.number(thread + at["thread_next"])
            interpreter = memory.number(interpreter + at["interpreter_next"])
        return found

    def stack(self, states: list[int], *, is_first: bool) -> list[Frame]:
        """Return the frames of a thread, innermost first.

        The thread may run meanwhile, so the stack is read twice, and the common part is returned.
        For a busy thread that is the outer frames; the last one has the line of one of the reads.

        Args:
            states: of the thread, from :meth:`threads`.
            is_first: whether it is the first thread, which alone runs signal handlers.

        Raises:
            UnreadableError: they cannot be read, or have nothing in common.
        """
        last: list[Frame] = []
        found: list[Frame] = []
        reason, has_read = BUSY, False
        for _try in range(TRIES + 1):
            last = found
            try:
                found = self._stack(states, is_first=is_first)
            except UnreadableError as error:  # it may have changed during the read
                found, reason = [], str(error)
                continue
            has_read = True
            if _told(found) == _told(last):
                return found
        rest = _common(found, last)
        if not rest:
            raise UnreadableError(BUSY if has_read else reason)
        return rest

    def _stack(self, states: list[int], *, is_first: bool) -> list[Frame]:
        found: list[Frame] = []
        for state in states:
            frames = self._frames(state, is_first=is_first)
            is_deaf = is_first and self._are_signals_due(state)
            for frame in frames:
                frame.is_deaf = is_deaf
            found += frames
        return found

    def _are_signals_due(self, thread: int) -> bool:
        """Tell whether Python has yet to run a signal handler."""
        memory, at = self._memory, self._at
        if "thread_due" in at:
            return bool(memory.number(thread + at["thread_due"]) & SIGNALS_DUE)
        return memory.number(self._runtime + at["signals_due"], 4) == 1

    def _frames(self, thread: int, *, is_first: bool) -> list[Frame]:
        memory, at = self._memory, self._at
        frame = memory.number(thread + at["thread_frame"])
        if frame and "cframe_frame" in at:
            frame = memory.number(frame + at["cframe_frame"])
        found: list[Frame] = []
        running: set[int] = set()
        awaiting: list[Frame] = []
        interrupted = 0  # the frame that the last one of them interrupted, if it is a handler
        for _frame in range(MOST_FRAMES):
            if not frame:
                break
            if frame in running:
                raise UnreadableError(GARBLED)
            running.add(frame)
            raw = memory.read(frame, self._frame_bytes)
            code = self._code(self._field(raw, "frame_code") & ~TAGS)
            # From 3.13 on, the interpreter has frames of its own without code.
            if code is None and self.version < (3, 13):
                raise UnreadableError(GARBLED)
            if code is not None:
                if found and frame == interrupted:
                    found[-1].is_handler = True
                told = self._frame(raw, code)
                if told.file != SHIM:
                    found.append(told)
                    interrupted = self._interrupted(frame, code) if is_first else 0
                    if told.function in LOOPS and not awaiting:
                        awaiting = self._awaiting(frame, running)
            frame = self._field(raw, "frame_previous")
        return awaiting + found

    def _field(self, raw: bytes, name: str, count: int = 8) -> int:
        at = self._at[name]
        return int.from_bytes(raw[at : at + count], "little")

    def _code(self, address: int) -> "Code | None":
        """Return the code of a function; None if the object is not code.

        A code object that two reads found equal is cached. It is used again only if its head has
        not changed: the memory may hold the code of another function by then.
        """
        memory, at = self._memory, self._at
        known = self._codes.get(address)
        if known is None and self._type_of(address) != self._code_type:
            return None
        head = memory.read(address + self._code_begin, self._code_bytes)
        if known is not None and known.is_sure and known.head == head:
            return known
        values = {
            name: int.from_bytes(head[at[name] - self._code_begin :][:count], "little")
            for name, count in OF_CODE.items()
        }
        if values["object_type"] != self._code_type:
            raise UnreadableError(GARBLED)
        found = Code()
        found.address, found.head = address, head
        found.file = self._text(values["code_filename"])
        found.function = self._text(values["code_qualname"])
        found.table = self._bytes(values["code_lines"])
        if not covers(found.table, values["object_size"]):
            found.table = b""
        found.first_line = values["code_first_line"]
        found.arguments = values["code_arguments"]
        found.units = values["object_size"]
        found.is_sure = known is not None and found.is_like(known)
        if len(self._codes) >= MOST_CODES:
            self._codes.clear()
        self._codes[address] = found
        return found

    def _frame(self, raw: bytes, code: Code) -> Frame:
        memory, at = self._memory, self._at
        begin = code.address + at["code_instructions"]
        if self._is_free_threaded and "frame_copy" in at:
            copy = self._field(raw, "frame_copy", 4)
            if copy:
                copies = memory.number(code.address + at["code_copies"])
                begin = memory.number(copies + 8 + copy * 8)
        here = self._field(raw, "frame_instruction") - begin
        # In 3.11 and 3.12, a new frame points to one unit before its first instruction.
        if here % UNIT or not -UNIT <= here < UNIT * code.units:
            raise UnreadableError(GARBLED)
        line = line_at(code.table, code.first_line, max(here, 0) // UNIT)
        if not 0 <= line <= LAST_LINE:
            raise UnreadableError(GARBLED)
        return Frame(code.file, line, code.function)

    def _interrupted(self, frame: int, code: Code) -> int:
        """Return the frame that a function got as an argument, as signal handlers do; or 0."""
        memory, at = self._memory, self._at
        if not self._frame_type:
            return 0
        count = min(code.arguments + 1, MOST_ARGUMENTS)  # or `*_`
        for index in range(count):
            given = memory.number(frame + at["frame_locals"] + 8 * index) & ~TAGS
            for value in (given, *self._second_of_two(given)):
                if value and self._type_of(value) == self._frame_type:
                    return memory.number(value + at["object_size"] + at["object_frame"])
        return 0

    def _second_of_two(self, address: int) -> "tuple[int, ...]":
        """Return the second element of a tuple of two; nothing for anything else."""
        memory, at = self._memory, self._at
        if not self._tuple_type or self._type_of(address) != self._tuple_type:
            return ()
        size = at["object_size"]
        items = size + (8 if self.version < (3, 14) else 16)  # 3.14 added the hash
        if memory.number(address + size) != 2:  # noqa: PLR2004
            return ()
        return (memory.number(address + items + 8),)

    def _awaiting(self, frame: int, running: set[int]) -> list[Frame]:
        """Return the main coroutine of an event loop, and what it awaits, innermost first.

        Args:
            frame: the frame of the event loop.
            running: the frames of its thread. A coroutine among these does not await: it runs.
        """
        memory, at = self._memory, self._at
        coroutine = 0
        seen: set[int] = set()
        found: list[Frame] = []
        values = [frame + at["frame_locals"] + 8 * index for index in range(MOST_LOCALS)]
        for value in values:
            coroutine = coroutine or self._coroutine_in(memory.number(value) & ~TAGS)
        while coroutine and len(found) < MOST_AWAITED:
            frame = coroutine + at["generator_frame"]
            if frame in running:
                break
            if coroutine in seen:
                raise UnreadableError(GARBLED)
            seen.add(coroutine)
            raw = memory.read(frame, self._frame_bytes)
            code = self._code(self._field(raw, "frame_code") & ~TAGS)
            if code is None:
                break
            told = self._frame(raw, code)
            told.is_awaiting = True
            found.insert(0, told)
            if self.version < (3, 14):
                depth = memory.number(frame + at["frame_top"], 4)
                top = frame + at["frame_locals"] + 8 * (depth - 1)
            else:
                top = memory.number(frame + at["frame_top"]) - 8
            coroutine = self._if_coroutine(memory.number(top) & ~TAGS) or self._if_coroutine(
                memory.number(top - 8) & ~TAGS
            )
        return found

    def _coroutine_in(self, address: int) -> int:
        """Return a coroutine, or the coroutine of a Task; 0 for anything else."""
        if not address or self._if_coroutine(address):
            return address
        try:
            raw = self._memory.read(address, TASK_WORDS * 8)
        except UnreadableError:
            return 0
        words = [
            int.from_bytes(raw[place : place + 8], "little") for place in range(0, len(raw), 8)
        ]
        return next(filter(self._if_coroutine, words), 0)

    def _if_coroutine(self, address: int) -> int:
        is_one = self._coroutine_type and self._type_of(address) == self._coroutine_type
        return address if is_one else 0

    def _type_of(self, address: int) -> int:
        """Return the address of an object's type; 0 if there is no object."""
        try:
            return self._memory.number(address + self._at["object_type"]) if address else 0
        except UnreadableError:
            return 0

    def _text(self, address: int) -> str:
        memory, at = self._memory, self._at
        if self._text_type and memory.number(address + at["object_type"]) != self._text_type:
            raise UnreadableError(GARBLED)
        state = memory.number(address + at["text_state"], 4)
        state >>= 8 if self._is_free_threaded and self.version >= (3, 14) else 2
        width, is_compact, is_ascii = state & 7, state & 8, state & 16
        length = memory.number(address + at["text_length"])
        if width not in WIDEST or not is_compact:
            raise UnreadableError(GARBLED)
        begin = address + at["text_content"] + (0 if is_ascii else at["text_wide"])
        # A NUL follows each text, and a name contains none. That shows a wrong length, and keeps
        # the memory after the text out of the log.
        raw = memory.read(begin, width * (min(length, MOST_CHARACTERS) + 1))
        encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
        text = raw.decode(encoding, "replace")
        if text.find("\0") != (length if length <= MOST_CHARACTERS else -1):
            raise UnreadableError(GARBLED)
        return text[:MOST_CHARACTERS].rstrip("\0")

    def _bytes(self, address: int) -> bytes:
        memory, at = self._memory, self._at
        length = memory.number(address + at["bytes_length"])
        if length > LONGEST_TABLE:
            return b""
        return memory.read(address + at["bytes_content"], length) if length else b""


def _told(stack: list[Frame]) -> list[tuple[str, bool]]:
    return [(str(frame), frame.is_deaf) for frame in stack]


def _common(stack: list[Frame], other: list[Frame]) -> list[Frame]:
    """Return the common outer frames of two stacks; the line of the last one may differ."""
    found: list[Frame] = []
    for one, two in zip(reversed(stack), reversed(other), strict=False):
        if (one.file, one.function) != (two.file, two.function):
            break
        one.is_deaf = one.is_deaf and two.is_deaf
        found.insert(0, one)
        if one.line != two.line:
            break
    return found


def covers(table: bytes, units: int) -> bool:
    """Tell whether a location table covers exactly the units of two bytes that a code has.

    Only the first byte of each entry has its highest bit set.
    """
    return sum((byte & 7) + 1 for byte in table if byte & 128) == units


def line_at(table: bytes, first: int, wanted: int) -> int:
    """Return the line of an instruction, or 0 if the code does not have it.

    Args:
        table: the code's co_linetable.
        first: the code's first line.
        wanted: the offset of the instruction, in units of two bytes.
    """
    line, at, unit = first, 0, 0
    while at < len(table):
        kind, length = table[at] >> 3 & 15, (table[at] & 7) + 1
        end = at + 1
        while end < len(table) and not table[end] & 128:
            end += 1
        if kind in {13, 14}:
            line += _signed(table, at + 1)
        elif kind in {10, 11, 12}:
            line += kind - 10
        unit += length
        if wanted < unit:
            return 0 if kind == 15 else line  # noqa: PLR2004 - no location
        at = end
    return 0


def _signed(table: bytes, at: int) -> int:
    value, shift = 0, 0
    while at < len(table) and shift < 36:  # noqa: PLR2004 - more than a line may have
        value |= (table[at] & 63) << shift
        if not table[at] & 64:
            break
        at, shift = at + 1, shift + 6
    return -(value >> 1) if value & 1 else value >> 1


def reader(memory: Memory, bases: dict[str, int], program: str) -> Reader:
    """Return a reader for the stacks of a process.

    Args:
        memory: its memory.
        bases: the files that are mapped into it, with their addresses.
        program: the file that it runs.

    Raises:
        UnreadableError: it does not run CPython, or cannot be read.
    """
    reasons = []
    names = [program, *(path for path in bases if "/libpython3" in path)]
    for path in names:
        if path in bases:
            try:
                return Reader(memory, Symbols(memory, bases[path]))
            except UnreadableError as error:
                reasons.append(error)
    raise reasons[-1] if reasons else UnreadableError(NO_PYTHON)
