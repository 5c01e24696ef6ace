"""What a process waits for, as seen by an ancestor, which pyinit is; with real processes."""

import os
import random
import signal
import socket
import subprocess
import sys

import pytest

from testkit.processes import children, state, until

from pyinit.later import waits


@pytest.fixture
def process():
    """Start Python with some lines, which say that they are ready when they are about to wait."""
    started = []

    def start(lines, *, until_state="S") -> int:
        command = [sys.executable, "-IS", "-c", f"{IMPORTS}\n{lines}"]
        each = subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0)
        started.append(each)
        assert each.stdout.readline() == b"ready\n"
        # What it wrote with may be seen yet, and in a call that it is not in it does not sleep.
        assert until(lambda: state(each.pid) == until_state)
        return each.pid

    yield start
    for each in started:
        os.killpg(each.pid, signal.SIGKILL)
        each.communicate()


def told(pid) -> str:
    return str(waits.of(pid, pid))


IMPORTS = "import fcntl, os, select, signal, socket, sys, time"
READY = "os.write(1, b'ready\\n');"
POLL = "p = select.poll(); p.register({}, 1);"
LINES = {
    "a pipe": (f"r, w = os.pipe(); {READY} os.read(r, 1)", "read on a pipe"),
    "a full pipe": (f"r, w = os.pipe(); {READY} os.write(w, bytes(1 << 20))", "write on a pipe"),
    "poll": (f"r, w = os.pipe(); {POLL.format('r')} {READY} p.poll()", "poll on a pipe"),
    "poll of many": (
        f"p = select.poll(); [p.register(os.pipe()[0], 1) for _ in range(5)]; {READY} p.poll()",
        "poll on a pipe, a pipe, a pipe and 2 more",
    ),
    "select": (
        f"r, w = os.pipe(); {READY} select.select([r, os.eventfd(0)], [], [])",
        "pselect6 on a pipe, eventfd",
    ),
    "epoll": (
        f"e = select.epoll(); e.register(os.eventfd(0), 1); {READY} e.poll()",
        "epoll_wait on eventfd",
    ),
    "a lock": (
        f"import _thread; lock = _thread.allocate_lock(); lock.acquire(); {READY} lock.acquire()",
        "futex",
    ),
    "a pidfd": (
        f"f = os.pidfd_open(os.getppid()); {POLL.format('f')} {READY} p.poll()",
        f"poll on pid {os.getpid()}",
    ),
    "a socket of a pair": (
        f"a, b = socket.socketpair(); {READY} a.recv(1)",
        "recvfrom on a unix socket without a name",
    ),
    "a sleep": (f"{READY} time.sleep(600)", "clock_nanosleep"),
    "a signal": (f"{READY} signal.sigwait([10])", "rt_sigtimedwait"),
}


@pytest.mark.parametrize(("lines", "expected"), LINES.values(), ids=LINES)
def test_wait(lines, expected, process):
    assert expected == told(process(lines))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_socket_of_the_network(host, process):
    """Of one that is connected the other end's address is told, of one that listens its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    written = f"[{host}]" if ":" in host else host
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        reader = process(f"s = socket.create_connection(({host!r}, {port})); {READY} s.recv(1)")
        sink = socket.socket(family)
        sink.bind((host, 0))
        bound = sink.getsockname()[1]
        sink.close()
        accepter = process(
            f"s = socket.create_server(({host!r}, {bound}), family={int(family)}); "
            f"{READY} s.accept()"
        )

        assert f"recvfrom on socket {written}:{port}" == told(reader)
        assert f"accept4 on socket that listens on {written}:{bound}" == told(accepter)


def test_socket_that_is_reached_by_ipv4_through_ipv6(process):
    """Such an address is written as the people of IPv4 do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        pid = process(
            f"s = socket.socket(socket.AF_INET6); s.connect(('::ffff:127.0.0.1', {port})); "
            f"{READY} s.recv(1)"
        )

        assert f"recvfrom on socket 127.0.0.1:{port}" == told(pid)


def test_socket_with_a_path(process, folder):
    path = f"{folder}/socket"
    lines = f"s = socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen(); {READY} s.accept()"

    assert f"accept4 on socket {path}" == told(process(lines))


def test_file_that_is_locked(process, folder):
    path = folder / "lock"
    with path.open("w") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)

        lines = f"f = open({str(path)!r}); {READY} fcntl.flock(f, fcntl.LOCK_EX)"
        assert f"flock on {path}" == told(process(lines))


def test_fifo_that_nobody_opens(process, folder):
    """What has no descriptor yet is told by its path."""
    path = f"{folder}/fifo"
    os.mkfifo(path)

    assert f"openat on {path}" == told(process(f"{READY} open({path!r})"))


