"""Programs that do not stop, each with the expected cause."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from testkit.processes import children, stat, status, until
from testkit.running import Run
from trials.hung.program import Program

CHILD = r"^\S+ \(pid 2\)"
GOES_ON = f"{CHILD} has a handler for SIGTERM .*continues"
NOT_GOT = r"did not get SIGTERM"
IN_HANDLER = "signal handler .*not returned"
IN_C = "call into C that has not returned"
BUSY = "has a handler for SIGTERM but is busy"
RUNS = "it is running"
USER_TICKS = 11  # in what stat() returns


def _python(name: str, source: str, cause: str, waits: str = "") -> Program:
    return Program(name, ("PYTHON", f"SOURCES/{source}", "FOLDER"), cause, source, waits)


def _child(run: Run) -> int:
    (child,) = children(run.init)
    return child


@contextlib.contextmanager
def _stopped(run: Run, _folder: Path) -> Iterator[None]:
    """Stop the child, as ^Z or a debugger does."""
    child = _child(run)
    os.kill(child, signal.SIGSTOP)
    until(lambda: status(child)["State"].startswith("T"))
    yield


@contextlib.contextmanager
def _held_by_tracer(run: Run, _folder: Path) -> Iterator[None]:
    """Trace the child with a tracer that is stopped."""
    child = _child(run)
    words = ["strace", "-o", "/dev/null", "-p", str(child)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as tracer:
        until(lambda: status(child)["TracerPid"] != "0")
        tracer.send_signal(signal.SIGSTOP)
        until(lambda: status(tracer.pid)["State"].startswith("T"))
        try:
            yield
        finally:
            tracer.kill()


@contextlib.contextmanager
def _waiting(run: Run, _folder: Path) -> Iterator[None]:
    """Wait until the child hangs, before it is asked to stop."""
    path = Path(f"/proc/{_child(run)}/wchan")
    until(lambda: "futex" in path.read_text())
    yield


@contextlib.contextmanager
def _computing(run: Run, _folder: Path) -> Iterator[None]:
    """Wait until the child computes, before it is asked to stop."""
    child = _child(run)
    begin = _ticks(child)
    until(lambda: _ticks(child) > begin + 1)
    yield


def _ticks(pid: int) -> int:
    return int(stat(pid)[USER_TICKS])


def _say_ready(run: Run, _folder: Path) -> None:
    """Make a shell print that it is ready."""
    assert run.process.stdin
    run.process.stdin.write(b"echo ready\n")


def _request(_run: Run, folder: Path) -> None:
    """Ask a web server for a page."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    until(lambda: connection.sock.connect_ex(str(folder / "http")) == 0)
    connection.request("GET", "/")
    CONNECTIONS.append(connection)


CONNECTIONS: list[http.client.HTTPConnection] = []  # open until the end

