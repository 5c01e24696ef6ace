"""What only prctl(2) can do, with python-prctl; loaded with ``-p`` and when pyinit is not PID 1."""

import os

from pyinit import processes
from pyinit.before.errors import PrctlError, StartError
from pyinit.settings import DEBUG, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.report import Report
    from pyinit.settings import Settings


def prepare(settings: "Settings", report: "Report") -> bool:
    """Arm ``-p``, and become a subreaper when not PID 1; return whether orphans will be pyinit's.

    Raises:
        StartError: ``-p`` cannot be had: somebody relies on it.
    """
    if settings.parent_death_signal:
        _arm_parent_death(settings.parent_death_signal)
    if os.getpid() == 1:
        return True
    try:
        become_subreaper()
    except PrctlError as error:
        report.tell(WARNING, "subreaper_refused", error)
        report.tell(DEBUG, "nothing_to_drain")
        report.tell(INFO, "not_pid1", os.getpid(), False)  # noqa: FBT003 - the facts of an event
        return False
    report.tell(INFO, "not_pid1", os.getpid(), True)  # noqa: FBT003 - as above
    return True


def _arm_parent_death(signum: int) -> None:
    try:
        signal_on_parent_death(signum)
    except PrctlError as error:
        from pyinit.before import names

        msg = f"cannot get {names.name(signum)} at the parent's death (-p): {error}"
        raise StartError(msg) from error


def become_subreaper() -> None:
    """Make orphaned descendants children of this process: PR_SET_CHILD_SUBREAPER.

    Raises:
        PrctlError: the kernel or a missing library prevents it.
    """
    _call("set_child_subreaper", 1)


def signal_on_parent_death(signum: int) -> None:
    """Have the kernel send us ``signum`` when our parent (the thread that forked us) ends.

    Where it ended while we asked, nobody else will tell: we send the signal ourselves.

    Raises:
        PrctlError: the kernel or a missing library prevents it.
    """
    parent = os.getppid()
    _call("set_pdeathsig", signum)
    if os.getppid() != parent:
        processes.send_to(os.getpid(), None, signum)


def _call(function: str, argument: int) -> None:
    try:
        import prctl

        call = getattr(prctl, function)
    except BaseException as error:  # ImportError, and what a broken installation may raise
        msg = (
            f"python-prctl cannot be loaded ({error}); it needs the library libcap.so.2 "
            "(Debian package libcap2)"
        )
        raise PrctlError(msg) from error
    try:
        call(argument)
    except OSError as error:
        msg = f"the kernel refused: {error.strerror}"
        raise PrctlError(msg) from error
