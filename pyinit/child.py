"""Everything between fork and exec, and what a status is worth as a code."""

import posix
import sys
from time import monotonic  # a builtin module

from pyinit import signals

# A class with nothing in it but what it is given: types.SimpleNamespace, which the interpreter has
# made already. To make one of our own takes as long as to load a file.
RECORD = type(sys.implementation)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyinit.before.terminal import Terminal

    class Child:
        """What there is to know of the child.

        Attributes:
            pid: its pid and, if it leads one of its own, its process group; 0 before the fork.
            status: its status, once it is reaped; then the pid may be another's. None before.
            began: when it was forked, on the monotonic clock.
            failure: the descriptor on which a failed exec is told.
            oom_kills: how often memory had run out before; None where nobody tells.
            terminal: what pyinit shares with it; None where there is no terminal.
        """

        pid: int
        status: int | None
        began: float
        failure: int
        oom_kills: int | None
        terminal: Terminal | None

        def __init__(self, **known: object) -> None:
            """Keep what is known."""

else:
    Child = RECORD

STDERR = 2
LONGEST_PATH = 4096  # PATH_MAX
UNKNOWN_CODE = 1  # where the kernel never told how the child ended
USUAL_DESCRIPTORS = 1024  # where /proc does not tell which there are
DEFAULT_PATH = b"/bin:/usr/bin"  # what execvp(3) of the GNU C library searches without PATH
COERCED_LOCALES = (b"C.UTF-8", b"C.utf8", b"UTF-8")


def unborn() -> Child:
    """Return what there is to know before the fork."""
    return Child(pid=0, status=None, began=0.0, failure=-1, oom_kills=None, terminal=None)


def has_terminal() -> bool:
    """Tell whether pyinit has a terminal, or another process of its session leads it on one."""
    for descriptor in (0, 1, 2):
        try:
            posix.tcgetpgrp(descriptor)  # of the controlling terminal, else it fails
        except OSError:
            continue
        return True
    try:
        if posix.getsid(0) == posix.getpid():
            return False
        posix.close(posix.open("/dev/tty", posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY))
    except OSError:  # there is none, or /dev is not there; or a seccomp filter: as if it were alone
        return False
    return True


def spawn(child: Child, command: tuple[str, ...], inherited_mask: "set[int]") -> None:
    """Fork, and have the child become ``command``.

    Args:
        child: what is to be known of it; its terminal says whether it gets a process group of its
            own, as it does without a terminal, and the foreground.
        command: the program, searched in PATH unless it has a slash, and its arguments.
        inherited_mask: the mask that the child gets.

    Raises:
        StartError: there is no descriptor, process or memory to be had.
    """
    terminal = child.terminal
    try:
        fill_holes()
        child.failure, failure = posix.pipe2(posix.O_CLOEXEC | posix.O_NONBLOCK)
        ignore_sigchld = signals.default_sigchld()
        if terminal is not None:
            terminal.note_pending()
        child.began = monotonic()
        child.pid = posix.fork()
    except OSError as error:
        from pyinit.before.errors import StartError

        limits = "check the limits on processes, memory and open files"
        msg = f"cannot start {command[0]!r}: {error.strerror}; {limits}"
        raise StartError(msg) from error
    if child.pid == 0:
        try:
            _become(command, inherited_mask, child, failure, ignore_sigchld=ignore_sigchld)
        finally:
            posix._exit(127)  # noqa: SLF001 - the parent, told why, has the better code
    try:
        if terminal is None or terminal.own_group:
            _join_own_group(child.pid)
        posix.close(failure)
        posix.sched_yield()  # it may have been put behind us on this processor
    except BaseException:  # noqa: BLE001 - the child runs, nothing is a reason to give it up
        pass


def let_go() -> None:
    """Close what was inherited but 0, 1 and 2, and leave the working directory.

    Both are the child's. Somebody may be waiting for the end of a pipe, or want to unmount.
    """
    for descriptor in _inherited():
        try:
            if posix.get_inheritable(descriptor):  # pyinit's own are not: exec would close them
                posix.close(descriptor)
        except OSError:  # that by which they were listed
            pass
    posix.chdir("/")


