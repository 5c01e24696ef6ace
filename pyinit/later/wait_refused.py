"""Go on where the kernel refuses a call that the loop lives on, as a seccomp filter may have it."""

from pyinit.signals import NEVER_RECEIVED, SIGCHLD, UNKNOWN, pending

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal


def take_pending() -> "_signal.struct_siginfo | None":
    """Take the next pending signal where the kernel refuses to wait for one; SIGCHLD is left.

    A pending signal is discarded when it becomes ignored, blocked or not (POSIX, sigaction()).
    Were SIGCHLD ignored, if just for a moment, the code of a child could be lost.
    So a real-time signal that is queued several times comes once.

    Returns:
        What was sent, its sender being UNKNOWN; None where nothing is pending.
    """
    left = pending() - NEVER_RECEIVED - {SIGCHLD}
    if not left:
        return None
    signum = int(min(left))
    _signal.signal(signum, _signal.SIG_IGN)
    _signal.signal(signum, _signal.SIG_DFL)
    return _signal.struct_siginfo((signum, 0, 0, UNKNOWN, UNKNOWN, 0, 0))
