"""Get ready, fork the child, and hand over to the supervisor."""

import posix

from pyinit.child import Child
from pyinit.lifecycle import Lifecycle
from pyinit.report import Report
from pyinit.settings import DEBUG, INFO, WARNING
from pyinit.supervise import Supervisor
from pyinit.terminal import Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.settings import Settings


class StartError(Exception):
    """The child could not be run; the text says what happened and why."""


def run(settings: "Settings", inherited_mask: "set[int]") -> int:
    """Run the command until it and what it left have gone; return the code to leave with.

    Args:
        settings: what the user asked for.
        inherited_mask: the mask the child gets; by now every signal is blocked.

    Raises:
        StartError: nothing was run.
    """
    report = Report(settings)
    adopts = _prepare_kernel(settings, report)
    terminal = Terminal(group=settings.group)
    life = Lifecycle(settings, may_drain=adopts)
    try:
        process = Child()
        supervisor = Supervisor(settings, report, life, process, terminal)
        process.spawn(settings.command, inherited_mask, terminal)
    except OSError as error:
        limits = "is the limit on processes, memory or open files reached?"
        msg = f"cannot start {settings.command[0]!r}: {error.strerror}; {limits}"
        raise StartError(msg) from error

    # -------------------------------------------------------------------------------------
    # The child runs. From here on nothing may give up, block or slow down: where PID 1 goes,
    # the kernel kills all that is left in the container.
    # -------------------------------------------------------------------------------------

    return supervisor.supervise()


def _prepare_kernel(settings: "Settings", report: Report) -> bool:
    """Return whether orphans will be pyinit's."""
    if settings.parent_death_signal:
        _arm_parent_death(settings.parent_death_signal)
    if posix.getpid() != 1:
        return _become_subreaper(report)
    if settings.subreaper:
        reason = "PID 1 adopts every orphan anyway"
        report.tell(DEBUG, "subreaper_needless", lambda: {"reason": reason})
    return True


def _arm_parent_death(signum: int) -> None:
    from pyinit import kernel, signals

    try:
        kernel.signal_on_parent_death(signum)
    except kernel.PrctlError as error:
        msg = f"cannot get {signals.name(signum)} at the parent's death (-p): {error}"
        raise StartError(msg) from error


def _become_subreaper(report: Report) -> bool:
    from pyinit import kernel

    try:
        kernel.become_subreaper()
    except kernel.PrctlError as error:
        reason = f"{error}; orphans go to the init above and are not reaped here"
        report.tell(WARNING, "subreaper_refused", lambda: {"reason": reason})
        subreaper = False
        nothing = "what the child leaves behind is not pyinit's: nothing can be drained"
        report.tell(DEBUG, "nothing_to_drain", lambda: {"reason": nothing})
    else:
        subreaper = True
    report.tell(INFO, "not_pid1", lambda: {"pid": posix.getpid(), "subreaper": subreaper})
    return subreaper
