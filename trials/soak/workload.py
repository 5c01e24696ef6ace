"""The child of pyinit in a soak: it does what each line on its stdin says, and answers with a line.

It answers a signal with `got N`. At the end of stdin it exits with CODE, and leaves two daemons
behind.

Usage: workload.py
"""

import os
import select
import signal

CODE = 7
LEFT_BEHIND = 2
NEVER = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33}
ODD_NAMES = (b"plain", b"new\nline", b"\x1b[31mred", b"not \xff utf-8", b'{"json": 1}')


def main() -> None:
    """Answer until stdin ends."""
    signals = catch_all()
    say(f"ready {os.getpid()}")
    words = b""
    while True:
        ready, _, _ = select.select([0, signals], [], [])
        if signals in ready:
            for signum in os.read(signals, 65536):
                say(f"got {signum}")
        if 0 not in ready:
            continue
        words += os.read(0, 65536)
        if not words:
            leave()
        while b"\n" in words:
            line, _, words = words.partition(b"\n")
            task, _, count = line.decode().partition(" ")
            TASKS[task](int(count))
            say(f"{task} done")


def catch_all() -> int:
    """Write the number of each signal to a pipe; return where to read them."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for signum in signal.valid_signals() - NEVER:
        signal.signal(signum, lambda *_: None)
    return reader


def say(line: str) -> None:
    """Answer."""
    os.write(1, f"{line}\n".encode())


def fork() -> int:
    """Fork, so that the signals of the new process are not reported as ours."""
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
    return pid


def make_orphans(count: int) -> None:
    """Make so many orphans, some below an orphan, and wait until all have ended."""
    alive, held = os.pipe()
    made = 0
    while made < count:
        few = min(20, count - made)
        parent = fork()
        if parent == 0:
            for number in range(made, made + few):
                if fork() == 0:
                    be_orphan(number)
            os._exit(0)
        os.waitpid(parent, 0)
        made += few
    os.close(held)
    os.read(alive, 1)  # it returns when no process holds the other end
    os.close(alive)


def be_orphan(number: int) -> None:
    """End with a random code, by a signal, or under an odd name."""
    if number % 10 == 0:
        with open("/proc/self/comm", "wb") as comm:
            comm.write(ODD_NAMES[number // 10 % len(ODD_NAMES)])
    if number % 7 == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    os._exit(number % 256)


def stop_children(count: int) -> None:
    """Start so many children, each of which is stopped, continued, and then ended."""
    for _ in range(count):
        child = fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        _, status = os.waitpid(child, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, 0)


def stop_orphans(count: int) -> None:
    """Make so many orphans that stop and are continued: init gets SIGCHLD for all three."""
    for _ in range(count):
        alive, held = os.pipe()
        told, tell = os.pipe()
        parent = fork()
        if parent == 0:
            if fork() == 0:
                os.write(tell, b"%d" % os.getpid())
                os.kill(os.getpid(), signal.SIGSTOP)
                os._exit(0)
            os._exit(0)
        os.waitpid(parent, 0)
        os.close(held)
        orphan = int(os.read(told, 16))
        while b") T " not in stat(orphan):
            os.sched_yield()
        os.kill(orphan, signal.SIGCONT)
        os.read(alive, 1)
        for descriptor in (alive, told, tell):
            os.close(descriptor)


def stat(pid: int) -> bytes:
    """Return what the kernel reports about a process."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read()


def leave() -> None:
    """Leave daemons behind, which end on SIGTERM."""
    for _ in range(LEFT_BEHIND):
        if fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            while True:
                signal.pause()
    os._exit(CODE)


TASKS = {"orphans": make_orphans, "children": stop_children, "stops": stop_orphans}

if __name__ == "__main__":
    main()
