"""Tell of a drain: whom the child left behind, who would not go, how it ended.

It only looks: the signals are sent whether it works or not.
"""

import os
from time import monotonic

from pyinit import everyone, procfs, signals
from pyinit.settings import INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.report import Keys, Report

NAMING_SECONDS = 0.2  # SIGKILL waits for it, and then the end


class Drain:
    """What is known of those that the child left behind."""

    __slots__ = ("_began", "_grace", "_killed", "_killing", "_known", "_report")

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

    def lost_patience(self) -> None:
        """Name each one that is still there; before SIGKILL, after which there is less to see."""
        self._killing = True
        for pid in everyone.alive(NAMING_SECONDS):
            self._tell_survivor(pid, procfs.name(pid), procfs.state(pid))

    def finished(self, *, gave_up: bool) -> None:
        """Tell how it ended; who is left may be hidden (hidepid)."""
        left = set(everyone.alive(NAMING_SECONDS)) if gave_up else set()
        is_hidden = gave_up and not everyone.pids()
        level = WARNING if left or is_hidden else INFO
        number = None if is_hidden else len(left)
        self._report.tell(level, "drain_finished", lambda: self._keys_of_end(left, number))

    def _tell_survivor(self, pid: int, name: str | None, state: str | None) -> None:
        self._killed.add(pid)
        seconds = self._seconds()
        self._report.tell(
            WARNING,
            "drain_survivor",
            lambda: {"pid": pid, "name": name, "state": state, "seconds": seconds},
        )

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
