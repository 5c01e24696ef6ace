"""What each thread of a process does with signals: for ``--inspect``, slow stops and the drain.

/proc/PID/status is not enough: while a thread waits in sigtimedwait(2), it shows the signals that
the thread waits for as neither blocked nor caught. /proc/PID/syscall and /proc/PID/mem show them to
a process that may trace this one (ptrace(2)); wchan shows only that the thread waits.
"""

import os
import sys
from time import monotonic

from pyinit import signals
from pyinit.later.memory import Memory, UnreadableError
from pyinit.later.verdicts import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Fields = Mapping[str, str]

# The system call rt_sigtimedwait, by machine (the tables of the kernel's arch/*).
SIGTIMEDWAIT = {"aarch64": 137, "loongarch64": 137, "riscv64": 137, "x86_64": 128}
SIGTIMEDWAIT |= {"armv7l": 177, "i686": 177, "ppc64": 176, "ppc64le": 176, "s390x": 177}
SIGNAL_SET_BYTES = 8
LOOKING_SECONDS = 0.05  # for a thread that does not rest: some ticks of the clock
FOREVER = float("inf")
DEAD = frozenset("ZX")


def look(pid: int, until: float = FOREVER) -> tuple[Thread, ...]:
    """Return what the threads of a process do with signals, the first thread first.

    Threads that have exited are left out, except the first one, which stays until all have exited.

    Args:
        pid: the process.
        until: when to wait no longer for threads that do not rest, on the monotonic clock. With
            very many busy threads, LOOKING_SECONDS for each would be too long.

    Raises:
        OSError: there is no such process, or it may not be looked at.
    """
    tids = sorted(map(int, os.listdir(f"/proc/{pid}/task")), key=lambda tid: (tid != pid, tid))
    found = (_thread(pid, tid, until) for tid in tids)
    return tuple(thread for thread in found if thread is not None)


def fields_of(path: str) -> dict[str, str]:
    """Return the fields of a status file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, encoding="utf-8", errors="backslashreplace") as lines:
        pairs = (line.partition(":") for line in lines)
        return {key: value.strip() for key, _, value in pairs}


def bits(mask: str) -> frozenset[int]:
    """Return the signals of a bitmap in /proc/PID/status: bit N - 1 is signal N."""
    value = int(mask, 16)
    return frozenset(signum for signum in range(1, 65) if value >> (signum - 1) & 1)


def _thread(pid: int, tid: int, until: float = FOREVER) -> Thread | None:
    """Return None for a thread that has exited, unless it is the first one."""
    place = f"/proc/{pid}/task/{tid}"
    try:
        fields, waits, awaited = _at_rest(place, until)
    except OSError:
        return None
    if fields["State"][0] in DEAD and tid != pid:
        return None
    return Thread(
        tid=tid,
        state=fields["State"][0],
        tracer=int(fields["TracerPid"]),
        blocked=bits(fields["SigBlk"]),
        pending=bits(fields["SigPnd"]),
        awaited=awaited,
        waits=waits,
    )


def _at_rest(
    place: str, until: float = FOREVER
) -> "tuple[Fields, bool | None, frozenset[int] | None]":
    """Return the status of a thread, and which signals it waits for at the same moment.

    These are two files, and a thread that takes signal after signal may change between two reads.
    If it sleeps before and after, and the count of sleeps is the same, it has not run in between.
    If it has used CPU time and has not slept, it does not wait; a wakeup alone uses none. In all
    other cases the answer is unknown.

    Raises:
        OSError: it has exited.
    """
    end = min(monotonic() + LOOKING_SECONDS, until)
    fields, start = fields_of(f"{place}/status"), _time_run(place)
    while True:
        before = fields
        waits, awaited = _waiting(place, before)
        time_run, fields = _time_run(place), fields_of(f"{place}/status")
        if _sleeps(before) != _sleeps(fields):
            start = _time_run(place)
        elif fields["State"] == before["State"] and (not _runs(fields) or time_run != start):
            return fields, waits, awaited
        if monotonic() > end:
            return fields, None, None


def _runs(fields: "Fields") -> bool:
    return fields["State"][0] == "R"


def _time_run(place: str) -> str:
    """Return the CPU time of a thread; the kernel updates it at ticks of the clock."""
    try:
        return read(f"{place}/schedstat").partition(" ")[0]
    except OSError:
        return ""


def _sleeps(fields: "Fields") -> str | None:
    return fields.get("voluntary_ctxt_switches")


def _waiting(place: str, fields: "Fields") -> tuple[bool | None, frozenset[int] | None]:
    """Return whether a thread waits for signals, and for which; None if unknown."""
    if fields["State"][0] in DEAD:
        return False, frozenset()
    try:
        words = read(f"{place}/syscall").split()
    except OSError:  # not permitted (PTRACE_MODE_ATTACH), or not in this kernel
        words = []
    if words:
        number = SIGTIMEDWAIT.get(os.uname().machine)
        if number is None or words[0] != str(number):
            return (None, None) if number is None else (False, frozenset())
        return True, _set_at(int(fields["Pid"]), int(words[1], 16))
    return _waiting_by_function(place, fields)


def _waiting_by_function(place: str, fields: "Fields") -> tuple[bool | None, frozenset[int] | None]:
    try:
        function = read(f"{place}/wchan")
    except OSError:
        function = ""
    if "sigtimedwait" in function:
        return True, None
    # The kernel also writes "0" if pyinit has no permission.
    is_elsewhere = function not in {"", "0"} or fields["State"][0] == "R"
    return (False, frozenset()) if is_elsewhere else (None, None)


def _set_at(pid: int, address: int) -> frozenset[int] | None:
    try:
        memory = Memory(pid, FOREVER)  # one read never takes long
        try:
            words = memory.read(address, SIGNAL_SET_BYTES)
        finally:
            memory.close()
    except UnreadableError:
        return None
    asked = bits(f"{int.from_bytes(words, sys.byteorder):x}")
    return asked - {signals.SIGKILL, signals.SIGSTOP}  # the kernel removes these


def read(path: str) -> str:
    """Return the text of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        return file.read()
