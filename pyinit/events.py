"""The keys of the events that need more than a line; loaded with the first one that is written.

``docs/events.md`` lists all events and keys.
"""

import os
from errno import EPERM

from pyinit import procfs, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage
    from signal import struct_siginfo

    Keys = dict[str, object]


def forward(received: "struct_siginfo", pid: int, error: OSError | None, *, group: bool) -> "Keys":
    """Describe a signal passed on to ``pid`` or its group, or why it could not be."""
    keys: Keys = {
        "signal": signals.name(received.si_signo),
        **sender(received),
        "target": f"process group {pid}" if group else f"process {pid}",
    }
    if error is not None:
        from pyinit.diagnosis import symbol

        keys["error"] = symbol(error.errno or 0)
        keys["reason"] = _refusal(error)
    return keys


def sender(received: "struct_siginfo") -> "Keys":
    """Tell who sent a signal.

    A positive code means the kernel did, for a terminal mostly; a sender that is no process of
    this PID namespace reads as pid 0 (sigaction(2), si_code; pid_namespaces(7)).
    """
    if received.si_code > 0:
        return {"sender": "terminal or kernel", "sender_pid": None}
    if received.si_pid == 0:
        return {"sender": "outside the namespace", "sender_pid": None}
    return {"sender": procfs.name(received.si_pid), "sender_pid": received.si_pid}


def fate(status: int) -> "Keys":
    """Tell how a process ended: its code, or the signal that killed it."""
    if not os.WIFSIGNALED(status):
        return {"code": os.WEXITSTATUS(status)}
    return {"signal": signals.name(os.WTERMSIG(status)), "core_dumped": os.WCOREDUMP(status)}


def usage(used: "struct_rusage | None") -> "Keys":
    """Tell what a process and the children it waited for used (getrusage(2))."""
    if used is None:
        return {}
    return {
        "user_seconds": round(used.ru_utime, 3),
        "system_seconds": round(used.ru_stime, 3),
        "max_rss_kib": used.ru_maxrss,
    }


def _refusal(error: OSError) -> str:
    if error.errno == EPERM:
        return (
            "the process runs as another user and pyinit may not signal it: "
            "run both as one user, or give pyinit CAP_KILL"
        )
    return error.strerror or str(error)
