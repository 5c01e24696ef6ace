"""The mask, the one wait and the numbers: the only user of the C module ``_signal``.

``import signal`` would wrap every number in an enum and cost 5 to 10 ms before the child runs;
``_signal`` is part of the interpreter and costs nothing. What signals are called is in
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

# What people, terminals and container engines send to have a program end.
REQUESTS_TO_STOP = frozenset({SIGINT, SIGQUIT, SIGTERM})

# A child killed by any other was not asked to stop: it crashed, ran into a limit, or was shot.
PLAIN_STOPS = REQUESTS_TO_STOP | {0, SIGHUP}  # 0: by no signal

# What stops a job: ^Z, and what a background process gets that reads from the terminal or writes.
JOB_CONTROL = frozenset({_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU})

# It keeps them for its threads: 32 and 33 in glibc (nptl(7)), 34 as well in musl.
OF_C_LIBRARY = frozenset(range(32, _signal.SIGRTMIN))

# Never received as such: nobody can block these, or not through the C library.
NEVER_RECEIVED = OF_C_LIBRARY | {SIGKILL, SIGSTOP}

UNKNOWN = -1  # as a sender's pid

_VALID = tuple(_signal.valid_signals())  # without OF_C_LIBRARY


def block_all() -> "set[int]":
    """Block every signal that can be blocked and return the mask from before.

    SIGKILL and SIGSTOP cannot be, and the C library keeps OF_C_LIBRARY to itself.
    Threads begun later inherit the mask, children too until they set their own.
    """
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _VALID))


def set_mask(mask: "Iterable[int]") -> None:
    """Make ``mask`` the set of blocked signals of the calling thread."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def wait(seconds: float | None) -> "_signal.struct_siginfo | None":
    """Take the next pending signal, waiting for one if need be: sigtimedwait(2).

    All signals must be blocked. Of several that are pending the lowest number comes first, and a
    standard signal that was sent twice comes once (signal(7)).

    Args:
        seconds: how long at most, on the monotonic clock; None for as long as it takes.

    Returns:
        Who sent what; None where no signal came.

    Raises:
        OSError: the kernel refuses to wait, as a seccomp filter may have it, or does not wait as
            long as it was told to; EINTR is seen to by CPython (PEP 475).
    """
    if seconds is None:
        return _signal.sigwaitinfo(_VALID)
    end = monotonic() + seconds / 2  # clocks need not agree to the nanosecond
    received = _signal.sigtimedwait(_VALID, seconds)
    if received is None and monotonic() < end:
        import posix
        from errno import EAGAIN  # both builtin

        raise OSError(EAGAIN, posix.strerror(EAGAIN))
    return received


def pending() -> "set[int]":
    """Return the signals that were sent and not yet taken."""
    return set(_signal.sigpending())


def default_sigchld() -> bool:
    """Give SIGCHLD its default disposition; return whether it was ignored.

    A process that inherits it as ignored gets no zombies to wait for: wait(2) then blocks until the
    last child is gone and fails with ECHILD, and every exit code is lost.
    """
    ignored = _signal.getsignal(SIGCHLD) == _signal.SIG_IGN
    if ignored:
        _signal.signal(SIGCHLD, _signal.SIG_DFL)
    return ignored


def restore_dispositions(*, ignore_sigchld: bool) -> None:
    """Undo in the child what CPython and :func:`default_sigchld` did to the dispositions.

    CPython ignores SIGPIPE and SIGXFSZ at start and keeps no record of what they were, so they
    become the default. Its handler for SIGINT would raise KeyboardInterrupt between here and exec.
    """
    _signal.signal(SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    if _signal.getsignal(SIGINT) != _signal.SIG_IGN:
        _signal.signal(SIGINT, _signal.SIG_DFL)
    if ignore_sigchld:
        _signal.signal(SIGCHLD, _signal.SIG_IGN)
