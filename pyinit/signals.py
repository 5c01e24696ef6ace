"""The signal mask, the one wait, and the numbers, from the C module ``_signal``.

``import signal`` would wrap every number in an enum, and take 5 to 10 ms before the child runs.
``_signal`` is part of the interpreter and costs nothing. The names of signals are in
``before/names.py``.
"""

from time import monotonic  # a builtin module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
else:
    import _signal

SIGCHLD, SIGCONT, SIGHUP, SIGPIPE = (
    _signal.SIGCHLD,
    _signal.SIGCONT,
    _signal.SIGHUP,
    _signal.SIGPIPE,
)
SIGINT, SIGQUIT, SIGTERM = _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM
SIGKILL, SIGSTOP = _signal.SIGKILL, _signal.SIGSTOP

# What people, terminals and container engines send to stop a program.
REQUESTS_TO_STOP = frozenset({SIGINT, SIGQUIT, SIGTERM})

# A child killed by any other signal was not asked to stop: it crashed, or hit a limit.
PLAIN_STOPS = REQUESTS_TO_STOP | {0, SIGHUP}  # 0: by no signal

# What stops a job: ^Z, and what a background process gets when it reads from a terminal or writes.
JOB_CONTROL = frozenset({_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU})

# The C library keeps these for its threads: 32 and 33 in glibc (nptl(7)), in musl also 34.
OF_C_LIBRARY = frozenset(range(32, _signal.SIGRTMIN))

# pyinit never receives these: they cannot be blocked, or not through the C library.
NEVER_RECEIVED = OF_C_LIBRARY | {SIGKILL, SIGSTOP}

UNKNOWN = -1  # as a sender's pid

_VALID = tuple(_signal.valid_signals())  # without OF_C_LIBRARY
_CODES = range(-64, 129)  # of siginfo: SI_ASYNCNL is -60, SI_KERNEL 128


def block_all() -> "set[int]":
    """Block every signal that can be blocked and return the mask from before.

    SIGKILL and SIGSTOP cannot be blocked, and the C library does not let OF_C_LIBRARY be blocked.
    Threads that start later inherit the mask, and so do children until they set their own.
    """
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _VALID))


def set_mask(mask: "Iterable[int]") -> None:
    """Make ``mask`` the set of blocked signals of the calling thread."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def wait(seconds: float | None) -> "_signal.struct_siginfo | None":
    """Take the next pending signal, or wait for one: sigtimedwait(2).

    All signals must be blocked. If several are pending, the lowest number comes first. A standard
    signal that was sent twice comes once (signal(7)).

    Args:
        seconds: how long at most, on the monotonic clock; None for as long as it takes.

    Returns:
        The signal and its sender; None if no signal came.

    Raises:
        OSError: the kernel refuses to wait, for example because of a seccomp filter, or returns too
            early. CPython handles EINTR (PEP 475).
    """
    if seconds is None:
        return _signal.sigwaitinfo(_VALID)
    began = monotonic()
    received = _signal.sigtimedwait(_VALID, seconds)
    took = monotonic() - began
    if received is None and took < seconds / 2:  # half: the clocks may differ by nanoseconds
        import posix
        from errno import EAGAIN  # both builtin

        raise OSError(EAGAIN, posix.strerror(EAGAIN))
    if received is not None and 0 < seconds <= took and not _is_of_kernel(received):
        return None
    return received


def _is_of_kernel(received: "_signal.struct_siginfo") -> bool:
    """Tell whether the kernel can have filled this in (sigaction(2)).

    CPython returns what its memory happens to hold if SIGSTOP or a freezer (`docker pause`) holds
    pyinit until the time is over: signal_sigtimedwait_impl() ends its loop after EINTR.
    """
    number, code, error, pid, *_ = received
    return number in _VALID and code in _CODES and error == 0 <= pid


def pending() -> "set[int]":
    """Return the signals that were sent and are not taken yet."""
    return set(_signal.sigpending())


def default_sigchld() -> bool:
    """Give SIGCHLD its default disposition; return whether it was ignored.

    Where SIGCHLD is ignored, as inherited, exited children leave no zombies: wait(2) blocks until
    the last child is gone and fails with ECHILD, and every exit code is lost.
    """
    ignored = _signal.getsignal(SIGCHLD) == _signal.SIG_IGN
    if ignored:
        _signal.signal(SIGCHLD, _signal.SIG_DFL)
    return ignored


def restore_dispositions(*, ignore_sigchld: bool) -> None:
    """Undo in the child what CPython and :func:`default_sigchld` did to the dispositions.

    CPython ignores SIGPIPE and SIGXFSZ at start, and does not note what they were before: they get
    the default. Its handler for SIGINT would raise KeyboardInterrupt between here and exec.
    """
    _signal.signal(SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    if _signal.getsignal(SIGINT) != _signal.SIG_IGN:
        _signal.signal(SIGINT, _signal.SIG_DFL)
    if ignore_sigchld:
        _signal.signal(SIGCHLD, _signal.SIG_IGN)
