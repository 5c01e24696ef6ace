"""The keys of the events that need more than a line; loaded with the first one that is written.

``docs/events.md`` lists all events and keys.
"""

import os
from errno import EPERM

from pyinit import lifecycle, procfs, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage
    from signal import struct_siginfo

    Keys = dict[str, object]


def received(info: "struct_siginfo") -> "Keys":
    """Describe a signal that came in."""
    return {"signal": signals.name(info.si_signo), **sender(info)}


def forward(info: "struct_siginfo", sent: int, whom: tuple[int, int]) -> "Keys":
    """Describe a signal that came in and what was passed on in its place, and to whom."""
    keys = received(info)
    if sent != info.si_signo:
        keys["sent"] = signals.name(sent)
    return {**keys, "target": target(*whom)}


def target(kind: int, pid: int) -> str:
    """Say what a target of the lifecycle is, for a child ``pid``."""
    if kind == lifecycle.EVERYONE:
        return "every process" if os.getpid() == 1 else "every descendant"
    return f"process group {pid}" if kind == lifecycle.GROUP else f"process {pid}"


def refusal(error: OSError) -> "Keys":
    """Say why a signal could not be sent."""
    from pyinit.diagnosis import symbol

    if error.errno == EPERM:
        reason = (
            "pyinit may not signal it, which runs as another user most likely: "
            "run both as one user, or give pyinit CAP_KILL"
        )
    else:
        reason = error.strerror or str(error)
    return {"error": symbol(error.errno or 0), "reason": reason}


def lost_patience(whom: tuple[int, int], seconds: float) -> "Keys":
    """Describe a child that did not stop in time and is about to be killed."""
    _, pid = whom
    return {
        "pid": pid,
        "name": procfs.name(pid),
        "state": procfs.state(pid),
        "seconds": seconds,
        "target": target(*whom),
    }


def sender(received: "struct_siginfo") -> "Keys":
    """Tell who sent a signal.

    A positive code means the kernel did, for a terminal mostly; a sender that is no process of
    this PID namespace reads as pid 0 (sigaction(2), si_code; pid_namespaces(7)).
    """
    if received.si_code > 0:
        return {"sender": "terminal or kernel", "sender_pid": None}
    if received.si_pid == signals.UNKNOWN:
        return {"sender": None, "sender_pid": None}
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


def out_of_memory(kills: int) -> "Keys":
    """Say that memory ran out, if the kernel killed anybody for it."""
    if kills <= 0:
        return {}
    who = "a process" if kills == 1 else f"{kills} processes"
    return {
        "oom_kills": kills,
        "reason": f"out of memory: the kernel killed {who} of this cgroup while the child ran; "
        "give the container more memory, or let the program use less",
    }
