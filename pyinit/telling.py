"""Tell what the loop does: which event at which level.

What an event consists of is in ``events``, loaded where one is written.
"""

import posix

from pyinit import signals
from pyinit.settings import DEBUG, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import struct_siginfo

    from pyinit.report import Keys, Report
    from pyinit.settings import Settings

    Target = tuple[int, int]  # CHILD, GROUP or EVERYONE of the lifecycle, and the child's pid


class Telling:
    """The events of the loop."""

    __slots__ = ("_report", "_settings")

    def __init__(self, report: "Report", settings: "Settings") -> None:
        """Remember whom to tell, and what is wanted."""
        self._report = report
        self._settings = settings

    def started(self, pid: int) -> None:
        """Tell that the child was forked."""
        command = self._settings.command[0]
        self._report.tell(INFO, "child_started", lambda: {"pid": pid, "command": command})

    def outer_shell(self) -> None:
        """Tell that a shell was put around pyinit, and keeps SIGTERM from it."""
        if posix.getppid() != 1:
            return
        from pyinit import shell_form

        name = shell_form.shell()
        if name is not None:
            keys: Keys = {"name": name, "reason": shell_form.REASON}
            self._report.tell(WARNING, "shell_is_pid1", lambda: keys)

    def dropped(self, received: "struct_siginfo") -> None:
        """Tell that a signal went nowhere."""

        def describe() -> "Keys":
            from pyinit import events

            return events.received(received)

        self._report.tell(INFO, "signal_dropped", describe)

    def forwarded(self, received: "struct_siginfo", sent: int, target: "Target") -> None:
        """Tell of a signal passed on."""

        def describe() -> "Keys":
            from pyinit import events

            return events.forward(received, sent, target)

        self._report.tell(INFO, "signal_forwarded", describe)

    def refused_forward(
        self, received: "struct_siginfo", sent: int, target: "Target", error: OSError
    ) -> None:
        """Tell of a signal that could not be passed on."""

        def describe() -> "Keys":
            from pyinit import events

            return {**events.forward(received, sent, target), **events.refusal(error)}

        self._report.tell(WARNING, "forward_refused", describe)

    def lost_patience(self, target: "Target") -> None:
        """Tell that the child did not stop and gets SIGKILL; before that, while there is a name."""

        def describe() -> "Keys":
            from pyinit import events

            return events.lost_patience(target, self._settings.kill_after)

        self._report.tell(WARNING, "kill_after_expired", describe)

    def refused_kill(self, signum: int, target: "Target", error: OSError) -> None:
        """Tell that what pyinit itself wanted to send was refused."""

        def describe() -> "Keys":
            from pyinit import events

            keys = {"signal": signals.name(signum), "target": events.target(*target)}
            return {**keys, **events.refusal(error)}

        self._report.tell(WARNING, "kill_refused", describe)

    def wants_orphans(self, *, stopping: bool) -> bool:
        """Tell whether anybody wants to know of orphans that are reaped."""
        return self._report.wants(self._orphan_level(stopping=stopping))

    def orphan_name(self, pid: int) -> str | None:
        """Return the name of a zombie; the last chance to ask is before it is reaped."""
        try:
            from pyinit import procfs

            return procfs.name(pid)
        except BaseException:  # noqa: BLE001 - the package was replaced under us, say: then no name
            return None

    def orphan(self, pid: int, name: str | None, status: int, *, stopping: bool) -> None:
        """Tell of an orphan that was reaped; ``-v`` is enough while all are to go."""

        def describe() -> "Keys":
            from pyinit import events

            return {"pid": pid, "name": name, **events.fate(status)}

        level = self._orphan_level(stopping=stopping)
        self._report.tell(level, "orphan_reaped", describe)

    def _orphan_level(self, *, stopping: bool) -> int:
        if self._settings.warn_on_reap:
            return WARNING
        return INFO if stopping else DEBUG