def test_long_path_is_cut(process, folder):
    place = folder / ("x" * 200) / ("y" * 200)
    place.mkdir(parents=True)
    os.mkfifo(place / "fifo")

    found = told(process(f"{READY} open({str(place / 'fifo')!r})"))

    assert found == f"openat on {str(place)[: waits.MOST_CHARACTERS]}..."


@pytest.mark.parametrize(
    ("wait", "is_named"),
    {
        "os.waitpid(-1, 0)": False,
        "os.waitpid(child, 0)": True,
        "os.waitid(os.P_PID, child, os.WEXITED)": True,
        "os.waitid(os.P_ALL, 0, os.WEXITED)": False,
        "os.waitid(os.P_PIDFD, os.pidfd_open(child), os.WEXITED)": True,
        "os.waitpid(0, 0)": False,
    }.items(),
)
def test_child(wait, is_named, process):
    """The child is named where it is one that is waited for, and not any of them."""
    pid = process(f"child = os.fork() or time.sleep(600)\n{READY} {wait}")
    (child,) = children(pid)

    assert (child if is_named else 0) == waits.of(pid, pid).pid


def test_who_runs_waits_for_nothing(process):
    pid = process(f"{READY}\nwhile True: pass", until_state="R")

    found = waits.of(pid, pid)

    assert found.is_running
    assert "nothing, it is running" == str(found)
    assert found.pid is None


def test_who_is_gone_waits_for_nothing():
    child = subprocess.Popen(["true"])
    child.wait()

    assert "" == str(waits.of(child.pid, child.pid))
    assert "" == waits.describe(child.pid, 0)


def test_other_thread(process):
    """Each thread waits for something of its own."""
    pid = process(
        f"import threading\nr, w = os.pipe()\n"
        f"def read():\n    {READY} os.read(r, 1)\n"
        f"threading.Thread(target=read).start()\ntime.sleep(600)"
    )
    (tid,) = (int(name) for name in os.listdir(f"/proc/{pid}/task") if name != str(pid))

    assert until(lambda: str(waits.of(pid, tid)) == "read on a pipe")
    assert until(lambda: told(pid) == "clock_nanosleep")


def test_where_the_call_is_not_told_its_place_in_the_kernel_is(process, monkeypatch):
    """To others than ancestors /proc/PID/syscall is closed; wchan may yet be open."""
    pid = process(f"r, w = os.pipe(); {READY} os.read(r, 1)")
    real = waits._text
    monkeypatch.setattr(
        waits, "_text", lambda path, *rest: "" if "syscall" in path else real(path, *rest)
    )

    found = waits.of(pid, pid)

    assert "pipe" in found.call or not found.call  # as in kernels without symbols
    assert "" == found.on


def test_program_of_32_bits_has_other_numbers(monkeypatch):
    """7 is waitpid there, and not poll: its stack, below 4 GiB, gives it away."""
    words = "7 0xffffffff 0xff9d6f30 0x0 0x0 0x0 0x0 0xff9d6ee0 0xf7f0a549"
    monkeypatch.setattr(waits, "_text", lambda path, *_: words if "syscall" in path else "do_wait")

    assert "do_wait" == str(waits.of(1, 1))


def test_machine_that_is_not_known_is_told_by_number(process, monkeypatch):
    pid = process(f"r, w = os.pipe(); {READY} os.read(r, 1)")
    monkeypatch.setattr(waits, "_names", dict)

    assert "system call 0" == told(pid)


@pytest.mark.parametrize(
    "words", ["0 x", "x", "-1 0x7ffd00000000 0x0", "0 0x1", "-1 " + "0x7ffd00000000 " * 8]
)
def test_call_that_is_garbled(monkeypatch, words):
    monkeypatch.setattr(waits, "_text", lambda path, *_: words if "syscall" in path else "0")

    assert "" == str(waits.of(1, 1))


def test_numbers_of_machines(monkeypatch):
    """Where a machine has no such call, or is not known, there is no number."""

    def names(machine):
        monkeypatch.setattr(waits.os, "uname", lambda: os.uname_result(("", "", "", "", machine)))
        return waits._names()

    assert {} == names("s390x")
    assert "poll" == names("x86_64")[7]
    assert "read" == names("aarch64")[63]
    assert "poll" not in names("aarch64").values()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pos:\t0\nPid:\t7\n", 7),
        ("Pid:\t-1\n", 0),
        ("pos:\t0\n", 0),
        ("Pid:\nPid:\tx\n", 0),
        ("", 0),
    ],
)
def test_process_of_a_pidfd(monkeypatch, text, expected):
    monkeypatch.setattr(waits, "_text", lambda *_: text)

    assert expected == waits._of_pidfd(1, 3)


