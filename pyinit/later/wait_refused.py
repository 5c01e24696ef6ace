"""Continue if the kernel refuses a call that the loop needs, because of a seccomp filter."""

from pyinit.signals import NEVER_RECEIVED, SIGCHLD, UNKNOWN, pending

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal


def take_pending() -> "_signal.struct_siginfo | None":
    """Take the next pending signal if the kernel refuses to wait for one, but not SIGCHLD.

    To ignore a signal discards it if it is pending, blocked or not (POSIX, sigaction()). If SIGCHLD
    were ignored, even for a moment, the exit code of a child could be lost. A real-time signal that
    is queued several times comes once.

    Returns:
        The signal, with an UNKNOWN sender; None if nothing is pending.
    """
    left = pending() - NEVER_RECEIVED - {SIGCHLD}
    if not left:
        return None
    signum = int(min(left))
    _signal.signal(signum, _signal.SIG_IGN)
    _signal.signal(signum, _signal.SIG_DFL)
    return _signal.struct_siginfo((signum, 0, 0, UNKNOWN, UNKNOWN, 0, 0))
