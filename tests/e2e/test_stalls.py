"""A log that is not read any more holds up neither signals nor the end."""

import contextlib
import os
import select
import signal
import socket

import pytest
from containers import mounted

# Fill stderr until nothing was read for a second; from then on note what comes.
FLOOD = """
import os, select, signal
notes = os.open("/notes/fifo", os.O_WRONLY)
awaited = {signal.SIGHUP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
writable = select.poll()
writable.register(2, select.POLLOUT)
while writable.poll(1000):
    os.write(2, b"." * 1023 + b"\\n")
os.write(notes, b"stalled\\n")
while (got := signal.sigwait(awaited)) != signal.SIGTERM:
    os.write(notes, b"hangup\\n")
os._exit(42)
"""


@pytest.fixture
def notes(tmp_path):
    """Return what a container writes past its log, line by line, and the options that let it."""
    tmp_path.chmod(0o755)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").chmod(0o666)
    # For reading and writing, or opening it would wait for the container.
    with open(os.open(tmp_path / "fifo", os.O_RDWR), encoding="utf-8") as lines:
        yield lines, mounted(tmp_path, "/notes", "rw")


@pytest.fixture
def deaf_server():
    """A log server that takes connections, and not a byte."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield server, held


def check_forwarding(container, lines) -> None:
    """Signals reach the child, and its end is not held up, while the log is not read."""
    first = container.pid
    assert "stalled\n" == lines.readline()
    for _ in range(100):
        os.kill(first, signal.SIGHUP)
        assert "hangup\n" == lines.readline()
    ended = os.pidfd_open(first)
    os.kill(first, signal.SIGTERM)
    try:
        assert select.select([ended], [], [], 30)[0], "PID 1 lives"
    finally:
        os.close(ended)


def test_log_driver_that_stalls(docker, deaf_server, notes):
    """A log server that reads no more, in Docker's blocking mode: PID 1 forwards and ends."""
    server, held = deaf_server
    lines, options = notes
    address = f"syslog-address=tcp://127.0.0.1:{server.getsockname()[1]}"
    driver = ["--log-driver=syslog", f"--log-opt={address}", "--log-opt=mode=blocking"]
    container = docker("python3", "-c", FLOOD, options=[*driver, *options], verbosity=3)
    held.enter_context(server.accept()[0])
    check_forwarding(container, lines)
    held.close()

    assert 42 == container.wait()


def test_log_reader_that_is_stopped(podman, notes):
    """podman's own log reader, conmon, is stopped: PID 1 forwards and ends."""
    lines, options = notes
    container = podman("python3", "-c", FLOOD, options=options, verbosity=3)
    reader = int(container.field("{{.State.ConmonPid}}"))
    os.kill(reader, signal.SIGSTOP)
    try:
        check_forwarding(container, lines)
    finally:
        os.kill(reader, signal.SIGCONT)

    assert 42 == container.wait()
