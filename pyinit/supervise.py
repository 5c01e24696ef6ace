"""Act: run the child, then wait, forward and reap until it has gone."""

import os
from time import monotonic  # a builtin module

from pyinit import child, procfs, reaping, signals
from pyinit.report import Report
from pyinit.settings import DEBUG, ERROR, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage
    from signal import struct_siginfo

    from pyinit.child import Child
    from pyinit.settings import Settings

OWN_WRITES = frozenset({signals.SIGPIPE, signals.SIGXFSZ})


class StartError(Exception):
    """The child could not be run; the text says what happened and why."""


def run(settings: "Settings", inherited_mask: "set[int]") -> int:
    """Run the command until it has gone; return the code to leave with.

    Args:
        settings: what the user asked for.
        inherited_mask: the mask the child gets; by now every signal is blocked.

    Raises:
        StartError: nothing was run.
    """
    report = Report(settings)
    _prepare_kernel(settings, report)
    terminal = child.foreground_terminal()
    started = monotonic()
    try:
        process = child.spawn(settings.command, inherited_mask, terminal)
    except OSError as error:
        msg = f"cannot start {settings.command[0]!r}: {error.strerror}"
        raise StartError(msg) from error

    # -------------------------------------------------------------------------------------
    # The child runs. From here on nothing may give up, block or slow down: where PID 1 goes,
    # the kernel kills all that is left in the container.
    # -------------------------------------------------------------------------------------

    report.tell(INFO, "child_started", pid=process.pid, command=settings.command[0])
    report.open()
    supervisor = Supervisor(settings, report, process, started)
    supervisor.wait_for_child()
    if terminal is not None:
        child.give_back_foreground(terminal, process.pid)
    code = supervisor.tell_end()
    report.close()
    return 0 if code in settings.expected_codes else code


def _prepare_kernel(settings: "Settings", report: Report) -> None:
    if settings.parent_death_signal:
        _arm_parent_death(settings.parent_death_signal)
    if os.getpid() != 1:
        _become_subreaper(report)
    elif settings.subreaper:
        report.tell(DEBUG, "subreaper_needless", reason="PID 1 adopts every orphan anyway")


def _arm_parent_death(signum: int) -> None:
    from pyinit import kernel

    try:
        kernel.signal_on_parent_death(signum)
    except kernel.PrctlError as error:
        msg = f"cannot get {signals.name(signum)} at the parent's death (-p): {error}"
        raise StartError(msg) from error


def _become_subreaper(report: Report) -> None:
    from pyinit import kernel

    try:
        kernel.become_subreaper()
    except kernel.PrctlError as error:
        reason = f"{error}; orphans go to the init above and are not reaped here"
        report.tell(WARNING, "subreaper_refused", reason=reason)
        subreaper = False
    else:
        subreaper = True
    report.tell(INFO, "not_pid1", pid=os.getpid(), subreaper=subreaper)


class Supervisor:
    """One child, until it has gone: take a signal, pass it on, reap what is dead."""

    __slots__ = ("_process", "_report", "_settings", "_started", "_status", "_usage")

    def __init__(
        self, settings: "Settings", report: Report, process: "Child", started: float
    ) -> None:
        """Supervise ``process``, forked at ``started`` (monotonic seconds)."""
        self._settings = settings
        self._report = report
        self._process = process
        self._started = started
        self._status: int | None = None
        self._usage: struct_rusage | None = None

    def wait_for_child(self) -> None:
        """Forward and reap until the child is reaped."""
        while self._status is None:
            try:
                received = signals.wait()
                if received is not None:
                    self._forward(received)
                # At every wake-up, not just at SIGCHLD, which a flood of lower numbers starves.
                self._reap()
            except Exception as error:  # noqa: BLE001 - see the border in run()
                self._report.tell_internal_error(error)

    def tell_end(self) -> int:
        """Tell how the child ended; return its code."""
        code = 1 if self._status is None else child.exit_code(self._status)
        try:
            failure = self._process.exec_failure()
            if failure is not None:
                return self._tell_exec_failed(*failure)
            self._tell_exited()
        except Exception as error:  # noqa: BLE001 - see the border in run()
            self._report.tell_internal_error(error)
        return code

    def _forward(self, received: "struct_siginfo") -> None:
        signum = received.si_signo
        if signum == signals.SIGCHLD or _is_own(received):
            return
        pid = self._process.pid  # not reaped yet, so it cannot be anybody else's
        try:
            os.kill(-pid if self._settings.group else pid, signum)
        except OSError as error:
            self._tell_forward(WARNING, "forward_refused", received, error)
        else:
            self._tell_forward(INFO, "signal_forwarded", received, None)

    def _reap(self) -> None:
        while (pid := reaping.next_dead()) != 0:
            status = self._take_child() if pid == self._process.pid else self._take_orphan(pid)
            if status is None:
                return

    def _take_child(self) -> int | None:
        if self._report.wants(INFO):
            self._status, self._usage = reaping.take_with_usage(self._process.pid)
        else:
            self._status = reaping.take(self._process.pid)
        return self._status

    def _take_orphan(self, pid: int) -> int | None:
        level = WARNING if self._settings.warn_on_reap else DEBUG
        wanted = self._report.wants(level)
        name = procfs.name(pid) if wanted else None
        status = reaping.take(pid)
        if wanted and status is not None:
            from pyinit import events

            self._report.tell(level, "orphan_reaped", pid=pid, name=name, **events.fate(status))
        return status

    def _tell_forward(
        self, level: int, event: str, received: "struct_siginfo", error: OSError | None
    ) -> None:
        if self._report.wants(level):
            from pyinit import events

            group = self._settings.group
            keys = events.forward(received, self._process.pid, error, group=group)
            self._report.tell(level, event, **keys)

    def _tell_exited(self) -> None:
        if self._status is not None and self._report.wants(INFO):
            from pyinit import events

            self._report.tell(
                INFO,
                "child_exited",
                pid=self._process.pid,
                **events.fate(self._status),
                seconds=round(monotonic() - self._started, 3),
                **events.usage(self._usage),
            )

    def _tell_exec_failed(self, error: int, path: bytes) -> int:
        from pyinit import diagnosis

        name = self._settings.command[0]
        code, reason = diagnosis.explain(name, error, path)
        keys = {"command": name, "code": code, "error": diagnosis.symbol(error)}
        self._report.tell(ERROR, "exec_failed", **keys, reason=reason)
        return code


def _is_own(received: "struct_siginfo") -> bool:
    # A write to a pipe without a reader or past a limit: not a signal that somebody sent.
    return received.si_signo in OWN_WRITES and received.si_pid == os.getpid()
