"""Find out what a process does with signals: for ``--inspect``, slow stops and the drain."""

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
        pid: its pid in the namespace of pyinit.
        until: as for ``thread_signals.look``. With a limit, it stays unknown whether the process
            group is orphaned: that takes a look at all processes, and no stop needs it.

    Raises:
        InspectionError: there is no such process, it is a zombie, or /proc does not show it.
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
            f"process {pid} has exited and is a zombie: signals have no effect on it; "
            f"its parent {fields['PPid']} must wait for it"
        )
        raise InspectionError(msg)
    is_orphaned = _is_group_orphaned(pid) if until == thread_signals.FOREVER else None
    return _process(pid, fields, found, in_orphaned_group=is_orphaned)


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process that /proc shows."""
    stats = proc.stats() or {}
    return sorted(child for child, stat in stats.items() if stat.parent == pid)


def _process(
    pid: int, fields: "Fields", found: "tuple[Thread, ...]", *, in_orphaned_group: bool | None
) -> Process:
    pids = fields.get("NSpid", str(pid)).split()  # by namespace, the innermost one last
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
        msg = "/proc is not mounted, and --inspect reads it: run mount -t proc proc /proc"
    else:
        msg = (
            "/proc shows the processes of another PID namespace: mount it again in this one, "
            "as unshare --mount-proc does"
        )
    raise InspectionError(msg)


def _status(pid: int) -> dict[str, str]:
    try:
        return thread_signals.fields_of(f"/proc/{pid}/status")
    except PermissionError as error:
        msg = f"no permission to look at process {pid}: run pyinit as the same user, or as root"
        raise InspectionError(msg) from error
    except OSError as error:
        raise InspectionError(_absence(pid)) from error


def _threads(pid: int, until: float) -> "tuple[Thread, ...]":
    try:
        found = thread_signals.look(pid, until)
    except OSError as error:
        raise InspectionError(_absence(pid)) from error
    if not found:  # it has just exited and was reaped
        raise InspectionError(_absence(pid))
    return found


def _absence(pid: int) -> str:
    try:
        processes.send_to(pid, None, 0)  # signal 0 only asks whether it exists
    except ProcessLookupError:
        return f"there is no process {pid} in this PID namespace"
    except PermissionError:
        pass
    return f"/proc hides process {pid} (hidepid): run pyinit as the same user, or as root"


def _is_machines_init(pid: int) -> bool:
    try:
        return pid == 1 and os.readlink("/proc/self/ns/pid") == MACHINES_PID_NAMESPACE
    except OSError:
        return False


def _is_group_orphaned(pid: int) -> bool | None:
    """Tell whether the process group of ``pid`` is orphaned.

    POSIX: no member has a parent in another group of the same session. None if the parent of a
    member cannot be seen, or if /proc may hide members.
    """
    stats = proc.stats() or {}
    own = stats.get(pid)
    if own is None or 0 in {own.group, own.session}:  # 0 is a group of an outer namespace
        return None
    members = {pid: stat for pid, stat in stats.items() if stat.group == own.group}
    parents = [
        stats.get(stat.parent)
        for pid, stat in members.items()
        # Not of zombies, nor of a session leader, whose parent is in another session.
        if not stat.is_dead() and pid != stat.session and not _is_machines_init(stat.parent)
    ]
    if any(
        parent is not None and parent.group != own.group and parent.session == own.session
        for parent in parents
    ):
        return False
    return None if None in parents or _is_part_hidden() else True


def _is_part_hidden() -> bool:
    """Tell whether /proc may hide processes from pyinit (hidepid)."""
    try:
        found = [line.split() for line in thread_signals.read("/proc/self/mountinfo").splitlines()]
    except OSError:
        return True
    options = (words[-1] for words in found if words[4] == "/proc")
    return os.geteuid() != 0 and any("hidepid=" in each for each in options)
