"""Write into the termination log how the container ended.

Kubernetes mounts a file at /dev/termination-log, and shows its content as the container's message.
pyinit keeps what the program itself has written there, and adds to it. If a stop is slow, pyinit
writes before the end, because the engine may end it with SIGKILL.
"""

import os
import stat
from _thread import allocate_lock, start_new_thread
from errno import EINVAL
from time import monotonic, time

from pyinit.before.names import name as signal_name
from pyinit.settings import WARNING
from pyinit.signals import SIGKILL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import struct_siginfo

    from pyinit.report import Report
    from pyinit.supervisor import Supervisor

    End = tuple[int, float, int, str]
    Keys = dict[str, object]
    Part = tuple[str, list[str]]  # a sentence, and details that may be left out

USUAL = "/dev/termination-log"
MOST = 4096  # bytes that a kubelet reads
HOW = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MODE = 0o644
CLOCK_STEP = 0.01  # seconds that time stamps of files may lag behind the clock
EARLY_SECONDS = 1.0  # at the end, for a thread that still writes
OUT_OF_MEMORY = "out of memory, according to the cgroup"


def leave_early(supervisor: "Supervisor", ago: float, sent: int) -> None:
    """Write why a stop is slow: SIGKILL may come next.

    Args:
        supervisor: has what is known of the child, which still runs.
        ago: how many seconds ago the child was asked to stop.
        sent: the signal that it got.

    Raises:
        RuntimeError: the system cannot start another thread.
    """
    if supervisor.asked_by is None:
        return
    from pyinit.later import events

    keys = events.stop_is_slow(supervisor.child.pid, ago, sent, supervisor.peeked)
    asked = request(*supervisor.asked_by, ago, "this message")
    _words(supervisor).leave_soon([asked, trouble("stop_is_slow", keys)])


def leave(supervisor: "Supervisor", ago: float, *, is_plain: bool) -> None:
    """Write how the container ended.

    Args:
        supervisor: has what is known of the child, which has exited.
        ago: how many seconds ago it was asked to stop, if it was.
        is_plain: whether there is nothing to say, and only an earlier text must be removed.
    """
    words: list[Part] = []
    if not is_plain:
        if supervisor.asked_by is not None:
            words.append(request(*supervisor.asked_by, ago))
        if supervisor.ending is not None:
            command, pid = supervisor.settings.command[0], supervisor.child.pid
            is_own = supervisor.has_killed
            words.append(ending(command, pid, supervisor.ending, is_own=is_own))
    _words(supervisor).leave(words)


def _words(supervisor: "Supervisor") -> "LastWords":
    if supervisor.last_words is None:
        named, began = supervisor.settings.termination_log, supervisor.child.began
        supervisor.last_words = LastWords(named, began, supervisor.report)
    return supervisor.last_words


class LastWords:
    """The termination log, and where the text of pyinit is in it."""

    def __init__(self, named: str, child_began: float, report: "Report") -> None:
        """Keep the path.

        Args:
            named: the file; empty for the usual one.
            child_began: when the child started, on the monotonic clock.
            report: has the warnings about processes that had to be killed.
        """
        self._named = named
        self._child_began = child_began
        self._report = report
        self._own = (0, 0)
        self._is_over = False
        self._writes = allocate_lock()

    def leave_soon(self, words: "list[Part]") -> None:
        """Write that a stop is slow, in a thread, because the disk may be slow, too.

        Raises:
            RuntimeError: the system cannot start another thread.
        """
        start_new_thread(self._leave_early, (words,))

    def _leave_early(self, words: "list[Part]") -> None:
        try:
            with self._writes:
                if not self._is_over:  # else they would replace the last words
                    self._put(words)
        except BaseException:  # noqa: BLE001 - the write at the end reports errors
            pass

    def leave(self, words: "list[Part]") -> None:
        """Write the last words in place of earlier ones; log an error only for a named file.

        A thread that writes earlier ones gets some time to finish, because where it has written
        must be known. One that has not begun will not write.

        Args:
            words: what comes before the warnings; see :func:`request` and :func:`ending`.
        """
        report = self._report
        words += [trouble(name, keys) for name, keys in report.kept]
        if report.not_kept:
            words.append((f"{report.not_kept} more had to be killed.", []))
        self._is_over = True
        if self._writes.acquire(timeout=EARLY_SECONDS):
            self._writes.release()
        try:
            self._put(words)
        except OSError as error:
            if self._named:
                report.tell(WARNING, "termination_log_refused", self._named, error)

    def _put(self, words: "list[Part]") -> None:
        began = time() - (monotonic() - self._child_began)
        self._own = put(self._named or USUAL, _text(words), began, self._own)


