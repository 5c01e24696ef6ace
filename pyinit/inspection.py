"""Look at what a process does with signals. Loaded for ``--inspect`` only.

/proc/PID/status does not tell it all: while a thread waits in sigtimedwait(2) the signals that it
waits for are neither blocked nor caught there, and yet they are taken. /proc/PID/syscall and
/proc/PID/mem tell which, to who may trace the process (ptrace(2)), and wchan that it waits at all.
"""

import os
import sys
from time import monotonic

from pyinit import diagnosis, procfs, signals
from pyinit.start import StartError
from pyinit.verdicts import Process, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Fields = Mapping[str, str]

# The system call rt_sigtimedwait, by machine (the tables of the kernel's arch/*).
SIGTIMEDWAIT = {"aarch64": 137, "loongarch64": 137, "riscv64": 137, "x86_64": 128}
SIGTIMEDWAIT |= {"armv7l": 177, "i686": 177, "ppc64": 176, "ppc64le": 176, "s390x": 177}
SIGNAL_SET_BYTES = 8
MACHINES_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of include/linux/proc_ns.h
DEAD = frozenset("ZX")
LOOKING_SECONDS = 0.05  # at a thread that does not rest: some ticks of the clock


class InspectionError(StartError):
    """A process cannot be looked at; the text says why and what to do."""


