"""Look at a process, and at what it does with signals: for ``--inspect``, and for the deaf."""

import os

from pyinit import processes
from pyinit.later import exec_failure, proc, thread_signals
from pyinit.later.verdicts import Process
from pyinit.before.errors import InspectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.later.thread_signals import Fields
    from pyinit.later.verdicts import Thread

MACHINES_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of include/linux/proc_ns.h


def look(pid: int, until: float = thread_signals.FOREVER) -> Process:
    """Return what a process does with signals.

    Args:
        pid: its pid in the namespace of who looks.
        until: as for ``thread_signals.look``. Where there is such an end, it is not asked whether
            the process group is orphaned: for that everybody is looked at, and no stop needs it.

    Raises:
        InspectionError: there is none, it is dead, or /proc does not tell.
    """
    _check_proc()
    fields = _status(pid)
    if int(fields["Tgid"]) != pid:
        leader = fields["Tgid"]
        msg = f"{pid} is a thread of process {leader}: inspect that one, --inspect={leader}"
        raise InspectionError(msg)
    found = _threads(pid, until)
    if not any(thread.is_alive for thread in found):
        msg = (
            f"process {pid} is dead, a zombie that its parent {fields['PPid']} has not reaped: "
            "no signal does anything to it"
        )
        raise InspectionError(msg)
    is_orphaned = _is_group_orphaned(pid) if until == thread_signals.FOREVER else None
    return _process(pid, fields, found, in_orphaned_group=is_orphaned)


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process, as far as /proc tells."""
    stats = proc.stats() or {}
    return sorted(child for child, stat in stats.items() if stat.parent == pid)


def _process(
    pid: int, fields: "Fields", found: "tuple[Thread, ...]", *, in_orphaned_group: bool | None
) -> Process:
    pids = fields.get("NSpid", str(pid)).split()  # by namespace, from here inwards
    state = next(thread.state for thread in found if thread.is_alive)
    return Process(
        pid=pid,
        namespace_pid=int(pids[-1]),
        name=exec_failure.show((proc.name(pid) or "?").encode()),
        state=proc.STATES.get(state, state),
        is_machines_init=_is_machines_init(pid),
        in_orphaned_group=in_orphaned_group,
        ignored=thread_signals.bits(fields["SigIgn"]),
        caught=thread_signals.bits(fields["SigCgt"]),
        pending=thread_signals.bits(fields["ShdPnd"]),
        threads=found,
    )


def _check_proc() -> None:
    if proc.is_ours():
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
        return thread_signals.fields_of(f"/proc/{pid}/status")
    except PermissionError as error:
        msg = f"may not look at process {pid}: be its user, or root"
        raise InspectionError(msg) from error
    except OSError as error:
        raise InspectionError(_absence(pid)) from error


def _threads(pid: int, until: float) -> "tuple[Thread, ...]":
    try:
        found = thread_signals.look(pid, until)
    except OSError as error:
        raise InspectionError(_absence(pid)) from error
    if not found:  # it ended, and was reaped, just now
        raise InspectionError(_absence(pid))
    return found


def _absence(pid: int) -> str:
    try:
        processes.send_to(pid, None, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return f"there is no process {pid} in this PID namespace"
    except PermissionError:
        pass
    return f"/proc hides process {pid} (hidepid): be its user, or root"


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
    stats = proc.stats() or {}
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
        found = [line.split() for line in thread_signals.read("/proc/self/mountinfo").splitlines()]
    except OSError:
        return True
    options = (words[-1] for words in found if words[4] == "/proc")
    return os.geteuid() != 0 and any("hidepid=" in each for each in options)
