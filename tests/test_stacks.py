"""Stacks of Python processes are read from their memory, and whatever that is ends in a word."""

import contextlib
import mmap
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack_images import KINDS, PAGE, Pages, Recording, Wrong, check, told_if_wrong, until_asleep
from testkit.interpreters import at_hand
from testkit.processes import state, until

from pyinit.later import stacks
from pyinit.later import memory
from pyinit.later.stacks import frames, symbols
from pyinit.later.memory import Memory, UnreadableError

PYTHONS = at_hand()
EACH = pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
SECONDS = 60.0  # a loaded machine may take long
FROM_STRING = re.compile(r"<(string|script)>:1 <module>")  # as versions call it

HUNG = """
import signal, threading

def forever(lock):
    lock.acquire()

def worker():
    forever(held)

def handler(signum, frame):
    forever(held)

def generator():
    yield 1
    signal.raise_signal(signal.SIGTERM)

class Naïve:
    def main(self):
        for _ in generator():
            pass

held = threading.Lock()
held.acquire()
signal.signal(signal.SIGTERM, handler)
threading.Thread(target=worker, daemon=True).start()
print("ready", flush=True)
Naïve().main()
"""

AWAITING = """
import asyncio

async def fetch(event):
    await event.wait()

async def gather():
    await fetch(asyncio.Event())

async def main():
    print("ready", flush=True)
    async with asyncio.timeout(1000):
        await gather()

asyncio.run(main())
"""

CROWD = """
import threading
held = threading.Lock()
held.acquire()
started = threading.Semaphore(0)

def work():
    started.release()
    held.acquire()

for _ in range(500):
    threading.Thread(target=work, daemon=True).start()
for _ in range(500):
    started.acquire()
print("ready", flush=True)
held.acquire()
"""


def line_of(source: str, text: str) -> int:
    """Return the number of the line of a program that has a text."""
    return next(at for at, line in enumerate(source.splitlines(), 1) if text in line)