def _inherited() -> "Iterable[int]":
    # Not closerange: without close_range(2), before Linux 5.9 or by a filter, it tries each number.
    try:
        return [number for name in posix.listdir("/proc/self/fd") if (number := int(name)) > STDERR]
    except OSError:
        return range(STDERR + 1, USUAL_DESCRIPTORS)


def exit_code(status: int) -> int:
    """Return the code of a status of waitpid: the child's own, or 128 + the signal's number."""
    code = posix.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def fill_holes() -> None:
    """Open /dev/null where 0, 1 or 2 is closed, or the next descriptor opened would land there.

    The child gets the holes back: what Python opens is closed by exec.
    """
    for descriptor in (0, 1, 2):
        try:
            posix.fstat(descriptor)
        except OSError:
            _plug()


def _plug() -> None:
    # The lowest free descriptor is the hole. A root directory is there even where /dev is not.
    for path, flags in (("/dev/null", posix.O_RDWR), ("/", posix.O_PATH)):
        try:
            posix.open(path, flags)
        except OSError:
            continue
        return


def _join_own_group(pid: int) -> None:
    # On both sides of the fork, or a signal for the group sent before the child ran would be lost.
    try:
        posix.setpgid(pid, pid)
    except OSError:  # EACCES: it has done so and exec'd; ESRCH: it is dead
        pass


def _become(
    command: tuple[str, ...],
    mask: "set[int]",
    child: Child,
    failure: int,
    *,
    ignore_sigchld: bool,
) -> None:
    terminal = child.terminal
    if terminal is None or terminal.own_group:
        _join_own_group(0)
    if terminal is not None:
        terminal.hand_over(posix.getpgrp())
    restore_locale()
    own_listen_pid()
    arguments = [_encoded(word) for word in command]
    signals.restore_dispositions(ignore_sigchld=ignore_sigchld)
    signals.set_mask(mask)  # from here on it may be killed like any other program
    _exec(arguments)
    posix.close(child.failure)  # the parent's end, in case that no other descriptor is to be had
    from pyinit.before import failed_exec

    failed_exec.try_again(candidates(arguments[0]), arguments, failure)


def restore_locale() -> None:
    """Take LC_CTYPE out of the environment again, where CPython put it in for the C locale.

    PEP 538 has it do so when it starts, for its own children's good.
    """
    if posix.environ.get(b"LC_CTYPE") not in COERCED_LOCALES or posix.environ.get(b"LC_ALL"):
        return
    try:
        with open("/proc/self/environ", "rb") as original:
            entries = original.read().split(b"\0")
    except OSError:
        return
    given = [entry for entry in entries if entry.startswith(b"LC_CTYPE=")]
    if given:
        posix.putenv(b"LC_CTYPE", given[0].partition(b"=")[2])
    else:
        posix.unsetenv(b"LC_CTYPE")


def own_listen_pid() -> None:
    """Have the child take sockets that were meant for what became pyinit: sd_listen_fds(3).

    It takes none where LISTEN_PID is not its own. LISTEN_PIDFDID says the same in another way, and
    is not looked for where it is not set.
    """
    if posix.environ.get(b"LISTEN_PID") == b"%d" % posix.getppid():
        posix.putenv(b"LISTEN_PID", b"%d" % posix.getpid())
        posix.unsetenv(b"LISTEN_PIDFDID")


def _exec(arguments: list[bytes]) -> None:
    """Become the first file that there is; return where there is none, or it cannot be run.

    posix.execv hands on the environment as it is; posix.execve would drop what is not NAME=VALUE.
    """
    for path in candidates(arguments[0]):
        try:
            posix.execv(path, arguments)
        except FileNotFoundError:
            continue
        except OSError:
            return


def _encoded(word: str) -> bytes:
    # As os.fsencode does; it undoes what Python did to the words of its own command line.
    return word.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def candidates(name: bytes) -> "Iterator[bytes]":
    """Return the paths that a command may have: its own, or one for each folder of PATH."""
    if b"/" in name:
        yield name
    elif name:
        for directory in posix.environ.get(b"PATH", DEFAULT_PATH).split(b":"):
            if len(directory) < LONGEST_PATH:  # as execvp(3) of the GNU C library
                yield directory + b"/" + name if directory else name
