"""Tell of a drain: whom the child left behind, who would not go, how it ended.

Loaded when somebody is left. It only looks: the signals are sent whether it works or not.
"""

from time import monotonic

from pyinit import everyone, procfs
from pyinit.settings import INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.report import Keys, Report


class Drain:
    """What is known of those that the child left behind."""

    __slots__ = ("_began", "_killed", "_known", "_report")

    def __init__(self, report: "Report", grace: float) -> None:
        """Count those that remain, and tell; before they are asked to go.

        Args:
            report: takes the events.
            grace: how long they get, in seconds.
        """
        self._report = report
        self._began = monotonic()
        self._known: set[int] | None = None  # who was there at some time
        self._killed: set[int] = set()
        if report.wants(INFO):
            found = everyone.alive()
            self._known = None if found is None else set(found)
        report.tell(INFO, "drain_started", lambda: self._keys_of_start(grace))

    def reaped(self, pid: int) -> None:
        """Note that ``pid`` has ended."""
        if self._known is not None:
            self._known.add(pid)

    def lost_patience(self) -> None:
        """Name each one that is still there; before SIGKILL, after which there is less to see."""
        found = everyone.alive()
        if found is None:
            self._tell_survivor(None)
        for pid in found or ():
            self._killed.add(pid)
            self._tell_survivor(pid)

    def finished(self, *, gave_up: bool) -> None:
        """Tell how it ended."""
        left = everyone.alive() if gave_up else []
        level = WARNING if gave_up else INFO
        self._report.tell(level, "drain_finished", lambda: self._keys_of_end(left))

    def _tell_survivor(self, pid: int | None) -> None:
        self._report.tell(WARNING, "drain_survivor", lambda: self._keys_of_survivor(pid))

    def _keys_of_start(self, grace: float) -> "Keys":
        remaining = None if self._known is None else len(self._known)
        return {"remaining": remaining, "grace_seconds": grace}

    def _keys_of_survivor(self, pid: int | None) -> "Keys":
        return {
            "pid": pid,
            "name": None if pid is None else procfs.name(pid),
            "state": None if pid is None else procfs.state(pid),
            "seconds": self._seconds(),
        }

    def _keys_of_end(self, left: list[int] | None) -> "Keys":
        finished = None if self._known is None else len(self._known - self._killed)
        return {
            "finished": finished,
            "killed": len(self._killed.difference(left or ())),
            "left": None if left is None else len(left),
            "seconds": self._seconds(),
        }

    def _seconds(self) -> float:
        return round(monotonic() - self._began, 3)
