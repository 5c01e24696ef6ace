"""The keys of each event, loaded when the first event is written.

Each event has one function, with the event's own name. It takes the facts that were given to
:meth:`pyinit.report.Report.tell`. ``docs/events.md`` says what the keys mean.
"""

import os
from errno import EPERM, errorcode

from pyinit import lifecycle
from pyinit.later import proc
from pyinit.before.names import name as signal_name
from pyinit.signals import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from resource import struct_rusage
    from signal import struct_siginfo

    from pyinit.later.leftovers import Leftovers
    from pyinit.later.look import Look

    Keys = dict[str, object]

DEAF = (
    "it is PID 1 of its own PID namespace and has no handler for SIGTERM, so the kernel drops that "
    "signal; run it under its own init, or give it a handler"
)


def subreaper_needless() -> "Keys":
    """``-s`` was given, but makes no difference."""
    return {"reason": "PID 1 adopts every orphan anyway"}


def subreaper_refused(error: Exception) -> "Keys":
    """Orphans will not become children of pyinit."""
    return {"reason": f"{error}; orphans go to the init above, and pyinit does not reap them"}


def python_prctl_unavailable(error: BaseException) -> "Keys":
    """python-prctl is missing or broken, so pyinit uses ctypes."""
    return {"error": repr(error)}


def leftovers(code: int, found: "Leftovers", killed: "Collection[int]") -> "Keys":
    """The child left processes behind, and ``--leftovers`` is given."""
    return {"code": code, "count": found.count, "processes": found.keys(killed)}


def nothing_to_drain() -> "Keys":
    """Processes that the child leaves behind cannot be drained."""
    return {"reason": "another init adopts what the child leaves behind, so pyinit cannot drain it"}


def not_pid1(pid: int, subreaper: bool) -> "Keys":  # noqa: FBT001 - facts have an order only
    """Another process is PID 1."""
    return {"pid": pid, "subreaper": subreaper}


def shell_is_pid1(name: str, reason: str) -> "Keys":
    """PID 1 is a shell that does not forward SIGTERM to pyinit."""
    return {"name": name, "reason": reason}


def variable_unknown(name: str, right: str) -> "Keys":
    """A variable looks like one of pyinit's, but pyinit has none with that name."""
    return {"name": name, "reason": f"pyinit has no such variable; did you mean {right}?"}


def termination_log_refused(path: str, error: OSError) -> "Keys":
    """The termination log could not be written."""
    return {"path": path, "error": _symbol(error.errno or 0), "reason": error.strerror}


def child_started(pid: int, command: str) -> "Keys":
    """The child has started."""
    return {"pid": pid, "command": command}


def signal_dropped(received: "struct_siginfo") -> "Keys":
    """A signal came in and was not forwarded."""
    return {"signal": signal_name(received.si_signo), **_sender(received)}


def signal_forwarded(received: "struct_siginfo", sent: int, target: int, child: int) -> "Keys":
    """A signal came in, and one was sent in its place."""
    keys = signal_dropped(received)
    if sent != received.si_signo:
        keys["sent"] = signal_name(sent)
    return {**keys, "target": _target(target, child)}


def forward_refused(
    received: "struct_siginfo", sent: int, target: int, child: int, error: OSError
) -> "Keys":
    """A signal could not be forwarded."""
    return {**signal_forwarded(received, sent, target, child), **_refusal(error)}


def stop_is_slow(child: int, seconds: float, sent: int, look: "Look | None") -> "Keys":
    """The child was asked to stop, and still runs."""
    return {
        "pid": child,
        "name": proc.name(child),
        "state": proc.state(child),
        "seconds": seconds,
        "signal": signal_name(sent),
        **_seen(look, child),
    }


def timed_out(
    target: int, child: int, seconds: float, sent: tuple[int, ...], look: "Look | None"
) -> "Keys":
    """The child still runs after the time of ``-t``, and will be asked to stop."""
    seen = _seen(look, child)
    seen.pop("reason", None)  # says why it does not stop, but it was not asked to stop yet
    return {**stop_escalated(target, child, seconds, sent), **seen}


def stop_escalated(target: int, child: int, seconds: float, sent: tuple[int, ...]) -> "Keys":
    """The child did not stop within a step of ``-k``, and gets the signal of the next step."""
    return {
        "pid": child,
        "name": proc.name(child),
        "state": proc.state(child),
        "seconds": seconds,
        "signal": signal_name(sent[0]) if sent else None,
        "target": _target(target, child),
    }


def kill_after_expired(target: int, child: int, seconds: float, look: "Look | None") -> "Keys":
    """The child did not stop in time, and will get SIGKILL."""
    return {
        "pid": child,
        "name": proc.name(child),
        "state": proc.state(child),
        "seconds": seconds,
        "target": _target(target, child),
        **_seen(look, child),
    }


