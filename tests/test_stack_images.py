"""What a reader of stacks makes of memory that is garbled, torn, or made to mislead."""

import collections
import json
import os
import random
import subprocess

import pytest

from stack_images import (
    KINDS,
    PAGE,
    Live,
    Torn,
    Wrong,
    check,
    hung,
    record,
    told,
    told_if_wrong,
    until_asleep,
    writable_pages,
)
from testkit.interpreters import at_hand

from pyinit.later.stacks import frames

PYTHONS = at_hand()
CASES = int(os.environ.get("CASES", "10000"))  # more of them: make no other seeds of the first ones

PLAIN = """
import threading

def wait(lock):
    lock.acquire()

def call(count):
    return call(count - 1) if count else wait(held)

class Ünïcode:
    def 名前(self, *arguments):
        call(3)

held = threading.Lock()
held.acquire()
print("ready", flush=True)
Ünïcode().名前(1)
"""

THREADS = """
import threading

def work(number):
    if number:
        work(number - 1)
    started.release()
    held.acquire()

held = threading.Lock()
held.acquire()
started = threading.Semaphore(0)
for number in range(3):
    threading.Thread(target=work, args=(number,), daemon=True).start()
for number in range(3):
    started.acquire()
print("ready", flush=True)
held.acquire()
"""

ASYNCIO = """
import asyncio

async def fetch(event):
    await event.wait()

async def handle(event):
    await fetch(event)

async def main():
    print("ready", flush=True)
    await asyncio.create_task(handle(asyncio.Event()))

asyncio.run(handle(asyncio.Event()) if 0 else main())
"""

HANDLER = """
import signal, threading

def handler(signum, frame):
    held.acquire()

def numbers():
    yield 1
    signal.raise_signal(signal.SIGTERM)

def more():
    yield from numbers()

def main():
    return [each for each in more()]

held = threading.Lock()
held.acquire()
signal.signal(signal.SIGTERM, handler)
print("ready", flush=True)
main()
"""

PROGRAMS = {"plain": PLAIN, "threads": THREADS, "asyncio": ASYNCIO, "handler": HANDLER}


@pytest.fixture(
    scope="module",
    params=[(version, program) for version in PYTHONS for program in PROGRAMS],
    ids="-".join,
)
def image(request, tmp_path_factory):
    """Return what pyinit reads of a Python that hangs in a program."""
    version, program = request.param
    folder = tmp_path_factory.mktemp(program)
    with hung(PYTHONS[version], PROGRAMS[program], folder) as process:
        return record(process.pid, f"{version}-{program}", PYTHONS[version])