def put(path: str, text: str, began: float, own: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Write a text of at most MOST bytes to a regular file, after what the program wrote there.

    Args:
        path: the file. It is created if it is missing, except the usual one.
        text: what to write. Content that is older than the child is always removed.
        began: when the child started, on the wall clock.
        own: where an earlier text of pyinit begins and ends. It is replaced if it is at the end.

    Returns:
        Where the new text begins and ends.

    Raises:
        OSError: it cannot be written, or is a link or not a regular file.
    """
    descriptor = _open(path)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise _refusal(path)
        size = found.st_size
        if size and found.st_mtime < began - CLOCK_STEP:
            os.ftruncate(descriptor, 0)
            size = 0
        elif size == own[1] > own[0]:
            os.ftruncate(descriptor, own[0])
            size = own[0]
        data = text.encode("utf-8", "backslashreplace")
        if size and data:
            data = b"\n" + data
        data = data[: max(0, MOST - size)].decode("utf-8", "ignore").encode()
        own = size, size + len(data)
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
    return own


def _open(path: str) -> int:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):  # opening a device may have effects
            raise _refusal(path)
        return os.open(path, HOW)
    except FileNotFoundError:
        if path == USUAL:
            raise
        return os.open(path, HOW | os.O_CREAT | os.O_EXCL, MODE)


def _refusal(path: str) -> OSError:
    return OSError(EINVAL, "it is not a regular file, or it has several hard links", path)


def request(
    received: "struct_siginfo", name: str | None, ago: float, until: str = "the end"
) -> "Part":
    """Say which process asked the container to stop, and when.

    Args:
        received: the signal.
        name: the name of its sender; None if that had exited already.
        ago: how many seconds ago that was.
        until: the event up to which these seconds count.
    """
    if received.si_code > 0:
        sender = "the terminal or the kernel"
    elif received.si_pid > 0:
        sender = f"{name or 'a process that had exited'} (pid {received.si_pid})"
    else:
        sender = "outside the container" if received.si_pid == 0 else "an unknown process"
    return f"{signal_name(received.si_signo)} came from {sender}, {ago:.1f} s before {until}.", []


def ending(command: str, pid: int, end: "End", *, is_own: bool) -> "Part":
    """Say how the child ended.

    Args:
        command: the first word of its command line.
        pid: its pid.
        end: its status, how many seconds it ran, the number of OOM kills meanwhile, and why it
            ended, if that is known.
        is_own: whether pyinit had sent it SIGKILL.
    """
    status, seconds, kills, reason = end
    if os.WIFSIGNALED(status):
        signum = os.WTERMSIG(status)
        source = " from pyinit" if is_own and signum == SIGKILL else ""
        how = f"was killed by {signal_name(signum)}{source}"
    else:
        how = f"exited with code {os.WEXITSTATUS(status)}"
    reason = OUT_OF_MEMORY if kills else reason
    why = f": {reason}" if reason else ""
    return f"{os.path.basename(command)} (pid {pid}) {how} after {seconds:.1f} s{why}.", []


def trouble(event: str, keys: "Keys") -> "Part":
    """Say which process does not exit or was killed, and where it hung; or what cannot run."""
    why = f": {keys['reason']}" if keys.get("reason") else ""
    if event == "exec_failed":
        return f"{keys['command']} could not be run{why}.", []
    if event == "leftovers":
        left = keys["processes"]
        names = ", ".join(map(_process, left)) if isinstance(left, list) else ""
        return f"it left processes behind (exit code {keys['code']}): {names or 'hidden'}.", []
    if event == "stop_is_slow":
        told = f"{_process(keys)} has not exited{why}."
    elif event == "timed_out":
        told = f"{_process(keys)} had run for {keys['seconds']:.1f} s (-t) and was asked to stop."
    else:
        told = f"{_process(keys)} had not exited after {keys['seconds']:.1f} s and was killed{why}."
    details = [f"it waited for: {keys['waits_for']}"] if keys.get("waits_for") else []
    stack = keys.get("stack")
    return told, details + (list(map(str, stack)) if isinstance(stack, list) else [])


def _process(keys: "Keys") -> str:
    return f"{keys['name'] or 'a process'} (pid {keys['pid']})"


def _text(parts: "list[Part]") -> str:
    """Join the parts, with as many details as there is room for."""
    room = MOST - sum(len(_line(told)) for told, _ in parts)
    text = b""
    for told, details in parts:
        text += _line(told)
        for detail in details:
            line = _line(f"    {detail}")
            if len(line) > room:
                break
            room -= len(line)
            text += line
    return text.decode()


def _line(text: str) -> bytes:
    """Return a line that no name of a process can break."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text.encode("utf-8", "backslashreplace") + b"\n"