PYTHON_PROGRAMS = (
    _python("a lock that no thread releases", "lock.py", GOES_ON, "futex"),
    _python("`queue.get()` of an empty queue", "queue_get.py", GOES_ON, "futex"),
    _python("`socket.recv()` without a timeout", "socket_recv.py", GOES_ON, r"127\.0\.0\.1:7432"),
    _python("an HTTP client, over IPv6", "http_client.py", GOES_ON, r"\[::1\]:7480"),
    _python("`accept()` in a loop with a flag", "accept.py", GOES_ON, r"listens on 127.0.0.1:7433"),
    _python("`time.sleep()`, and the exception swallowed", "retry_loop.py", GOES_ON, "sleep"),
    _python("a non-daemon thread, at exit", "thread_at_exit.py", "non-daemon thread"),
    _python("`Thread.join()`", "thread_join.py", "waits for .*thread"),
    _python("a `ThreadPoolExecutor` at exit", "executor_at_exit.py", "waits for .*thread"),
    _python("an `atexit` hook", "atexit_hook.py", "atexit hook"),
    _python("asyncio that awaits for ever", "asyncio_await.py", "awaits", "epoll"),
    _python("asyncio, its loop blocked", "asyncio_blocked.py", "event loop", "sleep"),
    _python("asyncio, a thread of its pool", "asyncio_executor.py", "waits for .*thread"),
    replace(_python("the GIL held in C", "gil_in_c.py", IN_C, "futex"), during=_waiting),
    replace(
        _python("a call into C that computes", "call_into_c.py", IN_C, RUNS), during=_computing
    ),
    _python("a long integer", "long_integer.py", BUSY, RUNS),
    _python("a regular expression", "regex.py", BUSY, RUNS),
    _python("a loop that computes", "busy_loop.py", BUSY, RUNS),
    _python("a fork after threads", "fork_after_threads.py", r"waits for \S+ \(pid 4\)"),
    _python(
        "`multiprocessing` join", "multiprocessing_join.py", f"waits for .*{NOT_GOT}, or continues"
    ),
    _python(
        "a `ProcessPoolExecutor` at exit",
        "pool_at_exit.py",
        "waits for .*threads, and its child",
    ),
    _python("a handler that waits for a lock", "handler_deadlock.py", IN_HANDLER),
    _python("a handler: `server.shutdown()`", "handler_shutdown.py", IN_HANDLER),
    _python("a handler that prints, to a full pipe", "handler_prints.py", IN_HANDLER, "write on a"),
    replace(_python("`input()`", "input.py", GOES_ON, "read on a pipe"), is_talking=True),
    _python("a file that is locked", "file_lock.py", GOES_ON, "flock on .*/lock"),
    _python("`open()` of a FIFO", "fifo_open.py", GOES_ON, "openat .*/fifo"),
    _python("the output of `tail -f`", "tail.py", "tail", "read on a pipe"),
    _python("state D: `vfork`", "vfork.py", r"\(pid 3\) is in openat", "clone3|vfork"),
    replace(
        _python(
            "state D: a dead file server (FUSE)",
            "dead_file_server.py",
            "uninterruptible.*file server",
            "openat .*/mounted",
        ),
        needs=("/dev/fuse",),
    ),
)
OTHER_PROGRAMS = (
    Program(
        "`subprocess.wait()` for a child that ignores SIGTERM",
        ("PYTHON", "SOURCES/subprocess_wait.py"),
        r"waits for sh \(pid 3\).* ignores SIGTERM",
        waits=r"wait4 for sh \(pid 3\)",
    ),
    Program(
        "gunicorn, with a slow request",
        ("OWN", "-m", "gunicorn", "-b", "unix:FOLDER/http", "--chdir", "SOURCES", "wsgi"),
        r"and its child python\S* \(pid 3\)",
        "wsgi.py",
        begin=_request,
    ),
    Program(
        "celery, with a task",
        ("OWN", "SOURCES/celery_task.py", "FOLDER"),
        r"and its child python\S* \(pid \d+\)",
        "celery_task.py",
    ),
    Program(
        "uvicorn, with an open connection",
        (
            *("OWN", "-m", "uvicorn", "--uds", "FOLDER/http", "--app-dir", "SOURCES"),
            *("--log-level", "warning", "asgi:application"),
        ),
        "awaits",
        "asgi.py",
        "epoll",
        begin=_request,
    ),
    Program(
        "greenlets of gevent",
        ("OWN", "SOURCES/greenlets.py", "FOLDER"),
        r"its greenlets \(gevent\) wait",
        waits="epoll_wait",
    ),
    Program(
        "a shell around a program, with a trap",
        ("sh", "-c", "trap exit TERM; sh -c 'sleep 0.02; echo ready; exec sleep infinity'; true"),
        rf"sh \(pid 2\) waits for sleep .*{NOT_GOT}",
        waits=r"wait4 for sleep \(pid 3\)",
    ),
    Program(
        "a shell with a trap, around `tail -f` and a pipe",
        (
            "sh",
            "-c",
            "trap exit TERM; sh -c 'sleep 0.02; echo ready; exec tail -f /dev/null' | cat; true",
        ),
        rf"sh \(pid 2\) waits for one of its 2 children, (tail|cat) .*{NOT_GOT}",
        waits=r"wait4 for (tail|cat) \(pid \d\), (tail|cat)",
    ),
    Program(
        "a shell in a shell, around Python",
        ("sh", "-c", 'trap : TERM; sh -c \'trap : TERM; "$0" "$1"; true\' PYTHON SOURCES/lock.py'),
        r"waits for sh .*waits for python",
        "lock.py",
    ),
    Program(
        "an interactive bash",
        ("bash", "--norc", "-i"),
        r"bash \(pid 2\) .*HUP",
        begin=_say_ready,
        is_talking=True,
    ),
    Program(
        "a program that ignores SIGTERM",
        ("sh", "-c", 'trap "" TERM; echo ready; exec sleep infinity'),
        f"{CHILD} ignores SIGTERM",
        waits="nanosleep|pause",
    ),
    Program(
        "a program that blocks SIGTERM",
        ("env", "--block-signal=TERM", "sh", "-c", "echo ready; exec sleep infinity"),
        f"{CHILD} blocks SIGTERM",
        waits="nanosleep|pause",
    ),
    Program(
        "a stopped process",
        ("sh", "-c", "echo ready; exec sleep infinity"),
        f"{CHILD} is stopped.*kill -CONT 2",
        during=_stopped,
    ),
    Program(
        "a program that a stopped debugger traces",
        ("sh", "-c", "echo ready; exec sleep infinity"),
        f"{CHILD} is traced",
        during=_held_by_tracer,
    ),
    Program(
        "strace around a program",
        ("strace", "-o", "/dev/null", "sh", "-c", "echo ready; exec sleep infinity"),
        r"strace \(pid 2\) ignores SIGTERM and waits for sleep",
    ),
    Program(
        "a PID namespace of its own",
        (
            *("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c"),
            "sleep 0.02; echo ready; sleep infinity; :",
        ),
        r"sh \(pid 3\).* PID 1 of its own PID namespace",
        waits=r"wait4 for sh \(pid 3\)",
    ),
    Program(
        "Python in a PID namespace of its own",
        ("unshare", "--pid", "--fork", "--mount-proc", "PYTHON", "SOURCES/lock.py"),
        r"unshare \(pid 2\) blocks SIGTERM and waits for python\S* \(pid 3\)",
        "lock.py",
    ),
    Program(
        "Node.js, with a handler that does not exit",
        ("node", "SOURCES/hang.js"),
        f"{GOES_ON}.*epoll",
        waits="epoll",
        needs=("/usr/bin/node",),
    ),
    Program(
        "a JVM, with a shutdown hook",
        ("java", "-XX:+UseSerialGC", "SOURCES/Hang.java"),
        f"{GOES_ON}.*futex",
        waits="futex",
        needs=("/usr/bin/java",),
    ),
)
PROGRAMS = (*PYTHON_PROGRAMS, *OTHER_PROGRAMS)