def kill_refused(signum: int, target: int, child: int, error: OSError) -> "Keys":
    """The kernel refused a signal that pyinit itself wanted to send."""
    keys: Keys = {"signal": signal_name(signum), "target": _target(target, child)}
    return {**keys, **_refusal(error)}


def orphan_reaped(pid: int, name: str | None, status: int) -> "Keys":
    """A process that pyinit had adopted exited."""
    return {"pid": pid, "name": name, **_fate(status)}


def exec_failed(command: str, code: int, error: int, reason: str) -> "Keys":
    """The command could not be run."""
    return {"command": command, "code": code, "error": _symbol(error), "reason": reason}


def child_exited(
    pid: int,
    status: int,
    seconds: float,
    used: "struct_rusage | None",
    why: tuple[int, str],
) -> "Keys":
    """The child exited; ``why`` is the number of OOM kills meanwhile, and another reason."""
    oom_kills, reason = why
    keys: Keys = {"pid": pid, **_fate(status), "seconds": round(seconds, 3), **_usage(used)}
    if oom_kills <= 0:
        return {**keys, "reason": reason} if reason else keys
    killed = "a process" if oom_kills == 1 else f"{oom_kills} processes"
    reason = (
        f"out of memory, so the kernel killed {killed} of this cgroup while the child ran; "
        "give the container more memory, or make the program use less"
    )
    return {**keys, "oom_kills": oom_kills, "reason": reason}


def drain_started(remaining: int | None, grace: float) -> "Keys":
    """The processes that the child left behind were asked to stop."""
    return {"remaining": remaining, "grace_seconds": grace}


def drain_survivor(  # noqa: PLR0913, PLR0917 - all facts of the event
    pid: int,
    name: str | None,
    state: str | None,
    seconds: float,
    is_deaf: bool,  # noqa: FBT001 - as above
    look: "Look | None",
) -> "Keys":
    """One of them did not stop in time, and will get SIGKILL."""
    keys: Keys = {"pid": pid, "name": name, "state": state, "seconds": seconds, **_seen(look, pid)}
    if is_deaf:
        keys["reason"] = DEAF
    return keys


def drain_finished(finished: int | None, killed: int, left: int | None, seconds: float) -> "Keys":
    """The drain is over."""
    return {"finished": finished, "killed": killed, "left": left, "seconds": seconds}


def _seen(look: "Look | None", pid: int) -> "Keys":
    """Return what is known by now about a process that does not stop."""
    return dict(look.keys(pid)) if look is not None else {}


def _target(kind: int, child: int) -> str:
    if kind == lifecycle.EVERYONE:
        return "every process" if os.getpid() == 1 else "every descendant"
    return f"process group {child}" if kind == lifecycle.GROUP else f"process {child}"


def _refusal(error: OSError) -> "Keys":
    if error.errno == EPERM:
        reason = (
            "permission denied, most likely because it runs as another user; "
            "run both as the same user, or give pyinit CAP_KILL"
        )
    else:
        reason = error.strerror or str(error)
    return {"error": _symbol(error.errno or 0), "reason": reason}


def _symbol(error: int) -> str:
    """Return the name of an errno, such as ``ENOENT``."""
    return errorcode.get(error, str(error))


def _sender(received: "struct_siginfo") -> "Keys":
    """Return which process sent a signal.

    A positive code means the kernel, mostly for a terminal. A sender outside this PID namespace has
    pid 0 (sigaction(2), si_code; pid_namespaces(7)).
    """
    if received.si_code > 0:
        return {"sender": "terminal or kernel", "sender_pid": None}
    if received.si_pid == UNKNOWN:
        return {"sender": None, "sender_pid": None}
    if received.si_pid == 0:
        return {"sender": "outside the namespace", "sender_pid": None}
    return {"sender": proc.name(received.si_pid), "sender_pid": received.si_pid}


def _fate(status: int) -> "Keys":
    """Return how a process ended: its code, or the signal that killed it."""
    if not os.WIFSIGNALED(status):
        return {"code": os.WEXITSTATUS(status)}
    return {"signal": signal_name(os.WTERMSIG(status)), "core_dumped": os.WCOREDUMP(status)}


def _usage(used: "struct_rusage | None") -> "Keys":
    """Return what a process and the children that it waited for used (getrusage(2))."""
    if used is None:
        return {}
    return {
        "user_seconds": round(used.ru_utime, 3),
        "system_seconds": round(used.ru_stime, 3),
        "max_rss_kib": used.ru_maxrss,
    }
