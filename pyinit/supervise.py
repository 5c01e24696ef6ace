"""Act: run the child, then wait, forward and reap until it has gone."""

import os
from time import monotonic  # a builtin module

from pyinit import child, reaping, signals
from pyinit.report import Report
from pyinit.settings import DEBUG, ERROR, INFO, WARNING
from pyinit.terminal import foreground_terminal, give_back_foreground

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage
    from signal import struct_siginfo

    from pyinit.child import Child
    from pyinit.settings import Settings

REAPED_AT_ONCE = 64
RETRY_SECONDS = 1.0


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
    terminal = foreground_terminal()
    supervisor = Supervisor(settings, report, terminal)
    try:
        process = child.spawn(settings.command, inherited_mask, terminal)
    except OSError as error:
        limits = "is the limit on processes, memory or open files reached?"
        msg = f"cannot start {settings.command[0]!r}: {error.strerror}; {limits}"
        raise StartError(msg) from error

    # -------------------------------------------------------------------------------------
    # The child runs. From here on nothing may give up, block or slow down: where PID 1 goes,
    # the kernel kills all that is left in the container.
    # -------------------------------------------------------------------------------------

    return supervisor.supervise(process)


def _prepare_kernel(settings: "Settings", report: Report) -> None:
    if settings.parent_death_signal:
        _arm_parent_death(settings.parent_death_signal)
    if os.getpid() != 1:
        _become_subreaper(report)
    elif settings.subreaper:
        reason = "PID 1 adopts every orphan anyway"
        report.tell(DEBUG, "subreaper_needless", lambda: {"reason": reason})


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
        report.tell(WARNING, "subreaper_refused", lambda: {"reason": reason})
        subreaper = False
    else:
        subreaper = True
    report.tell(INFO, "not_pid1", lambda: {"pid": os.getpid(), "subreaper": subreaper})


class Supervisor:
    """One child, until it has gone: take a signal, pass it on, reap what is dead."""

    __slots__ = (
        "_process",
        "_report",
        "_settings",
        "_started",
        "_status",
        "_terminal",
        "_usage",
        "_wait_at_most",
    )

    def __init__(self, settings: "Settings", report: Report, terminal: int | None) -> None:
        """Get ready for a child that is handed ``terminal``, if there is one."""
        self._settings = settings
        self._report = report
        self._terminal = terminal
        self._started = monotonic()
        self._process: Child
        self._status: int | None = None
        self._usage: struct_rusage | None = None
        self._wait_at_most: float | None = None  # seconds; None for as long as it takes

    def supervise(self, process: "Child") -> int:
        """Forward and reap until ``process`` is gone; return the code to leave with."""
        self._process = process
        self._tell_started()
        while self._status is None:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - see the border in run()
                self._report.tell_internal_error(error)
                self._wait_at_most = RETRY_SECONDS  # there may be dead that were not taken
        if self._terminal is not None:
            give_back_foreground(self._terminal, process.pid)
        code = self._end(self._status)
        self._report.close()
        return 0 if code in self._settings.expected_codes else code

    def _turn(self) -> None:
        received = signals.wait(self._wait_at_most)
        if received is not None:
            self._forward(received)
        # At every wake-up, not just at SIGCHLD, which a flood of lower numbers starves. And only
        # so many, or orphans that come faster than they are reaped would starve the signals.
        for _ in range(REAPED_AT_ONCE):
            if not self._reap_one():
                self._wait_at_most = None
                return
        self._wait_at_most = 0

    def _forward(self, received: "struct_siginfo") -> None:
        if received.si_signo == signals.SIGCHLD:
            return
        pid = self._process.pid  # not reaped yet, so it cannot be anybody else's
        group = self._settings.group
        level, event = INFO, "signal_forwarded"
        refusal: OSError | None = None
        try:
            os.kill(-pid if group else pid, received.si_signo)
        except OSError as error:
            level, event = WARNING, "forward_refused"
            refusal = error  # the name of an exception ends with its handler
        self._report.tell(
            level, event, lambda: _keys_of_forward(received, pid, refusal, group=group)
        )

    def _reap_one(self) -> bool:
        try:
            dead = reaping.next_dead()
        except ChildProcessError:
            if self._status is None:  # but there is one, not reaped yet
                raise
            return False
        if dead is None:
            return False
        pid, status = dead
        if pid == self._process.pid:
            self._status = status  # before anything can go wrong
            return self._take_child(status)
        return self._take_orphan(pid)

    def _take_child(self, status: int) -> bool:
        pid = self._process.pid
        if self._report.wants(_level_of_end(status)):
            taken, self._usage = reaping.take_with_usage(pid)
        else:
            taken = reaping.take(pid)
        if taken is not None:
            self._status = taken
        return taken is not None

    def _take_orphan(self, pid: int) -> bool:
        level = WARNING if self._settings.warn_on_reap else DEBUG
        name = _name_of(pid) if self._report.wants(level) else None
        status = reaping.take(pid)
        if status is None:
            return False
        self._report.tell(level, "orphan_reaped", lambda: _keys_of_orphan(pid, name, status))
        return True

    def _tell_started(self) -> None:
        try:
            pid, command = self._process.pid, self._settings.command[0]
            self._report.tell(INFO, "child_started", lambda: {"pid": pid, "command": command})
            self._report.open()
        except Exception as error:  # noqa: BLE001 - see the border in run()
            self._report.tell_internal_error(error)

    def _end(self, status: int) -> int:
        code = child.exit_code(status)
        try:
            failure = self._process.exec_failure()
            if failure is not None:
                return self._explain_exec(*failure)
            seconds = monotonic() - self._started
            level = _level_of_end(status)
            self._report.tell(level, "child_exited", lambda: self._keys_of_exit(status, seconds))
        except Exception as error:  # noqa: BLE001 - see the border in run()
            self._report.tell_internal_error(error)
        return code

    def _keys_of_exit(self, status: int, seconds: float) -> dict[str, object]:
        from pyinit import events

        return {
            "pid": self._process.pid,
            **events.fate(status),
            "seconds": round(seconds, 3),
            **events.usage(self._usage),
        }

    def _explain_exec(self, error: int, path: bytes) -> int:
        from pyinit import diagnosis

        name = self._settings.command[0]
        code, reason = diagnosis.explain(name, error, path)
        symbol = diagnosis.symbol(error)
        self._report.tell(
            ERROR,
            "exec_failed",
            lambda: {"command": name, "code": code, "error": symbol, "reason": reason},
        )
        return code


def _level_of_end(status: int) -> int:
    # Whoever runs the container must know of a crash, and not of a stop.
    is_fault = os.WIFSIGNALED(status) and os.WTERMSIG(status) in signals.FAULTS
    return WARNING if is_fault else INFO


def _name_of(pid: int) -> str | None:
    try:
        from pyinit import procfs

        return procfs.name(pid)
    except Exception:  # noqa: BLE001 - the package was replaced under us, say: reap without a name
        return None


def _keys_of_forward(
    received: "struct_siginfo", pid: int, error: OSError | None, *, group: bool
) -> dict[str, object]:
    from pyinit import events

    return events.forward(received, pid, error, group=group)


def _keys_of_orphan(pid: int, name: str | None, status: int) -> dict[str, object]:
    from pyinit import events

    return {"pid": pid, "name": name, **events.fate(status)}
