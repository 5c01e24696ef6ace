"""What only prctl(2) can do; loaded with ``-p`` and when pyinit is not PID 1.

The calls go through python-prctl. That needs a compiler to install and ``libcap.so.2`` to run; if
it cannot be imported, the calls go to the C library through ctypes.
"""

import os

from pyinit import processes
from pyinit.before.errors import PrctlError, StartError
from pyinit.settings import DEBUG, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyinit.report import Report
    from pyinit.settings import Settings

# The name of each call in python-prctl, and its number in linux/prctl.h.
SUBREAPER = ("set_child_subreaper", 36)
PARENT_DEATH = ("set_pdeathsig", 1)


def prepare(settings: "Settings", report: "Report") -> bool:
    """Set up ``-p``, and become a subreaper if not PID 1; return whether pyinit adopts orphans.

    Raises:
        StartError: ``-p`` is not possible, and the user relies on it.
    """
    if settings.parent_death_signal:
        _arm_parent_death(settings.parent_death_signal, report)
    if os.getpid() == 1:
        return True
    try:
        become_subreaper(report)
    except PrctlError as error:
        report.tell(WARNING, "subreaper_refused", error)
        report.tell(DEBUG, "nothing_to_drain")
        report.tell(INFO, "not_pid1", os.getpid(), False)  # noqa: FBT003 - a fact of the event
        return False
    report.tell(INFO, "not_pid1", os.getpid(), True)  # noqa: FBT003 - as above
    return True


def _arm_parent_death(signum: int, report: "Report") -> None:
    try:
        signal_on_parent_death(signum, report)
    except PrctlError as error:
        from pyinit.before import names

        msg = f"cannot get {names.name(signum)} when the parent exits (-p): {error}"
        raise StartError(msg) from error


def become_subreaper(report: "Report") -> None:
    """Make orphaned descendants children of this process: PR_SET_CHILD_SUBREAPER.

    Raises:
        PrctlError: the kernel or a missing library prevents it.
    """
    _call(SUBREAPER, 1, report)


def signal_on_parent_death(signum: int, report: "Report") -> None:
    """Let the kernel send ``signum`` to pyinit when its parent (the thread that forked it) exits.

    If the parent exited before this call, the kernel sends nothing: pyinit sends the signal itself.

    Raises:
        PrctlError: the kernel or a missing library prevents it.
    """
    parent = os.getppid()
    _call(PARENT_DEATH, signum, report)
    if os.getppid() != parent:
        processes.send_to(os.getpid(), None, signum)


def _call(option: tuple[str, int], argument: int, report: "Report") -> None:
    name, number = option
    try:
        import prctl

        call: Callable[[int], object] = getattr(prctl, name)
    except BaseException as error:  # noqa: BLE001 - a broken module may raise anything
        call = _call_of_libc(number, error)
        report.tell(DEBUG, "python_prctl_unavailable", error)
    try:
        call(argument)
    except OSError as error:
        msg = f"the kernel refused: {error.strerror}"
        raise PrctlError(msg) from error


def _call_of_libc(number: int, missing: BaseException) -> "Callable[[int], object]":
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
    except BaseException as error:
        msg = (
            f"cannot load python-prctl ({missing}), nor ctypes, which would do as well ({error}): "
            "install python-prctl, or a Python with ctypes"
        )
        raise PrctlError(msg) from error

    def call(argument: int) -> None:
        # prctl(2) takes up to five arguments, which are long: pass all of them as longs.
        words = [ctypes.c_ulong(word) for word in (argument, 0, 0, 0)]
        if libc.prctl(number, *words) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return call
