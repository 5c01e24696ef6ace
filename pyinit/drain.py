"""Tell of a drain: which processes the child left behind, which did not exit in time, how it ended.

The signals for all of them are sent whether this works or not. It sends some of its own, in
:meth:`Drain.look`, to processes that do not hear a SIGTERM.
"""

import os
from time import monotonic

from pyinit import descendants, everyone, procfs, signals
from pyinit.settings import INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.report import Keys, Report

NAMING_SECONDS = 0.2  # SIGKILL waits for it, and then the end
LOOKING_SECONDS = 0.2

DEAF = (
    "it is PID 1 of a PID namespace of its own and has no handler for SIGTERM, so the kernel drops "
    "that: run it under an init of its own, or give it a handler"
)


class Drain:
    """What is known of those that the child left behind."""

    __slots__ = ("_began", "_deaf", "_grace", "_killed", "_killing", "_known", "_report")

    def __init__(self, report: "Report", grace: float) -> None:
        """Count those that remain, before they are asked to go; zombies count as well.

        Args:
            report: takes the events.
            grace: how long they get, in seconds.
        """
        self._report = report
        self._grace = grace
        self._began = monotonic()
        self._known: set[int] | None = None  # who was there at some time
        self._killed: set[int] = set()
        self._deaf: set[int] = set()  # which drop a SIGTERM
        self._killing = False
        if report.wants(INFO):
            found = everyone.pids()  # nobody: they are hidden (hidepid), for somebody remains
            self._known = set(found) if found else None

    def started(self) -> None:
        """Tell that they were asked, just now."""
        self._began = monotonic()
        remaining = None if self._known is None else len(self._known)
        keys: Keys = {"remaining": remaining, "grace_seconds": self._grace}
        self._report.tell(INFO, "drain_started", lambda: keys)

    def wants_the_dead(self) -> bool:
        """Tell whether there is anything to note of who ends: they are counted, or being killed."""
        return self._known is not None or self._killing

    def reaped(self, pid: int, name: str | None, status: int) -> None:
        """Note that ``pid`` has ended.

        Tell of it if it was killed and was not named before: /proc is missing, it had just been
        forked, or there were too many.
        """
        if self._known is not None:
            self._known.add(pid)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signals.SIGKILL
        if self._killing and was_killed and pid not in self._killed:
            self._tell_survivor(pid, name, procfs.STATES["X"])

    def look(self) -> None:
        """Reach processes that SIGTERM does not, soon after all were asked.

        Interactive shells ignore SIGTERM, and what ^Z stopped on a terminal stops again when it is
        continued there: both end when the terminal hangs up, so they get the SIGHUP of a hang-up
        (and SIGCONT, as from the kernel). A process that works on after a SIGTERM does not get it.

        PID 1 of a nested PID namespace without a handler is deaf to SIGTERM (pid_namespaces(7)).
        Where nobody is below it, whose end it may be waiting for, it is killed now.
        """
        end = monotonic() + LOOKING_SECONDS
        found = dict(everyone.alive(LOOKING_SECONDS))
        parents = {stat.parent for stat in found.values()}
        is_all = monotonic() < end
        for pid, stat in found.items():
            if stat.has_terminal and (stat.is_stopped() or _has_sigterm(stat.ignored)):
                descendants.send_to(pid, stat.birth, (signals.SIGHUP, signals.SIGCONT))
            if _has_sigterm(stat.ignored | stat.caught) or not _is_deaf(pid):
                continue
            self._deaf.add(pid)
            if is_all and pid not in parents:
                self._tell_survivor(pid, procfs.name(pid), procfs.state(pid))
                descendants.send_to(pid, stat.birth, (signals.SIGKILL,))

    def lost_patience(self) -> None:
        """Name each one that is still there; before SIGKILL, after which there is less to see."""
        self._killing = True
        for pid, _ in everyone.alive(NAMING_SECONDS):
            self._tell_survivor(pid, procfs.name(pid), procfs.state(pid))

    def finished(self, *, gave_up: bool) -> None:
        """Tell how it ended; who is left may be hidden (hidepid)."""
        left = {pid for pid, _ in everyone.alive(NAMING_SECONDS)} if gave_up else set()
        is_hidden = gave_up and not everyone.pids()
        level = WARNING if left or is_hidden else INFO
        number = None if is_hidden else len(left)
        self._report.tell(level, "drain_finished", lambda: self._keys_of_end(left, number))

    def _tell_survivor(self, pid: int, name: str | None, state: str | None) -> None:
        self._killed.add(pid)
        keys: Keys = {"pid": pid, "name": name, "state": state, "seconds": self._seconds()}
        if pid in self._deaf:
            keys["reason"] = DEAF
        self._report.tell(WARNING, "drain_survivor", lambda: keys)

    def _keys_of_end(self, left: set[int], number: int | None) -> "Keys":
        finished = None if self._known is None else len(self._known - self._killed - left)
        return {
            "finished": finished,
            "killed": len(self._killed - left),
            "left": number,
            "seconds": self._seconds(),
        }

    def _seconds(self) -> float:
        return round(monotonic() - self._began, 3)


def _has_sigterm(bitmap: int) -> bool:
    return bool(bitmap >> (signals.SIGTERM - 1) & 1)


def _is_deaf(pid: int) -> bool:
    """Tell whether a process is an init below this namespace that surely drops a SIGTERM."""
    if not procfs.is_nested_init(pid):
        return False
    try:
        from pyinit import inspection, verdicts

        verdict = verdicts.judge(inspection.look(pid), signals.SIGTERM, inside=False)
    except Exception:  # noqa: BLE001 - gone, or not to be looked at: then it may hear
        return False
    return verdict == verdicts.Verdict(verdicts.DROPPED)
