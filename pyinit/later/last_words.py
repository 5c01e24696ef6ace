"""Leave a word on how it ended where orchestrators look for it: in the termination log.

Kubernetes mounts a file at /dev/termination-log, and shows what is in it as the container's
message. What the program has written there itself is kept: pyinit adds to it. Where a stop is slow
there is a word before the end, which whoever waits may bring about with SIGKILL.
"""

import os
import stat
from _thread import start_new_thread
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
    Part = tuple[str, list[str]]  # a sentence, and lines that may be left out

USUAL = "/dev/termination-log"
MOST = 4096  # bytes that a kubelet reads
HOW = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MODE = 0o644
CLOCK_STEP = 0.01  # that time stamps of files may be behind
OUT_OF_MEMORY = "out of memory, as the cgroup tells"


def leave_early(supervisor: "Supervisor", ago: float, sent: int) -> None:
    """Write why a stop that was asked for is slow: SIGKILL may be what comes next.

    Args:
        supervisor: what is known of the child, which lives.
        ago: how many seconds ago it was asked.
        sent: the signal that it got.

    Raises:
        RuntimeError: the system has no thread to give.
    """
    if supervisor.asked_by is None:
        return
    from pyinit.later import events

    keys = events.stop_is_slow(supervisor.child.pid, ago, sent, supervisor.peeked)
    asked = request(*supervisor.asked_by, ago, "this")
    _words(supervisor).leave_soon([asked, trouble("stop_is_slow", keys)])


def leave(supervisor: "Supervisor", ago: float, *, is_plain: bool) -> None:
    """Write how it ended.

    Args:
        supervisor: what is known of the child, which is dead.
        ago: how many seconds ago it was asked to stop, if it was.
        is_plain: whether there is nothing to say, but that what was said before is to go.
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
    """The file, and what stands in it of ours."""

    def __init__(self, named: str, child_began: float, report: "Report") -> None:
        """Note which file.

        Args:
            named: the file; empty for the usual one.
            child_began: when the child did, on the monotonic clock.
            report: it keeps what is told of those that have to be killed.
        """
        self._named = named
        self._child_began = child_began
        self._report = report
        self._own = (0, 0)

    def leave_soon(self, words: "list[Part]") -> None:
        """Write that a stop is slow, in a thread: a disk may be so, too.

        Raises:
            RuntimeError: the system has no thread to give.
        """
        start_new_thread(self._leave_early, (words,))

    def _leave_early(self, words: "list[Part]") -> None:
        try:
            self._put(words)
        except BaseException:  # noqa: BLE001 - at the end it is told
            pass

    def leave(self, words: "list[Part]") -> None:
        """Write the last words in place of earlier ones; tell where a file was named in vain.

        Args:
            words: what comes before those that had to be killed; see :func:`request` and
                :func:`ending`.
        """
        report = self._report
        words += [trouble(name, keys) for name, keys in report.kept]
        if report.not_kept:
            words.append((f"{report.not_kept} more had to be killed.", []))
        try:
            self._put(words)
        except OSError as error:
            if self._named:
                report.tell(WARNING, "termination_log_refused", self._named, error)

    def _put(self, words: "list[Part]") -> None:
        began = time() - (monotonic() - self._child_began)
        self._own = put(self._named or USUAL, _text(words), began, self._own)


def put(path: str, text: str, began: float, own: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Write a text of MOST bytes at most to a regular file, behind what the program wrote there.

    Args:
        path: the file. It is made where it is missing, but for the usual one.
        text: what to write; nothing empties it of what is older than the child.
        began: when the child began, by the clock on the wall.
        own: where an earlier text of ours begins and ends. It is replaced, if it is the last there.

    Returns:
        The same for this one.

    Raises:
        OSError: it cannot be written, or is a link or something else than a regular file.
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
        if not stat.S_ISREG(os.lstat(path).st_mode):  # to open a device may have it do something
            raise _refusal(path)
        return os.open(path, HOW)
    except FileNotFoundError:
        if path == USUAL:
            raise
        return os.open(path, HOW | os.O_CREAT | os.O_EXCL, MODE)


def _refusal(path: str) -> OSError:
    return OSError(EINVAL, "it is not a regular file with one name", path)


def request(
    received: "struct_siginfo", name: str | None, ago: float, until: str = "the end"
) -> "Part":
    """Say who asked the container to stop, and when.

    Args:
        received: the signal.
        name: what its sender was called; None where it was gone already.
        ago: how long ago that was, in seconds.
        until: counted from what, in words.
    """
    if received.si_code > 0:
        sender = "the terminal or the kernel"
    elif received.si_pid > 0:
        sender = f"{name or 'a process that was gone'} (pid {received.si_pid})"
    else:
        sender = "outside the container" if received.si_pid == 0 else "a process that is not known"
    return f"{signal_name(received.si_signo)} came from {sender}, {ago:.1f} s before {until}.", []


def ending(command: str, pid: int, end: "End", *, is_own: bool) -> "Part":
    """Say how the child ended.

    Args:
        command: its first word.
        pid: its pid.
        end: its status, how many seconds it lived, how many processes were killed for want of
            memory meanwhile, and why it ended, if that is known.
        is_own: whether pyinit had sent it SIGKILL.
    """
    status, seconds, kills, reason = end
    if os.WIFSIGNALED(status):
        signum = os.WTERMSIG(status)
        who = " from pyinit" if is_own and signum == SIGKILL else ""
        how = f"was killed by {signal_name(signum)}{who}"
    else:
        how = f"exited with code {os.WEXITSTATUS(status)}"
    reason = OUT_OF_MEMORY if kills else reason
    why = f": {reason}" if reason else ""
    return f"{os.path.basename(command)} (pid {pid}) {how} after {seconds:.1f} s{why}.", []


def trouble(event: str, keys: "Keys") -> "Part":
    """Say who does not end, or had to be killed, and where it hung; or what could not be run."""
    why = f": {keys['reason']}" if keys.get("reason") else ""
    if event == "exec_failed":
        return f"{keys['command']} could not be run{why}.", []
    if event == "leftovers":
        left = keys["processes"]
        names = ", ".join(map(_who, left)) if isinstance(left, list) else ""
        return f"it left processes behind (code {keys['code']}): {names or 'hidden'}.", []
    if event == "stop_is_slow":
        told = f"{_who(keys)} has not ended{why}."
    elif event == "timed_out":
        told = f"{_who(keys)} had run for {keys['seconds']:.1f} s (-t) and was asked to stop."
    else:
        told = f"{_who(keys)} had not ended after {keys['seconds']:.1f} s and was killed{why}."
    details = [f"it was at: {keys['waits_for']}"] if keys.get("waits_for") else []
    stack = keys.get("stack")
    return told, details + (list(map(str, stack)) if isinstance(stack, list) else [])


def _who(keys: "Keys") -> str:
    return f"{keys['name'] or 'a process'} (pid {keys['pid']})"


def _text(parts: "list[Part]") -> str:
    """Join them; as many of the lines that may be left out as there is room for."""
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
    """Return a line that nobody can break by how a process is called."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text.encode("utf-8", "backslashreplace") + b"\n"
