"""How the child ends: its code, and what there is to say of it."""

import posix
from time import monotonic  # a builtin module

from pyinit import child, reaping, signals
from pyinit.settings import ERROR, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage

    from pyinit.child import Child
    from pyinit.report import Keys, Report


class Ending:
    """What is noted of the child from its start on, to be told at its end."""

    __slots__ = (
        "_command",
        "_killed",
        "_oom_kills",
        "_plain",
        "_process",
        "_report",
        "_started",
        "_usage",
    )

    def __init__(
        self, process: "Child", command: str, report: "Report", *, is_job: bool = False
    ) -> None:
        """Note the time.

        Args:
            process: the child, just forked.
            command: what it was told to run.
            report: takes the events.
            is_job: whether it is part of a shell's job: a pipeline ends by SIGPIPE.
        """
        self._plain = signals.PLAIN_STOPS | ({signals.SIGPIPE} if is_job else set())
        self._process = process
        self._command = command
        self._report = report
        self._started = monotonic()
        self._oom_kills: int | None = None  # before the child ran
        self._killed: int | None = None  # since then, once somebody asked
        self._usage: struct_rusage | None = None

    def watch_memory(self) -> None:
        """Note how often memory has run out in this cgroup before."""
        if self._report.wants(WARNING):
            from pyinit import cgroup

            self._oom_kills = cgroup.oom_kills()

    def take(self, status: int) -> int | None:
        """Reap the child, which ended with ``status``, with its usage where that will be told.

        Return its status; None if it cannot be had.
        """
        if not self._report.wants(self._level(status)):
            return reaping.take(self._process.pid)
        taken, self._usage = reaping.take_with_usage(self._process.pid)
        return taken

    def tell(self, status: int) -> int:
        """Tell how the child ended; return the code that this is worth."""
        failure = self._process.exec_failure()
        if failure is not None:
            return self._explain_exec(failure)
        seconds = monotonic() - self._started
        level = self._level(status)
        self._report.tell(level, "child_exited", lambda: self._keys(status, seconds))
        return child.exit_code(status)

    def _level(self, status: int) -> int:
        # Whoever runs the container must know of a crash, and not of a stop. A shell may have
        # made a plain code of a SIGKILL for want of memory.
        is_crash = posix.WIFSIGNALED(status) and posix.WTERMSIG(status) not in self._plain
        return WARNING if is_crash or (status and self._count_oom_kills()) else INFO

    def _count_oom_kills(self) -> int:
        """Return how many the kernel killed for want of memory while the child ran."""
        if self._oom_kills is None:
            return 0
        if self._killed is None:
            from pyinit import cgroup

            self._killed = (cgroup.oom_kills() or 0) - self._oom_kills
        return self._killed

    def _keys(self, status: int, seconds: float) -> "Keys":
        from pyinit import events

        return {
            "pid": self._process.pid,
            **events.fate(status),
            "seconds": round(seconds, 3),
            **events.usage(self._usage),
            **events.out_of_memory(self._count_oom_kills()),
        }

    def _explain_exec(self, failure: tuple[int, bytes, bytes, bool]) -> int:
        from pyinit import diagnosis

        error, path, folder, is_closed = failure
        code, reason = diagnosis.explain(self._command, error, path, folder, is_closed=is_closed)
        symbol = diagnosis.symbol(error)
        self._report.tell(
            ERROR,
            "exec_failed",
            lambda: {"command": self._command, "code": code, "error": symbol, "reason": reason},
        )
        return code