def test_memory_that_is_not_there():
    assert b"" == waits._memory(os.getpid(), 8, 8)
    assert b"" == waits._memory(os.getpid(), 1 << 64, 8)
    assert "" == waits._path_at(os.getpid(), 8)
    assert [] == waits._selected(os.getpid(), 0, 8)
    assert [] == waits._polled(os.getpid(), 8, 0)
    assert [] == waits._polled(os.getpid(), 8, waits.MOST_POLLED + 1)


TCP = "  sl  local_address rem_address\n   0: 0100007F:0050 0200007F:0051 {} 0 0 0 0 0 {} 1\n"


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({}, "a socket"),
        ({"tcp": TCP.format("06", 77)}, "a socket"),
        ({"tcp": TCP.format("01", 77)}, "socket 127.0.0.2:81"),
        ({"tcp": TCP.format("0A", 77)}, "socket that listens on 127.0.0.1:80"),
        ({"tcp": "head\n 0: 77 cut\n"}, "a socket"),
        ({"unix": "head\n0: 2 0 0 1 3 77\n"}, "a unix socket without a name"),
        ({"unix": "head\n0: 2 0 0 1 3 77 /s\n"}, "socket /s"),
        ({"unix": "head\n0: 77 cut\n"}, "a socket"),
    ],
)
def test_socket_by_tables(monkeypatch, tables, expected):
    monkeypatch.setattr(
        waits, "_text", lambda path, *_: tables.get(path.removeprefix("/proc/1/net/"), "")
    )

    assert expected == waits._socket(1, "77")


@pytest.mark.parametrize(
    "word", ["", "xx:1", "0100007F:", "0100007F:x", "01:1", "0100007F0100007F:1", "0100007F:10000"]
)
def test_address_that_is_none(word):
    assert "?" == waits._address(word)


def test_text_is_bounded(folder):
    path = folder / "text"
    path.write_text("abc")

    assert "ab" == waits._text(str(path), 2)
    assert "abc" == waits._text(str(path))


CASES = 20_000
TEXTS = {
    "syscall": "7 0x7ffd4f3e5a10 0x2 0xffffffff 0x0 0x0 0x0 0x7ffd4f3e5960 0x7f2b1c0d4a3f\n",
    "wchan": "do_sys_poll",
    "fdinfo": "pos:\t0\nflags:\t02\nPid:\t7\nNSpid:\t7\ntfd:        5 events:       19 data: 5\n",
    "net/tcp": TCP.format("01", 77),
    "net/tcp6": TCP.replace("0200007F", "0000000000000000FFFF00000200007F").format("01", 78),
    "net/udp": TCP.format("07", 79),
    "net/udp6": "",
    "net/unix": "Num RefCount\n0000: 00000002 00000000 00010000 0001 01 80 /run/socket\n",
}
TARGETS = ("socket:[77]", "socket:[80]", "pipe:[1]", "anon_inode:[pidfd]", "/a:[b]", "socket:[", "")
ODD = (
    "",
    " ",
    "\n",
    ":",
    "0x",
    "-1",
    "0" * 99,
    "9" * 5000,
    "ff" * 99,
    "\0",
    "\udcff",
    "tfd:",
    "Pid:",
)
NUMBERS = (0, 1, 3, 8, 1 << 31, (1 << 32) - 1, 1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def garbled(text, chance):
    """Return a text with some errors in it."""
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        at = chance.randrange(len(text) + 1)
        until = min(at + chance.choice((0, 1, 1, 2, 8)), len(text))
        text = text[:at] + chance.choice((*ODD, chr(chance.randrange(128)))) + text[until:]
    return text


def test_texts_that_are_garbled(monkeypatch):
    """Whatever /proc and the memory say, it is told in a few words, and nothing is raised."""
    for number in range(CASES):
        chance = random.Random(number)
        call = chance.choice(list(waits._names()))
        words = [str(call), *(hex(chance.choice(NUMBERS)) for _ in range(6)), hex(1 << 47), "0x1"]
        texts = {name: garbled(text, chance) for name, text in TEXTS.items()}
        texts["syscall"] = garbled(chance.choice((TEXTS["syscall"], " ".join(words))), chance)

        def text(path, count=4096, texts=texts):
            return next((told for name, told in texts.items() if name in path), "")[:count]

        def memory(_pid, _address, count, chance=chance):
            assert count <= waits.PAGE
            return chance.randbytes(count if chance.random() < 0.8 else 0) if count > 0 else b""

        monkeypatch.setattr(waits, "_text", text)
        monkeypatch.setattr(waits, "_memory", memory)
        target = garbled(chance.choice(TARGETS), chance)
        monkeypatch.setattr(waits.os, "readlink", lambda _path, target=target: target)
        try:
            found = waits.of(1, 1)
            assert len(str(found)) < 1 << 15
            assert found.pid is None or found.pid >= 0
        except Exception as error:
            msg = f"seed {number}: {texts}, {target!r}"
            raise AssertionError(msg) from error
