"""The child: everything between fork and exec, and the exit code of a status."""

import posix
import sys
from time import monotonic  # a builtin module

from pyinit import signals

# types.SimpleNamespace, a class for plain records, which the interpreter has made already. To make
# a class of our own takes as long as to load a file.
RECORD = type(sys.implementation)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyinit.before.terminal import Terminal

    class Child:
        """What pyinit knows of the child.

        Attributes:
            pid: its pid and, if it leads one of its own, its process group; 0 before the fork.
            status: its status, once it is reaped, and the pid may be another's; None before.
            began: when it was forked, on the monotonic clock.
            failure: the descriptor from which pyinit reads why exec failed.
            oom_kills: the count of OOM kills before the child ran; None if it is not known.
            terminal: the terminal that pyinit and the child share; None if there is none.
        """

        pid: int
        status: int | None
        began: float
        failure: int
        oom_kills: int | None
        terminal: Terminal | None

        def __init__(self, **known: object) -> None:
            """Keep the values."""

else:
    Child = RECORD

STDERR = 2
LONGEST_PATH = 4096  # PATH_MAX
UNKNOWN_CODE = 1  # if the kernel never told how the child ended
USUAL_DESCRIPTORS = 1024  # if /proc does not tell which are open
DEFAULT_PATH = b"/bin:/usr/bin"  # where execvp(3) of glibc searches without PATH
COERCED_LOCALES = (b"C.UTF-8", b"C.utf8", b"UTF-8")


def unborn() -> Child:
    """Return the record of the child before the fork."""
    return Child(pid=0, status=None, began=0.0, failure=-1, oom_kills=None, terminal=None)


def has_terminal() -> bool:
    """Tell whether pyinit has a terminal, or is in a session that another process leads on one."""
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
    except OSError:  # no terminal, or no /dev; or a seccomp filter: then as if there were none
        return False
    return True


def spawn(child: Child, command: tuple[str, ...], inherited_mask: "set[int]") -> None:
    """Fork, and exec ``command`` in the child.

    Args:
        child: the record to fill in. Its terminal, if any, says whether the child gets a process
            group of its own and the foreground; without a terminal it gets a group of its own.
        command: the program, searched in PATH unless it has a slash, and its arguments.
        inherited_mask: the signal mask for the child.

    Raises:
        StartError: there are no descriptors, processes or memory left.
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
            posix._exit(127)  # noqa: SLF001 - the parent learns why, and sets a better code
    try:
        if terminal is None or terminal.own_group:
            _join_own_group(child.pid)
        posix.close(failure)
        posix.sched_yield()  # the child may wait for this processor
    except BaseException:  # noqa: BLE001 - the child runs, and no error may end pyinit now
        pass


def let_go() -> None:
    """Close all inherited descriptors except 0, 1 and 2, and leave the working directory.

    Both belong to the child. Another process may wait for the end of a pipe, or want to unmount.
    """
    for descriptor in _inherited():
        try:
            if posix.get_inheritable(descriptor):  # pyinit's own are not inheritable
                posix.close(descriptor)
        except OSError:  # the one by which they were listed
            pass
    posix.chdir("/")


def _inherited() -> "Iterable[int]":
    # Not closerange: without close_range(2) (before Linux 5.9, or filtered) it tries each number.
    try:
        return [number for name in posix.listdir("/proc/self/fd") if (number := int(name)) > STDERR]
    except OSError:
        return range(STDERR + 1, USUAL_DESCRIPTORS)


def exit_code(status: int) -> int:
    """Return the code for a status of waitpid: the exit code, or 128 + the number of the signal."""
    code = posix.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def fill_holes() -> None:
    """Open /dev/null in place of a closed 0, 1 or 2, or the next open file would get that number.

    In the child they are closed again: exec closes what Python has opened.
    """
    for descriptor in (0, 1, 2):
        try:
            posix.fstat(descriptor)
        except OSError:
            _plug()


def _plug() -> None:
    # open takes the lowest free number, which is the hole. The directory / always exists.
    for path, flags in (("/dev/null", posix.O_RDWR), ("/", posix.O_PATH)):
        try:
            posix.open(path, flags)
        except OSError:
            continue
        return


def _join_own_group(pid: int) -> None:
    # On both sides of the fork, or a signal to the group before the child has run would be lost.
    try:
        posix.setpgid(pid, pid)
    except OSError:  # EACCES: the child has done this already, and exec; ESRCH: it has exited
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
    signals.set_mask(mask)  # from here on a signal can kill the child, as any other program
    _exec(arguments)
    posix.close(child.failure)  # the parent's end: to have a free descriptor
    from pyinit.before import failed_exec

    failed_exec.try_again(candidates(arguments[0]), arguments, failure)


def restore_locale() -> None:
    """Undo LC_CTYPE in the environment, if CPython has set it because of the C locale (PEP 538).

    The child gets the environment that pyinit got.
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
    """Pass sockets of systemd on to the child: sd_listen_fds(3).

    A program takes them only if LISTEN_PID is its own pid. LISTEN_PIDFDID identifies a process in
    another way; if it is not set, nothing looks at it.
    """
    if posix.environ.get(b"LISTEN_PID") == b"%d" % posix.getppid():
        posix.putenv(b"LISTEN_PID", b"%d" % posix.getpid())
        posix.unsetenv(b"LISTEN_PIDFDID")


def _exec(arguments: list[bytes]) -> None:
    """Exec the first file that exists; return if there is none, or if it cannot be run.

    posix.execv passes the environment on as it is; posix.execve would drop what is not NAME=VALUE.
    """
    for path in candidates(arguments[0]):
        try:
            posix.execv(path, arguments)
        except FileNotFoundError:
            continue
        except OSError:
            return


def _encoded(word: str) -> bytes:
    # As os.fsencode does: it undoes how Python has decoded the words of its command line.
    return word.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def candidates(name: bytes) -> "Iterator[bytes]":
    """Yield the paths of a command: itself if it has a slash, or one for each folder in PATH."""
    if b"/" in name:
        yield name
    elif name:
        for directory in posix.environ.get(b"PATH", DEFAULT_PATH).split(b":"):
            if len(directory) < LONGEST_PATH:  # as execvp(3) of glibc
                yield directory + b"/" + name if directory else name
