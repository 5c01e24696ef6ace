"""Signal names, sets, masks and waits: the only user of the C module ``_signal``.

``import signal`` would wrap every number in an enum and cost 5 to 10 ms before the child runs;
``_signal`` is part of the interpreter and costs nothing.
"""

import posix
from errno import EAGAIN  # builtin
from time import monotonic  # a builtin module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable
else:
    import _signal


def _of(*words: str) -> frozenset[int]:
    return frozenset(int(getattr(_signal, f"SIG{word}")) for word in words)


SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM = (
    int(getattr(_signal, f"SIG{word}"))
    for word in ("CHLD", "CONT", "HUP", "INT", "KILL", "PIPE", "STOP", "TERM")
)

# What people, terminals and container engines send to have a program end.
REQUESTS_TO_STOP = _of("INT", "QUIT", "TERM")

OF_C_LIBRARY = frozenset({32, 33})  # it keeps them for its threads (nptl(7))

# Never received as such: nobody can block these, or not through the C library.
NEVER_RECEIVED = OF_C_LIBRARY | {SIGKILL, SIGSTOP}

LONGEST_COUNT = 9
UNKNOWN = -1  # as a sender's pid

# A process killed by any other was not asked to stop: it crashed, ran into a limit, or was shot.
PLAIN_STOPS = REQUESTS_TO_STOP | {SIGHUP}

# What the group of a background process gets that reads from the terminal, or writes to it.
BACKGROUND = _of("TTIN", "TTOU")

# What stops a job: ^Z, and these.
JOB_CONTROL = BACKGROUND | _of("TSTP")

# What a terminal sends to whole process groups: keys, another window size, its end.
OF_TERMINAL = JOB_CONTROL | _of("CONT", "HUP", "INT", "QUIT", "WINCH")

# Two names for one number: the one on the right is the one that users know.
_PREFERRED = {"CLD": "CHLD", "IOT": "ABRT", "POLL": "IO"}


def block_all() -> "set[int]":
    """Block every signal that can be blocked and return the mask from before.

    SIGKILL and SIGSTOP cannot be, and the C library keeps 32 and 33 to itself (signal(7)).
    Threads begun later inherit the mask, children too until they set their own.
    """
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals()))


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
        return _signal.sigwaitinfo(_signal.valid_signals())
    end = monotonic() + seconds / 2  # clocks need not agree to the nanosecond
    received = _signal.sigtimedwait(_signal.valid_signals(), seconds)
    if received is None and monotonic() < end:
        raise OSError(EAGAIN, posix.strerror(EAGAIN))
    return received


def take_pending() -> "_signal.struct_siginfo | None":
    """Take the next pending signal where the kernel refuses to wait for one; SIGCHLD is left.

    A pending signal is discarded when it becomes ignored, blocked or not (POSIX, sigaction()).
    Who ignored SIGCHLD, if just for a moment, could lose the code of a child.
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


def send(descriptor: int, signum: int) -> None:
    """Send a signal to the process of a pidfd, which cannot be another by then.

    Raises:
        OSError: ESRCH where it is gone, EPERM, ENOSYS before Linux 5.1.
    """
    _signal.pidfd_send_signal(descriptor, signum)


def pending() -> "set[int]":
    """Return the signals that were sent and not yet taken."""
    return set(_signal.sigpending())


def suspend(whom: int) -> None:
    """Stop this process as ^Z does; return when it is continued, or at once if nobody would do so.

    For that SIGTSTP has its default action: in an orphaned process group, and for PID 1, there is
    none (kernel/signal.c, get_signal()). A SIGCONT that comes meanwhile stays pending.

    Args:
        whom: the own pid, or 0 for all of the own process group (kill(2)).
    """
    posix.kill(whom, _signal.SIGTSTP)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGTSTP})
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTSTP})


def die_of(signum: int) -> None:
    """Be killed by a signal; return where that is not possible, as for PID 1."""
    _signal.signal(signum, _signal.SIG_DFL)
    _signal.raise_signal(signum)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {signum})


def default_sigchld() -> bool:
    """Give SIGCHLD its default disposition; return whether it was ignored.

    Who inherits it as ignored gets no zombies to wait for: wait(2) then blocks until the last
    child is gone and fails with ECHILD, and every exit code is lost.
    """
    ignored = _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN
    if ignored:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    return ignored


def restore_dispositions(*, ignore_sigchld: bool) -> None:
    """Undo in the child what CPython and :func:`default_sigchld` did to the dispositions.

    CPython ignores SIGPIPE and SIGXFSZ at start and keeps no record of what they were, so they
    become the default. Its handler for SIGINT would raise KeyboardInterrupt between here and exec.
    """
    for signum in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(signum, _signal.SIG_DFL)
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if ignore_sigchld:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)


def numbers() -> dict[str, int]:
    """Return every name without its ``SIG`` and the number it stands for."""
    return {
        name[3:]: int(value)
        for name, value in vars(_signal).items()
        if name.startswith("SIG") and not name.startswith("SIG_")
    }


def number(word: str) -> int:
    """Return the number of a signal written ``TERM``, ``SIGTERM``, ``term``, ``15`` or ``RTMIN+3``.

    Raises:
        ValueError: it is not the name or number of a signal.
    """
    known = numbers()
    name = word.upper().removeprefix("SIG") if word.isascii() else ""  # a long s is S in capitals
    base, sign, distance = name.partition("-" if "-" in name else "+")
    if sign and base in {"RTMIN", "RTMAX"} and is_count(distance):
        found = known[base] + int(sign + distance)
        if known["RTMIN"] <= found <= known["RTMAX"]:
            return found
    elif is_count(name) and name == word and 1 <= int(name) < _signal.NSIG:
        return int(name)
    elif name in known:
        return known[name]
    raise ValueError(word)


def name(signum: int) -> str:
    """Return the name of a signal as users know it, such as ``SIGTERM`` or ``SIGRTMIN+3``."""
    distance = signum - int(_signal.SIGRTMIN)
    if distance > 0 and signum != _signal.SIGRTMAX:
        return f"SIGRTMIN+{distance}"
    for known, value in numbers().items():
        if value == signum and known not in _PREFERRED:
            return f"SIG{known}"
    return f"signal {signum}"


def is_count(word: str) -> bool:
    """Tell whether ``word`` is a number of plain digits, and of few enough for ``int``."""
    return word.isascii() and word.isdigit() and len(word) <= LONGEST_COUNT
