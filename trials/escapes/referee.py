"""PID 1 of the namespace of one attempt: a process that is left there has outlived the limit.

Usage: python referee.py LIMIT INNER COMMAND [ARGUMENT]...

Every orphan becomes a child of PID 1, so no process is left when waitpid(2) fails with ECHILD, and
SIGCHLD says when to look. At the end it prints what it saw as one line of JSON, and the kernel
kills every other process of the namespace.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

READY_SECONDS = 30.0  # for the way to be in place
LEAVING_SECONDS = 60.0  # for the tool, after the limit
QUIET_SECONDS = (
    1.0  # for the other processes after the tool has exited, so that the kernel can end them
)
DEAD, RUNNING = {"Z", "X"}, "R"
LOOKS = 20
UNSEEN = "a process that is a different one at each look"


def main(limit: float, *, is_inner: bool, command: list[str]) -> None:
    """Run the command, wait for its limit, and see what is left.

    Args:
        limit: when the command acts by its own clock, in seconds; 0 if SIGTERM is sent to it.
        is_inner: whether SIGTERM is for the child of the command, which is unshare(1).
        command: the words.
    """
    began = time.monotonic()
    tool = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # the tool must not inherit it
    assert tool.stdout
    is_ready = select.select([tool.stdout], [], [], READY_SECONDS)[0]
    if not is_ready or os.read(tool.stdout.fileno(), 100) != b"ready\n":
        sys.exit("the way did not begin")
    if limit:
        due = began + limit
        is_late = time.monotonic() > due
        if is_late:
            sys.exit("the time was over before the way was in place")
    else:
        pid = _child(tool.pid) if is_inner else tool.pid
        while _state(pid) == RUNNING:  # it may still be returning from fork(2)
            os.sched_yield()
        os.kill(pid, signal.SIGTERM)
        due = time.monotonic()
    seen = _watch(tool.pid, due)
    left: list[str] = []
    if seen["quiet"] is None:  # there is one, though a process that forks all the time hides well
        left = max((_living() for _ in range(LOOKS)), key=len) or [UNSEEN]
    print(json.dumps({**seen, "survivors": len(left), "names": sorted(set(left))}))


def _watch(pid: int, due: float) -> dict[str, float | int | None]:
    """Reap until no process is left or the time is over; return when what came, after due."""
    seen: dict[str, float | int | None] = {"code": None, "left": None, "quiet": None}
    end = due + LEAVING_SECONDS
    while time.monotonic() < end:
        try:
            dead, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            seen["quiet"] = time.monotonic() - due
            break
        if dead == pid:
            seen["code"] = os.waitstatus_to_exitcode(status)
            seen["left"] = time.monotonic() - due
            end = time.monotonic() + QUIET_SECONDS
        if not dead:
            signal.sigtimedwait({signal.SIGCHLD}, max(0, end - time.monotonic()))
    return seen


def _child(pid: int) -> int:
    (child,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return child


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]


def _living() -> list[str]:
    """Return the names of all other processes."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and entry != "1":
            try:
                text = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except OSError:  # it has just exited
                continue
            name, _, rest = text.partition("(")[2].rpartition(")")
            if rest.split()[0] not in DEAD:
                found.append(name)
    return found


if __name__ == "__main__":
    main(float(sys.argv[1]), is_inner=sys.argv[2] == "inner", command=sys.argv[3:])