def look(pid: int) -> Process:
    """Return what a process does with signals.

    Args:
        pid: its pid in the namespace of who looks.

    Raises:
        InspectionError: there is none, it is dead, or /proc does not tell.
    """
    _check_proc()
    fields = _status(pid)
    if int(fields["Tgid"]) != pid:
        leader = fields["Tgid"]
        msg = f"{pid} is a thread of process {leader}: inspect that one, --inspect={leader}"
        raise InspectionError(msg)
    threads = _threads(pid)
    if not threads:  # it ended, and was reaped, just now
        raise InspectionError(_absence(pid))
    if not any(thread.is_alive for thread in threads):
        msg = (
            f"process {pid} is dead, a zombie that its parent {fields['PPid']} has not reaped: "
            "no signal does anything to it"
        )
        raise InspectionError(msg)
    return _process(pid, fields, threads)


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, as far as /proc tells."""
    stats = procfs.stats() or {}
    return sorted(child for child, stat in stats.items() if stat.parent == pid)


def _process(pid: int, fields: "Fields", threads: tuple[Thread, ...]) -> Process:
    pids = fields.get("NSpid", str(pid)).split()  # by namespace, from here inwards
    state = next(thread.state for thread in threads if thread.is_alive)
    return Process(
        pid=pid,
        namespace_pid=int(pids[-1]),
        name=diagnosis.show((procfs.name(pid) or "?").encode()),
        state=procfs.STATES.get(state, state),
        is_machines_init=_is_machines_init(pid),
        in_orphaned_group=_is_group_orphaned(pid),
        ignored=bits(fields["SigIgn"]),
        caught=bits(fields["SigCgt"]),
        pending=bits(fields["ShdPnd"]),
        threads=threads,
    )


def bits(mask: str) -> frozenset[int]:
    """Return the signals of a bitmap as /proc/PID/status has it: bit N - 1 stands for signal N."""
    value = int(mask, 16)
    return frozenset(signum for signum in range(1, 65) if value >> (signum - 1) & 1)


def _check_proc() -> None:
    if procfs.is_ours():
        return
    if not os.path.lexists("/proc/self"):
        msg = "there is no /proc here, which is where this is to be seen: mount -t proc proc /proc"
    else:
        msg = (
            "/proc shows the processes of another PID namespace: mount one that shows this one's, "
            "as unshare --mount-proc does"
        )
    raise InspectionError(msg)


def _status(pid: int) -> dict[str, str]:
    try:
        return _fields(f"/proc/{pid}/status")
    except PermissionError as error:
        msg = f"may not look at process {pid}: be its user, or root"
        raise InspectionError(msg) from error
    except OSError as error:
        raise InspectionError(_absence(pid)) from error


def _absence(pid: int) -> str:
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return f"there is no process {pid} in this PID namespace"
    except PermissionError:
        pass
    except OverflowError:
        return f"there is no process {pid}: it is more than a pid can be"
    return f"/proc hides process {pid} (hidepid): be its user, or root"


def _fields(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8", errors="backslashreplace") as lines:
        pairs = (line.partition(":") for line in lines)
        return {key: value.strip() for key, _, value in pairs}


def _threads(pid: int) -> tuple[Thread, ...]:
    try:
        tids = sorted(map(int, os.listdir(f"/proc/{pid}/task")), key=lambda tid: (tid != pid, tid))
    except OSError as error:
        raise InspectionError(_absence(pid)) from error
    found = (_thread(pid, tid) for tid in tids)
    return tuple(thread for thread in found if thread is not None)


def _thread(pid: int, tid: int) -> Thread | None:
    """Return None for a thread that has ended, unless it is the first one."""
    place = f"/proc/{pid}/task/{tid}"
    try:
        fields, waits, awaited = _at_rest(place)
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


def _at_rest(place: str) -> "tuple[Fields, bool | None, frozenset[int] | None]":
    """Return the status of a thread, and what it waits for at that very time.

    These are two files, and a thread that takes signal after signal waits in one and not in the
    other. Who sleeps before and after, and has not slept anew, has not run in between. Who has run
    and not slept does not wait; to be woken is not to have run. Of any other it is not known.

    Raises:
        OSError: it has ended.
    """
    end = monotonic() + LOOKING_SECONDS
    fields, start = _fields(f"{place}/status"), _time_run(place)
    while True:
        before = fields
        waits, awaited = _waiting(place, before)
        time_run, fields = _time_run(place), _fields(f"{place}/status")
        if _sleeps(before) != _sleeps(fields):
            start = _time_run(place)
        elif fields["State"] == before["State"] and (not _runs(fields) or time_run != start):
            return fields, waits, awaited
        if monotonic() > end:
            return fields, None, None


def _runs(fields: "Fields") -> bool:
    return fields["State"][0] == "R"


def _time_run(place: str) -> str:
    """Return how long a thread has had a processor; it is told anew at ticks of the clock."""
    try:
        return _read(f"{place}/schedstat").partition(" ")[0]
    except OSError:
        return ""


def _sleeps(fields: "Fields") -> str | None:
    return fields.get("voluntary_ctxt_switches")


def _waiting(place: str, fields: "Fields") -> tuple[bool | None, frozenset[int] | None]:
    """Return whether a thread waits for signals, and for which; None where that is not told."""
    if fields["State"][0] in DEAD:
        return False, frozenset()
    try:
        words = _read(f"{place}/syscall").split()
    except OSError:  # not for everybody (PTRACE_MODE_ATTACH), nor in every kernel
        words = []
    if words:
        number = SIGTIMEDWAIT.get(os.uname().machine)
        if number is None or words[0] != str(number):
            return (None, None) if number is None else (False, frozenset())
        return True, _set_at(f"{place}/mem", int(words[1], 16))
    return _waiting_by_function(place, fields)


def _waiting_by_function(place: str, fields: "Fields") -> tuple[bool | None, frozenset[int] | None]:
    try:
        function = _read(f"{place}/wchan")
    except OSError:
        function = ""
    if "sigtimedwait" in function:
        return True, None
    # "0" is the answer to who may not know as well.
    is_elsewhere = function not in {"", "0"} or fields["State"][0] == "R"
    return (False, frozenset()) if is_elsewhere else (None, None)


def _set_at(memory: str, address: int) -> frozenset[int] | None:
    try:
        descriptor = os.open(memory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            words = os.pread(descriptor, SIGNAL_SET_BYTES, address)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    if len(words) < SIGNAL_SET_BYTES:
        return None
    asked = bits(f"{int.from_bytes(words, sys.byteorder):x}")
    return asked - {signals.SIGKILL, signals.SIGSTOP}  # the kernel takes these out


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _is_machines_init(pid: int) -> bool:
    try:
        return pid == 1 and os.readlink("/proc/self/ns/pid") == MACHINES_PID_NAMESPACE
    except OSError:
        return False


def _is_group_orphaned(pid: int) -> bool | None:
    """Tell whether nobody in the group of ``pid`` has a parent outside of it in the same session.

    That is how POSIX defines an orphaned process group. None where somebody's parent is not seen,
    or there may be members who are not.
    """
    stats = procfs.stats() or {}
    own = stats.get(pid)
    if own is None or 0 in {own.group, own.session}:  # 0 is any of an outer namespace
        return None
    members = {pid: stat for pid, stat in stats.items() if stat.group == own.group}
    parents = [
        stats.get(stat.parent)
        for pid, stat in members.items()
        # Not of the dead, nor of a session's leader, whose parent is in another session.
        if not stat.is_dead() and pid != stat.session and not _is_machines_init(stat.parent)
    ]
    if any(
        parent is not None and parent.group != own.group and parent.session == own.session
        for parent in parents
    ):
        return False
    return None if None in parents or _is_part_hidden() else True


def _is_part_hidden() -> bool:
    """Tell whether /proc may keep processes from who looks (hidepid)."""
    try:
        mounts = _read("/proc/self/mountinfo").splitlines()
    except OSError:
        return True
    options = (line.split()[-1] for line in mounts if line.split()[4] == "/proc")
    return os.geteuid() != 0 and any("hidepid=" in each for each in options)