@pytest.fixture
def hang(tmp_path):
    """Return what runs a program until it says that it is ready, and then hangs."""
    running = []

    def start(source: str, *python: str) -> subprocess.Popen:
        path = tmp_path / "app.py"
        path.write_text(source)
        command = [*(python or (sys.executable,)), str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        running.append(process)
        assert b"ready\n" == process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def read(pid: int) -> dict[int, list[frames.Frame]]:
    """Return the stacks of a process that hangs."""
    until_asleep(pid)
    return stacks.read(pid, time.monotonic() + SECONDS)


def named(stack: list[frames.Frame]) -> list[str]:
    """Return them as they are told, with the bare name of the file."""
    return [str(frame).rpartition("/")[2] for frame in stack]


@EACH
def test_lines_and_functions(hang, python):
    """Each thread's frames, innermost first, generators too, and what the handler interrupted."""
    process = hang(HUNG, python)
    found = read(process.pid)
    (other,) = found.keys() - {process.pid}
    forever = f"app.py:{line_of(HUNG, 'lock.acquire()')} forever"
    handler = f"app.py:{line_of(HUNG, 'forever(held)') + 3} handler"
    raised = f"app.py:{line_of(HUNG, 'raise_signal')} generator"
    main = f"app.py:{line_of(HUNG, 'in generator()')} Naïve.main"
    last = f"app.py:{len(HUNG.splitlines())} <module>"

    assert [forever, handler, raised, main, last] == named(found[process.pid])
    assert [False, True, False, False, False] == [each.is_handler for each in found[process.pid]]
    assert [forever, f"app.py:{line_of(HUNG, 'forever(held)')} worker"] == named(found[other])[:2]
    assert "Thread._bootstrap" == found[other][-1].function


@EACH
def test_coroutine_that_awaits(hang, python):
    """Of an event loop the coroutines that it runs for come first, not only its own waiting."""
    process = hang(AWAITING, python)
    stack = read(process.pid)[process.pid]
    awaiting = [frame for frame in stack if frame.is_awaiting]
    of_app = [
        f"app.py:{line_of(AWAITING, text)} {function}"
        for text, function in (
            ("event.wait()", "fetch"),
            ("fetch(asyncio", "gather"),
            ("await gather()", "main"),
        )
    ]

    assert ["Event.wait", "fetch", "gather", "main"] == [frame.function for frame in awaiting]
    assert of_app == named(awaiting)[1:]
    assert awaiting == stack[:4]
    assert stack[-1].function == "<module>"


@EACH
def test_without_a_right(python):
    """Below no_new_privs and without one capability an ancestor may read."""
    source = f"""
import os, subprocess, sys, time
sys.path[:] = {sys.path!r}
from pyinit.later import stacks
child = subprocess.Popen([{python!r}, "-c", {AWAITING!r}], stdout=subprocess.PIPE)
child.stdout.readline()
try:
    found = []
    while not any(frame.is_awaiting for frame in found):
        found = stacks.read(child.pid, time.monotonic() + {SECONDS})[child.pid]
    print(found[1])
finally:
    child.kill()
"""
    rights = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    rights = rights if os.geteuid() == 0 else []
    command = [*rights, sys.executable, "-c", source]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (f"<string>:{line_of(AWAITING, 'event.wait()')} fetch\n", "") == (
        done.stdout,
        done.stderr,
    )


def test_five_hundred_threads(hang):
    """All are found that there is time for, and there are bounds."""
    process = hang(CROWD)
    found = read(process.pid)

    assert 501 == len(found)
    assert {f"app.py:{line_of(CROWD, 'held.acquire()') + 5} work"} == {
        named(stack)[0] for tid, stack in found.items() if tid != process.pid
    }


def test_deadline_is_kept(hang):
    """Where there is no time left it says so."""
    process = hang(CROWD)
    with pytest.raises(UnreadableError, match="it took too long"):
        stacks.read(process.pid, time.monotonic())


def test_busy_process_is_told_as_such(hang):
    """What changes from moment to moment is nowhere, and no line is told as the one."""
    source = (
        "import sys\nsys.settrace(None)\n"  # `make coverage` traces each Python
        'print("ready", flush=True)\ndef f(n):\n    return n and f(n - 1)\nwhile True:\n    f(90)'
    )
    process = hang(source)
    try:
        found = stacks.read(process.pid, time.monotonic() + SECONDS)
    except UnreadableError as error:
        assert "it is busy" in str(error)  # noqa: PT017 - it may have been read twice alike
    else:
        assert {"f", "<module>"} >= {frame.function for frame in found[process.pid]}


def test_other_programs_are_told_as_such():
    """A program that is none of Python's."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            with pytest.raises(UnreadableError, match=r"it does not run CPython 3\.11 or later"):
                stacks.read(process.pid, time.monotonic() + SECONDS)
        finally:
            process.kill()


def test_process_that_is_gone():
    """There is nothing to read."""
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(UnreadableError, match="No such file or directory"):
        stacks.read(process.pid, time.monotonic() + SECONDS)


def test_process_that_may_not_be_looked_at(hang):
    """Another user's, or one that is not dumpable: the kernel's word for it."""
    other = hang(HUNG)
    until_asleep(other.pid)
    source = f"""
import os, sys, time
sys.path[:] = {sys.path!r}
from pyinit.later import stacks
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    stacks.read({other.pid if os.geteuid() == 0 else 1}, time.monotonic() + 5)
except stacks.UnreadableError as error:
    print(error)
"""
    rights = ["setpriv", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    command = [*(rights if os.geteuid() == 0 else []), sys.executable, "-c", source]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert "Permission denied" in done.stdout, done.stderr


@EACH
def test_sub_interpreters(hang, python):
    """Their threads are found as well."""
    source = """
import threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = 'import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()'
one = interpreters.create()
threading.Thread(target=interpreters.run_string, args=(one, code), daemon=True).start()
print("ready", flush=True)
held = threading.Lock()
held.acquire()
held.acquire()
"""
    process = hang(source, python)
    told: list[str] = []
    while not any(FROM_STRING.fullmatch(each) for each in told):  # the thread may not have begun
        told = [str(frame) for stack in read(process.pid).values() for frame in stack]


def test_program_may_be_gone(hang, tmp_path):
    """As where it was replaced by a newer one while it ran."""
    program = tmp_path / "python"
    shutil.copy(os.path.realpath(sys.executable), program)
    process = hang(HUNG, program)
    until_asleep(process.pid)
    program.unlink()
    found = stacks.read(process.pid, time.monotonic() + SECONDS)

    assert "forever" == found[process.pid][0].function


FAR = 1 << 22  # bytes: more than the kernel brings in beside what is asked for
MOUNTS = b"""22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 0:%d / /mnt/a\\040-\\040fuse rw - fuse.sshfs host:/ rw,user_id=0
41 27 8:1 / / rw - ext4 /dev/fuse rw
"""


@pytest.mark.parametrize(("minor", "is_fuse"), [(0x2F, True), (0x30, False)])
def test_what_may_hang_is_read_where_it_is_in_memory(tmp_path, monkeypatch, minor, is_fuse):
    """A file system of FUSE whose process does not answer would hold PID 1 for ever."""
    path = tmp_path / "file"
    path.write_bytes(bytes(FAR + 1))
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    lines = memory._lines

    def told(pid, name, most):
        if name == "mountinfo":
            return (MOUNTS % minor).splitlines()
        device = rb"[0-9a-f]+:[0-9a-f]+(?= .*%s$)" % re.escape(os.fsencode(path))
        return [re.sub(device, b"00:2f", line) for line in lines(pid, name, most)]

    monkeypatch.setattr(memory, "_lines", told)
    with contextlib.closing(Memory(os.getpid(), time.monotonic() + SECONDS)) as found:
        assert is_fuse == bool(found.may_hang)
        begin = symbols.objects(os.getpid())[str(path)]
        assert not mapped[0]  # now the first page is there, and some more
        assert bytes(8) == found.read(begin, 8)
        if is_fuse:
            with pytest.raises(UnreadableError, match="FUSE"):
                found.read(begin + FAR, 1)
        else:
            assert found.read(begin + FAR, 1) == bytes(1)


@pytest.mark.parametrize("bound", ["MOST_MAPS", "MOST_MOUNTS"])
def test_what_is_not_listed_may_hang(monkeypatch, bound):
    """Where the list is longer than what is read of it nothing is read of the process."""
    monkeypatch.setattr(memory, bound, 64)
    with pytest.raises(UnreadableError, match="too many mappings"):
        stacks.read(os.getpid(), time.monotonic() + SECONDS)


def test_tables_are_those_of_the_headers(tmp_path):
    """What is in tables.py is made from the headers of this very version."""
    from pyinit.later.stacks import tables

    root = Path(__file__).parent.parent
    include = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('include'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    written = tmp_path / "tables.py"
    script = root / "scripts" / "stack_tables.py"
    subprocess.run([sys.executable, script, "--to", written, include], check=True)
    made: dict = {}
    exec(written.read_text(), made)
    version = sys.version_info[:2]

    for name in ("DISTANCES", "PLACES", "FIXED"):
        assert getattr(tables, name).get(version) == made[name].get(version)


def test_line_table():
    """The lines of a function with jumps back and forth, long ones, and none."""

    def function(first):
        second = {first: str(first) for first in range(3)} if first else 1

        while first:
            try:
                second = first + second
            finally:
                first = None
        return first, second

    for code in (function.__code__, test_five_hundred_threads.__code__, re.compile.__code__):
        for start, end, line in code.co_lines():
            for at in range(start, end, 2):
                told = frames.line_at(code.co_linetable, code.co_firstlineno, at // 2)
                assert (line or 0) == told


@pytest.mark.parametrize("table", [b"", b"\xff", b"\xe8\xff", b"\x00", bytes([0x80 | 13 << 3])])
def test_line_table_that_is_cut(table):
    """There is no line then, and no error."""
    assert isinstance(frames.line_at(table, 5, 10), int)


class Image(Memory):
    """Memory that is written by hand; where nothing is written there are zeros."""

    def __init__(self, version=(3, 14), *, is_free_threaded=False):
        self._bytes = {}
        self._end = 1 << 20
        self.version, self.is_free_threaded = version, is_free_threaded
        places = frames.PLACES[version]
        found = {name: 1024 + 64 * index for index, name in enumerate(places)}
        number = version[0] << 24 | version[1] << 16
        self.put(SYMBOLS["Py_Version"], number)
        self.put(SYMBOLS["_PyRuntime"], int.from_bytes(frames.COOKIE, "little"))
        self.put(SYMBOLS["_PyRuntime"] + 8, number)
        self.put(SYMBOLS["_PyRuntime"] + 16, int(is_free_threaded))
        for name, place in places.items():
            self.put(SYMBOLS["_PyRuntime"] + place, found[name])
        self.at = {**frames.FIXED[version], **found}

    def pages(self):
        """Return it as pages; where nothing is written near there are none."""
        found = {}
        for number in {address // PAGE for address in self._bytes}:
            for each in (number, number + 1):
                found[each] = bytes(self._bytes.get(each * PAGE + at, 0) for at in range(PAGE))
        return found

    def put(self, address, value, count=8):
        self._bytes.update(enumerate(value.to_bytes(count, "little"), address))

    def write(self, address, raw):
        self._bytes.update(enumerate(raw, address))

    def read(self, address, count):
        if not 0 < address < 1 << 63:
            raise UnreadableError(frames.GARBLED)
        return bytes(self._bytes.get(at, 0) for at in range(address, address + count))

    def new(self, kind="", **fields):
        self._end += 1 << 14
        if kind:
            fields["object_type"] = SYMBOLS[kind]
        for name, value in fields.items():
            self.put(self._end + self.at[name], value)
        return self._end

    def text(self, text, width=1, flags=24):
        shift = 8 if self.is_free_threaded and self.version >= (3, 14) else 2
        encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}.get(width, "utf-8")
        found = self.new("PyUnicode_Type", text_state=(width | flags) << shift)
        self.put(found + self.at["text_length"], len(text))
        wide = 0 if flags & 16 else self.at["text_wide"]
        self.write(found + self.at["text_content"] + wide, text.encode(encoding, "surrogatepass"))
        return found

    def code(self, name, arguments=0, file="app.py"):
        table = self.new(bytes_length=2)
        self.write(table + self.at["bytes_content"], bytes([0x80 | 10 << 3, 0x80 | 11 << 3]))
        found = self.new(
            "PyCode_Type",
            code_filename=self.text(file),
            code_qualname=self.text(name),
            code_first_line=7,
            code_lines=table,
            code_arguments=arguments,
            object_size=2,
        )
        if "code_copies" in self.at:
            copies = self.new(code_copies=0)
            self.put(found + self.at["code_copies"], copies)
            self.put(copies + 8 + 8 * 3, found + (1 << 13))
        return found

    def fill(self, frame, code, values=(), previous=0):
        """Write a frame, which is at the second line of its function."""
        begin = code + self.at["code_instructions"]
        if self.is_free_threaded and "frame_copy" in self.at:
            self.put(frame + self.at["frame_copy"], 3)
            begin = code + (1 << 13)
        self.put(frame + self.at["frame_code"], code)
        self.put(frame + self.at["frame_instruction"], begin + 2)
        self.put(frame + self.at["frame_previous"], previous)
        for index, value in enumerate(values):
            self.put(frame + self.at["frame_locals"] + 8 * index, value)
        is_depth = self.version < (3, 14)
        top = 2 if is_depth else frame + self.at["frame_locals"] + 16
        self.put(frame + self.at["frame_top"], top, 4 if is_depth else 8)
        return frame

    def frame(self, code, values=(), previous=0):
        return self.fill(self.new(), code, values, previous)

    def coroutine(self, code, values=()):
        found = self.new("PyCoro_Type")
        self.fill(found + self.at["generator_frame"], code, values)
        return found

    def tuple(self, *values):
        found = self.new("PyTuple_Type", object_size=len(values))
        begin = found + self.at["object_size"] + (8 if self.version < (3, 14) else 16)
        for index, value in enumerate(values):
            self.put(begin + 8 * index, value)
        return found

    def frame_object(self, frame):
        found = self.new("PyFrame_Type")
        self.put(found + self.at["object_size"] + self.at["object_frame"], frame)
        return found

    def reader(self, **symbols):
        return frames.Reader(self, Known(SYMBOLS | symbols))

    def stack(self, frame, due=0, **symbols):
        thread = self.new(thread_frame=frame)
        self.put(thread + self.at["thread_due"], due)
        return self.reader(**symbols).stack([thread], is_first=True)


class Known:
    """Symbols that are known beforehand."""

    def __init__(self, symbols):
        self.address = symbols.get


SYMBOLS = {
    "_PyRuntime": 1 << 16,
    "Py_Version": 1 << 13,
    "PyCode_Type": 0x1010,
    "PyFrame_Type": 0x1020,
    "PyTuple_Type": 0x1030,
    "PyUnicode_Type": 0x1040,
    "PyCoro_Type": 0x1050,
}
IMAGES = pytest.mark.parametrize(
    ("version", "is_free_threaded"),
    [(version, is_free) for version in sorted(frames.PLACES) for is_free in (False, True)],
)


@IMAGES
def test_handler_that_takes_any_arguments(version, is_free_threaded):
    """Its frame has them in a tuple; what is no function's frame is passed over."""
    image = Image(version, is_free_threaded=is_free_threaded)
    main = image.frame(image.code("main"))
    shim = image.frame(image.code("shim", file=frames.SHIM), previous=main)
    foreign = image.frame(image.new(), previous=shim)
    given = image.tuple(15, image.frame_object(main))
    handler = image.frame(image.code("handler"), [given], foreign)
    code = image.code("inner", 2)
    inner = image.frame(code, [image.tuple(1), image.new()], handler)
    if "frame_copy" in image.at:  # it runs the code itself, and not a copy
        image.put(inner + image.at["frame_copy"], 0, 4)
        image.put(inner + image.at["frame_instruction"], code + image.at["code_instructions"])

    found = image.stack(inner, due=frames.SIGNALS_DUE)

    assert ["inner", "handler", "main"] == [frame.function for frame in found]
    assert "app.py:8 handler" == str(found[1])
    assert [False, True, False] == [frame.is_handler for frame in found]
    assert all(frame.is_deaf for frame in found)


@IMAGES
def test_coroutine_of_an_event_loop(version, is_free_threaded):
    """It is found in a Task as well, and followed to what it awaits."""
    image = Image(version, is_free_threaded=is_free_threaded)
    last = image.coroutine(image.code("last"), [0, image.coroutine(image.new())])
    first = image.coroutine(image.code("first"), [last, 0])
    task = image.new()
    image.put(task + 16, first)
    outer = image.frame(image.code("Runner.run"), [first])
    loop = image.frame(image.code("Runner.run"), [1 << 63, image.new(), task], outer)

    found = image.stack(loop, PyFrame_Type=0)

    assert ["last", "first", "Runner.run", "Runner.run"] == [each.function for each in found]
    assert [True, True, False, False] == [each.is_awaiting for each in found]


@IMAGES
def test_errors_in_other_versions(version, is_free_threaded):
    """Of those that are not at hand there is what is written by hand, and that with errors."""
    image = Image(version, is_free_threaded=is_free_threaded)
    coroutine = image.coroutine(image.code("coroutine"), [0, 0])
    task = image.new()
    image.put(task + 16, image.coroutine(image.code("first"), [coroutine, 0]))
    loop = image.frame(image.code("Runner.run"), [1, image.new(), task])
    foreign = image.frame(image.new(), previous=loop)
    given = image.tuple(15, image.frame_object(loop))
    handler = image.frame(image.code("handler"), [given], foreign)
    thread = image.new(thread_tid=5, thread_frame=handler)
    image.put(SYMBOLS["_PyRuntime"] + image.at["head"], image.new(interpreter_threads=thread))
    found = Recording(Pages(image.pages()), 5, lambda memory: frames.Reader(memory, Known(SYMBOLS)))
    assert ["coroutine", "first", "handler", "Runner.run"] == [
        frame.function for frame in found.answer[5]
    ]
    for number in range(300):
        seed = f"{version} {is_free_threaded} {number}"
        memory = Wrong(found)
        memory.spoil(KINDS[number % len(KINDS)], random.Random(seed))
        with told_if_wrong(memory, seed):
            check(found, memory)


def test_coroutine_that_runs_awaits_nothing():
    image = Image()
    coroutine = image.coroutine(image.code("main"))
    loop = image.frame(image.code("Runner.run"), [coroutine])
    running = coroutine + image.at["generator_frame"]
    image.put(running + image.at["frame_previous"], loop)

    assert ["main", "Runner.run"] == [each.function for each in image.stack(running)]


def test_rings_end():
    """What leads back to itself is garbled; of a ring of threads each is told once."""
    image = Image()
    coroutine = image.coroutine(image.code("main"))
    first_local = image.at["generator_frame"] + image.at["frame_locals"]
    image.put(coroutine + first_local, coroutine)
    loop = image.frame(image.code("Runner.run"), [coroutine])
    with pytest.raises(UnreadableError, match="garbled"):
        image.stack(loop)
    image.put(coroutine + first_local, 0)
    assert 2 == len(image.stack(loop))
    image.put(loop + image.at["frame_previous"], loop)
    with pytest.raises(UnreadableError, match="garbled"):
        image.stack(loop)
    thread = image.new(thread_tid=5)
    image.put(thread + image.at["thread_next"], thread)
    interpreter = image.new(interpreter_threads=thread)
    image.put(interpreter + image.at["interpreter_next"], interpreter)
    image.put(SYMBOLS["_PyRuntime"] + image.at["head"], interpreter)

    assert {5: [thread]} == image.reader().threads()


def test_what_is_long_is_cut():
    """The innermost frames are told, and of what is awaited the outermost."""
    image = Image()
    code, frame, coroutine, thread = image.code("f"), 0, 0, 0
    for _ in range(frames.MOST_FRAMES + 9):
        frame = image.frame(code, previous=frame)
        coroutine = image.coroutine(code, [coroutine])
    loop = image.frame(image.code("Runner.run"), [coroutine], frame)
    for _ in range(frames.MOST_THREADS + 9):
        thread = image.new(thread_tid=5, thread_next=thread)
    image.put(SYMBOLS["_PyRuntime"] + image.at["head"], image.new(interpreter_threads=thread))

    assert frames.MOST_FRAMES + frames.MOST_AWAITED == len(image.stack(loop))
    assert frames.MOST_THREADS == len(image.reader().threads()[5])


@pytest.mark.parametrize(("version", "is_garbled"), [((3, 12), True), ((3, 13), False)])
def test_frame_without_code(monkeypatch, version, is_garbled):
    """Up to 3.12 each has some; from then on the interpreter has others of its own."""
    image = Image((3, 13))
    frame = image.frame(image.new(), previous=image.frame(image.code("main")))
    reader = image.reader()
    monkeypatch.setattr(reader, "version", version)
    thread = image.new(thread_frame=frame)
    if is_garbled:
        with pytest.raises(UnreadableError, match="garbled"):
            reader.stack([thread], is_first=True)
    else:
        assert ["main"] == [each.function for each in reader.stack([thread], is_first=True)]


def test_code_that_changes_is_read_again():
    """What was read once is not known yet; what was read twice alike is, as long as it is there."""
    image = Image()
    frame = image.frame(image.code("main"))
    code = image.number(frame + image.at["frame_code"])
    text = image.number(code + image.at["code_qualname"]) + image.at["text_content"]
    reader = image.reader()
    for name, told in (("none", "none"), ("some", "some"), ("some", "some"), ("more", "some")):
        image.write(text, name.encode())
        assert told == reader._code(code).function
    image.put(code + image.at["code_first_line"], 8, 4)
    assert "more" == reader._code(code).function
    image.put(code + image.at["object_type"], SYMBOLS["PyTuple_Type"])
    with pytest.raises(UnreadableError, match="garbled"):
        reader._code(code)


def test_few_functions_are_remembered(monkeypatch):
    """A program that makes up as many as it likes does not fill PID 1's memory."""
    monkeypatch.setattr(frames, "MOST_CODES", 2)
    image = Image()
    frame = 0
    for name in "abcde":
        frame = image.frame(image.code(name), previous=frame)
    reader = image.reader()
    thread = image.new(thread_frame=frame)

    assert list("edcba") == [each.function for each in reader.stack([thread], is_first=True)]
    assert len(reader._codes) <= 2


def test_table_of_lines_that_is_another_codes():
    """It has no line then; the function is told."""
    image = Image()
    code = image.code("main")
    image.put(code + image.at["object_size"], 3)

    assert ["app.py:0 main"] == [str(frame) for frame in image.stack(image.frame(code))]


@pytest.mark.parametrize("beyond", [-4, -1, 1, 4])
def test_instruction_of_another_function(beyond):
    """An instruction that is outside of its code has no line there: one of the two is wrong."""
    image = Image()
    frame = image.frame(image.code("main"))
    begin = image.number(frame + image.at["frame_code"]) + image.at["code_instructions"]
    image.put(frame + image.at["frame_instruction"], begin + beyond)
    with pytest.raises(UnreadableError, match="garbled"):
        image.stack(frame)


def test_line_that_cannot_be():
    image = Image()
    frame = image.frame(image.code("main"))
    code = image.number(frame + image.at["frame_code"])
    image.put(code + image.at["code_first_line"], frames.LAST_LINE, 4)
    with pytest.raises(UnreadableError, match="garbled"):
        image.stack(frame)


@pytest.mark.parametrize(
    ("text", "width", "flags"),
    [
        *(("", 1, 24), ("a", 1, 24), ("é", 1, 8), ("ł", 2, 8), ("😀", 4, 8), ("\udcff", 2, 8)),
        *(("a" * frames.MOST_CHARACTERS, 1, 24), ("a" * (frames.MOST_CHARACTERS + 1), 1, 24)),
    ],
)
def test_text(text, width, flags):
    """A text that is long is cut; half a character, as undecodable names have, is replaced."""
    image = Image()
    wanted = text.replace("\udcff", "\ufffd")[: frames.MOST_CHARACTERS]

    assert wanted == image.reader()._text(image.text(text, width, flags))


def test_text_and_bytes_that_are_none():
    image = Image()
    reader = image.reader()
    short, long, broken = (image.text("abc") for _ in range(3))
    image.put(short + image.at["text_length"], 2)
    image.put(long + image.at["text_length"], 4)
    image.write(broken + image.at["text_content"] + 1, b"\0")
    for address in (
        *(image.new(), image.text("a", 3), image.text("a", 1, 16), short, long, broken),
    ):
        with pytest.raises(UnreadableError, match="garbled"):
            reader._text(address)
    assert b"" == reader._bytes(image.new())
    assert b"" == reader._bytes(image.new(bytes_length=frames.LONGEST_TABLE + 1))


def test_interpreter_that_is_not_known():
    image = Image()
    with pytest.raises(UnreadableError, match="it does not run CPython"):
        image.reader(_PyRuntime=0)
    image.put(SYMBOLS["_PyRuntime"] + frames.PLACES[3, 14]["head"], frames.FARTHEST + 1)
    with pytest.raises(UnreadableError, match="garbled"):
        image.reader()
    image.put(SYMBOLS["_PyRuntime"], 0)
    with pytest.raises(UnreadableError, match="garbled"):
        image.reader()
    image.put(SYMBOLS["Py_Version"], 51 << 24)
    with pytest.raises(UnreadableError, match="garbled"):
        image.reader()
    image.put(SYMBOLS["Py_Version"], 3 << 24 | 99 << 16)
    with pytest.raises(UnreadableError, match=r"does not know Python 3\.99"):
        image.reader()


def test_program_that_is_not_mapped():
    with pytest.raises(UnreadableError, match="it does not run CPython"):
        frames.reader(Image(), {}, "/bin/python")


@pytest.mark.parametrize(
    ("one", "two", "common"),
    [
        ([("f", 1), ("main", 9)], [("g", 1), ("main", 9)], [("main", 9)]),
        ([("f", 1), ("main", 9)], [("f", 2), ("main", 9)], [("f", 1), ("main", 9)]),
        ([("main", 9)], [("f", 2), ("main", 9)], [("main", 9)]),
        ([("f", 1)], [("g", 1)], []),
    ],
)
def test_stack_that_changes(monkeypatch, one, two, common):
    """The outer frames are told that stay the same; where there are none, that it is busy."""
    turns = iter([two, one] * frames.TRIES)
    reader = Image().reader()
    monkeypatch.setattr(
        reader, "_stack", lambda *_, **__: [frames.Frame("a", line, f) for f, line in next(turns)]
    )
    if common:
        found = reader.stack([], is_first=True)
        assert common == [(frame.function, frame.line) for frame in found]
    else:
        with pytest.raises(UnreadableError, match="it is busy"):
            reader.stack([], is_first=True)


def test_thread_without_frames():
    class Idle:
        def threads(self):
            return {1: [1], 2: [2]}

        def stack(self, states, *, is_first):
            if is_first:
                raise UnreadableError(frames.BUSY)
            assert states
            return []

    with pytest.raises(UnreadableError, match="it is busy"):
        stacks._stacks(1, Idle())
    with pytest.raises(UnreadableError, match="none of its threads runs Python"):
        stacks._stacks(3, Idle())


def test_memory_that_is_closed(monkeypatch):
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(UnreadableError, match="its mappings cannot be read"):
        symbols.objects(gone.pid)
    monkeypatch.setattr(memory, "fuse_mappings", lambda _pid: [(1 << 20, 1 << 21)])
    with pytest.raises(UnreadableError, match="its memory cannot be read"):
        Memory(gone.pid, time.monotonic() + SECONDS)
    found = Memory(os.getpid(), time.monotonic() + SECONDS)
    found.close()
    found._pid = gone.pid
    assert found._is_in_memory(1 << 21, 8)
    assert not found._is_in_memory(1 << 20, 8)


@pytest.mark.parametrize(
    ("address", "count", "seconds", "reads", "reason"),
    [
        (8, 8, SECONDS, 9, "garbled"),
        (0, 8, SECONDS, 9, "garbled"),
        (8, memory.MOST_BYTES + 1, SECONDS, 9, "garbled"),
        (8, 8, SECONDS, 0, "too long"),
        (8, 8, -1, 9, "too long"),
    ],
)
def test_memory_has_bounds(address, count, seconds, reads, reason):
    with contextlib.closing(Memory(os.getpid(), time.monotonic() + seconds)) as found:
        found._left = reads
        with pytest.raises(UnreadableError, match=reason):
            found.read(address, count)


BASE, HASHES, NAMES, TABLE = 1 << 24, 0x1000, 0x2000, 0x3000
DYNAMIC = {
    symbols.DT_STRTAB: NAMES,
    symbols.DT_SYMTAB: TABLE,
    symbols.DT_GNU_HASH: HASHES,
}
HASH_OF_A = 5381 * 33 + ord("a")


def library(*, entries=DYNAMIC, moved=0):
    """Return memory in which an object is mapped, at BASE, that has a segment and these entries."""
    image = Image()
    image.write(BASE, symbols.MAGIC)
    image.put(BASE + 32, 64)
    image.put(BASE + 54, 56, 2)
    image.put(BASE + 56, 3, 2)
    for index, (kind, address) in enumerate(
        [(symbols.PT_LOAD, 0), (symbols.PT_DYNAMIC, 0x800), (6, 0)]
    ):
        image.put(BASE + 64 + 56 * index, kind, 4)
        image.put(BASE + 64 + 56 * index + 16, address)
        image.put(BASE + 64 + 56 * index + 40, 16 * len(entries))
    for index, (tag, value) in enumerate(entries.items()):
        image.put(BASE + 0x800 + 16 * index, tag)
        image.put(BASE + 0x800 + 16 * index + 8, value + moved)
    return image


def table(image, *, buckets=1, first=1, hashes=(), named=()):
    for at, value in enumerate([buckets, first, 0, 0, 1, *hashes]):
        image.put(BASE + HASHES + 4 * at, value, 4)
    for at, (name, value) in enumerate(named, first):
        image.put(BASE + TABLE + symbols.SYMBOL_BYTES * at, 16 * at, 4)
        image.put(BASE + TABLE + symbols.SYMBOL_BYTES * at + 8, value)
        image.write(BASE + NAMES + 16 * at, name + b"\0")
    return symbols.Symbols(image, BASE).address("a")


@pytest.mark.parametrize("moved", [0, BASE])
def test_symbol(moved):
    """Others of that hash are passed over: one of another name, and one that is not defined."""
    found = table(
        library(moved=moved),
        hashes=[2, HASH_OF_A & ~1, HASH_OF_A & ~1, HASH_OF_A | 1],
        named=[(b"c", 1), (b"b", 1), (b"a", 0), (b"a", 0x40)],
    )

    assert BASE + 0x40 == found


@pytest.mark.parametrize(
    "tables",
    [{"buckets": 0}, {"first": 9}, {"hashes": [3]}, {"hashes": []}],
    ids=["empty", "no-chain", "end-of-chain", "no-end"],
)
def test_symbol_that_is_not_there(tables):
    assert not table(library(), **tables)


@pytest.mark.parametrize("entries", [{1: 1}, {}], ids=["dynamic", "static"])
def test_objects_without_symbols(entries):
    with pytest.raises(UnreadableError, match="its program has no symbols"):
        symbols.Symbols(library(entries=entries), BASE)


def test_object_of_another_kind():
    with pytest.raises(UnreadableError, match="its program is not a 64-bit ELF file"):
        symbols.Symbols(Image(), BASE)


ENDED = """
import ctypes, threading

def work():
    print("ready", flush=True)
    held.acquire()

held = threading.Lock()
held.acquire()
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_first_thread_that_has_ended_hides_nothing():
    """/proc shows neither the program nor the memory of a thread that has ended, but the others."""
    with subprocess.Popen([sys.executable, "-c", ENDED], stdout=subprocess.PIPE) as process:
        try:
            assert b"ready\n" == process.stdout.readline()
            assert until(lambda: state(process.pid) == "Z")
            found = stacks.read(process.pid, time.monotonic() + SECONDS)
        finally:
            process.kill()

    assert "work" in [frame.function for stack in found.values() for frame in stack]
