"""How the child ended, whether memory ran out, and what is logged of that.

Loaded right after the fork, to read how often memory had run out before. So it needs no disk at the
end.
"""

import posix
from time import monotonic

from pyinit import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.supervisor import Supervisor

OF_SHELLS = ("&&", "||", "$", "~", "|", ">")  # have a meaning only for shells
CGROUPS = "/sys/fs/cgroup"


def tell(supervisor: "Supervisor", status: int) -> None:
    """Log that the child has ended, and keep that for the termination log.

    Args:
        supervisor: has what is known of the child.
        status: the status of the child from waitpid(2).
    """
    from pyinit.settings import INFO, WARNING  # not needed while pyinit is idle

    child, usage = supervisor.child, supervisor.usage
    seconds = monotonic() - child.began
    kills = None
    if status and child.oom_kills is not None:  # a shell may turn SIGKILL into code 137
        counted = oom_kills()
        kills = None if counted is None else max(0, counted - child.oom_kills)
    reason = ""
    if not kills and not _is_clear(supervisor, status):
        from pyinit.later import endings

        reason = endings.reason(
            supervisor.settings.command,
            status,
            seconds,
            escalated=supervisor.escalated,
            counts_oom=kills is not None,
        )
    level = WARNING if kills or reason or _is_crash(supervisor, status) else INFO
    why = kills or 0, reason
    supervisor.report.tell(level, "child_exited", child.pid, status, seconds, usage, why)
    supervisor.ending = status, seconds, *why


def _is_clear(supervisor: "Supervisor", status: int) -> bool:
    """Tell whether the status, or a signal from pyinit, explains the end of the child."""
    if posix.WIFSIGNALED(status):
        signum = posix.WTERMSIG(status)
        if signum == supervisor.escalated and _is_crash(supervisor, status):
            return False
        return signum != signals.SIGKILL or supervisor.has_killed
    marks = OF_SHELLS if status else OF_SHELLS[:2]  # the other marks make programs fail
    return supervisor.lifecycle.asked is not None or not any(
        mark in word for mark in marks for word in supervisor.settings.command[1:]
    )


def _is_crash(supervisor: "Supervisor", status: int) -> bool:
    """Tell whether the end is a problem that must be logged, unlike a plain stop."""
    signum = posix.WTERMSIG(status) if posix.WIFSIGNALED(status) else 0
    terminal = supervisor.child.terminal
    if signum == signals.SIGPIPE and terminal is not None and terminal.is_job:
        return False  # pipelines end like this
    return signum not in signals.PLAIN_STOPS


def leave_word(supervisor: "Supervisor", code: int) -> None:
    """Write into the termination log, unless everything ended well.

    Args:
        supervisor: has what is known of the child, and of what it left behind.
        code: the exit code of pyinit.
    """
    is_plain, is_named = _is_plain(supervisor, code), bool(supervisor.settings.termination_log)
    is_silent = is_plain and supervisor.last_words is None and not is_named
    if is_silent or not has_termination_log(supervisor):
        return
    from pyinit.later import last_words

    last_words.leave(supervisor, asked(supervisor)[0], is_plain=is_plain)


def _is_plain(supervisor: "Supervisor", code: int) -> bool:
    """Tell whether the child ended well or by the stop signal, and nothing else failed."""
    if supervisor.report.kept:
        return False
    status, _, kills, reason = supervisor.ending or (0, 0.0, 0, "")
    was_asked = supervisor.asked_by is not None and posix.WIFSIGNALED(status)
    is_asked_end = was_asked and not _is_crash(supervisor, status)
    return not kills and not reason and (not code or is_asked_end)


def has_termination_log(supervisor: "Supervisor") -> bool:
    """Tell whether there is a termination log to write into.

    The usual file is for PID 1 only: a pyinit that `kubectl exec` starts must not write there.
    """
    try:
        return bool(supervisor.settings.termination_log) or (
            posix.getpid() == 1 and bool(posix.lstat("/dev/termination-log"))
        )
    except OSError:
        return False


def asked(supervisor: "Supervisor") -> tuple[float, int]:
    """Return how many seconds ago the child was first asked to stop, and the signal."""
    now = monotonic()
    at, signum = supervisor.lifecycle.asked or (now, signals.SIGTERM)
    return round(now - at, 1), signum


def oom_kills() -> int | None:
    """Return the number of OOM kills in pyinit's cgroup.

    None if that is unknown, without a memory controller or /sys/fs/cgroup. Version 1 counts since
    Linux 4.13 (memory.oom_control), version 2 in memory.events, with the cgroups below. Never
    raises.
    """
    try:
        for path in _counters():
            found = _oom_kill(path)
            if found is not None:
                return found
    except Exception:  # noqa: BLE001 - there may be no memory for this, either
        pass
    return None


def _counters() -> list[str]:
    found = []
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if "memory" in controllers.split(","):
                found += _places(f"{CGROUPS}/memory", path, "memory.oom_control")
            elif not controllers:
                found += _places(CGROUPS, path, "memory.events")
    return found


def _places(mount: str, path: str, name: str) -> list[str]:
    # In a container, the mount often shows the own cgroup, but the path is the one of the host.
    return [f"{mount}{path.rstrip('/')}/{name}", f"{mount}/{name}"]


def _oom_kill(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            words = file.read().split()
        return int(words[words.index(b"oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return None