def cases(count):
    """Return the numbers of the cases for each of the images."""
    return range(count // len(PYTHONS) // len(PROGRAMS) + 1)


def test_errors_of_all_kinds(image):
    """Ten thousand images: stacks within bounds, or that it cannot be read; nothing else."""
    outcomes = collections.Counter()
    for number in cases(CASES):
        seed = f"{image.name} {number}"
        memory = Wrong(image)
        memory.spoil(KINDS[number % len(KINDS)], random.Random(seed))
        with told_if_wrong(memory, seed):
            outcomes[type(check(image, memory))] += 1

    assert {str, dict} == outcomes.keys()


def test_what_is_not_read_does_not_matter(image):
    """Noise around each of the bytes that are read; this tests the test as well."""
    assert told(image.answer) == check(image, Wrong(image))
    memory = Wrong(image)
    for number in image.pages:
        memory.write(number * PAGE, random.Random(number).randbytes(PAGE))
    for address, count in {place for places in image.places.values() for place in places}:
        memory.write(address, image.bytes(address, count))

    assert told(image.answer) == check(image, memory)


PARTS_OF_CODE = ("code_filename", "code_qualname", "code_lines", "code_first_line")


def test_errors_in_one_part_of_a_function(image):
    """Only what is told of that part differs: a file, a name, or a line; or it is unreadable."""
    right = told(image.answer)
    for number in cases(CASES // 5):
        seed = f"{image.name} {number}"
        chance = random.Random(seed)
        part = PARTS_OF_CODE[number % len(PARTS_OF_CODE)]
        chosen = chance.choice(sorted(image.codes))
        field = image.at[part]
        if part == "code_first_line":
            begin, count = chosen + field, 4
            affected = {chosen}
        else:
            begin = image.number(chosen + field)
            content = "bytes_content" if part == "code_lines" else "text_content"
            count = image.at[content] + 16
            affected = {code for code in image.codes if image.number(code + field) == begin}
        memory = Wrong(image)
        size = chance.choice((1, 4, 8)) if count > 4 else 4
        at = begin + chance.randrange(0, count - size + 1, size)
        memory.write(at, chance.choice((chance.randbytes(size), bytes(size), b"\xff" * size)))
        names = {(image.codes[code].file, image.codes[code].function) for code in affected}
        with told_if_wrong(memory, seed):
            answer = check(image, memory)
            for tid, stack in () if isinstance(answer, str) else answer.items():
                assert_same_but(part, names, right[tid], stack)


def assert_same_but(part, names, right, stack):
    if part == "code_qualname" and {name for _, name in names} & frames.LOOPS:
        right = [frame for frame in right if not frame[4]]  # what is awaited is not looked for
        stack = [frame for frame in stack if not frame[4]]
    if part == "code_filename" and len(right) != len(stack):
        assert frames.SHIM in {file for file, _ in names}
        return
    for one, other in zip(right, stack, strict=True):
        if (one[0], one[2]) not in names:
            assert one == other
            continue
        file, line, name, *rest = one
        if part == "code_filename":
            file = other[0]
        elif part == "code_qualname":
            name = other[2]
        else:
            line = other[1]
        assert (file, line, name, *rest) == other


LINES_OF = """
import json, sys

def lines_of(code, found):
    found.setdefault(code.co_qualname, set()).update(line for *_, line in code.co_lines() if line)
    for each in code.co_consts:
        if hasattr(each, "co_lines"):
            lines_of(each, found)
    return found

found = {}
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        found[path] = lines_of(compile(file.read(), path, "exec"), {})
print(json.dumps(found, default=sorted))
"""


def test_errors_in_one_frame(image):
    """An instruction elsewhere changes one line, to one that the function has; or it is unreadable.

    Where the code is another function's the instruction is none of it, so nothing is told. Where
    the next frame is another one, what is told are frames that there are.
    """
    right = told(image.answer)
    files = {file for file in image.texts if os.path.isfile(file)}
    command = [image.python, "-c", LINES_OF, *files]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = json.loads(done.stdout)
    all_frames = {frame[:3] for stack in right.values() for frame in stack}
    for number in cases(CASES // 5):
        seed = f"{image.name} {number}"
        chance = random.Random(seed)
        frame = chance.choice(image.frames)
        memory = Wrong(image)
        field = ("frame_instruction", "frame_code", "frame_previous")[number % 3]
        code = image.number(frame + image.at["frame_code"]) & ~7
        if code not in image.codes:
            continue
        if field == "frame_code":
            new = chance.choice([each for each in image.codes if each != code])
        elif field == "frame_previous":
            new = chance.choice([0, *image.frames, *image.codes, chance.choice(image.frames) + 8])
        else:
            first, size = code + image.at["code_instructions"], 2 * image.codes[code].units
            new = chance.randrange(first - size, first + 2 * size)
        memory.write(frame + image.at[field], new.to_bytes(8, "little"))
        with told_if_wrong(memory, f"{seed} {field}"):
            answer = check(image, memory)
            if field == "frame_code":
                # A coroutine's frame is only read by way of its event loop, nor does its loop end.
                assert isinstance(answer, str) or answer.keys() < right.keys()
            for tid, stack in () if isinstance(answer, str) else answer.items():
                if field == "frame_previous":
                    assert all_frames >= {each[:3] for each in stack}
                    continue
                differ = [
                    (one, other)
                    for one, other in zip(right[tid], stack, strict=True)
                    if one != other
                ]
                assert len(differ) <= (field == "frame_instruction")
                for (file, _, name, *rest), other in differ:
                    assert (file, name, *rest) == (other[0], *other[2:])
                    assert other[1] in {0, *lines.get(file, {name: [other[1]]})[name]}


def test_pointers_to_other_things(image):
    """Nothing is told for a text that is none, whatever one pointer leads to."""
    texts = image.genuine_texts() | {""}
    assert image.texts <= texts
    places, words = list(image.pointers), sorted(set(image.pointers.values()))
    for number in cases(CASES // 5):
        seed = f"{image.name} {number}"
        chance = random.Random(seed)
        memory = Wrong(image)
        new = chance.choice(words) + chance.choice((0, 0, 0, 4, 8, 16, 24, -8, -16))
        memory.write(chance.choice(places), new.to_bytes(8, "little"))
        with told_if_wrong(memory, seed):
            answer = check(image, memory)
            for stack in () if isinstance(answer, str) else answer.values():
                assert texts >= {text for file, _, name, *_ in stack for text in (file, name)}


STATES = """
import sys, threading

def wait():
    print("ready", flush=True)
    sys.stdin.readline()

def one():
    two()

def two():
    wait()

def three(count):
    three(count - 1) if count else wait()

def numbers():
    yield wait()

def made(name, line):
    # Its code is gone when it has returned, and the next one takes its place.
    code = two.__code__.replace(co_filename=name, co_qualname=name, co_firstlineno=line)
    type(two)(code, globals())()

def deeper(name, line):
    made(name, line)

def asleep():
    started.release()
    held.acquire()

started, held = threading.Semaphore(0), threading.Lock()
held.acquire()
made("a", 1)
deeper("b", 2)
for _ in range(2):
    one()
    thread = threading.Thread(target=asleep)
    thread.start()
    started.acquire()
    three(5)
    held.release()
    thread.join()
    [each for each in numbers()]
    made("c", 3)
    deeper("d", 4)
    three(2)
made("e", 5)
made("f", 6)
deeper("g", 7)
"""


def states(process):
    """Yield what a process has of memory each time that it hangs."""
    while True:
        pages = writable_pages(process.pid)
        yield pages
        process.stdin.write(b"\n")
        process.stdin.flush()
        if process.stdout.readline() != b"ready\n":
            return
        until_asleep(process.pid)


@pytest.mark.parametrize("version", PYTHONS)
def test_change_between_two_reads(version, tmp_path):
    """Whenever it comes, what is told of a thread is what was there before it, or after it."""
    wrong, outcomes = [], collections.Counter()
    with hung(PYTHONS[version], STATES, tmp_path) as process:
        image = record(process.pid)
        before, right = None, []
        for pages in states(process):
            after = Live(process.pid, pages)
            after.has_symbols = False
            right = [*right[-1:], told(image.read(after))]
            for at in range(before.calls if before else 0):
                answer = check(image, Torn(before, after, at))
                outcomes[type(answer)] += 1
                for tid, stack in () if isinstance(answer, str) else answer.items():
                    if stack not in [each.get(tid) for each in right]:
                        wrong.append((at, tid, stack, right))
            if before:
                before.close()
            before = after
        before.close()

    assert not wrong
    assert {str, dict} == outcomes.keys()
