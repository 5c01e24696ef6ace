"""The terminal: which process group has the foreground, and what its keys have told the child.

There are two ways to live with a terminal:

1. pyinit leads the session, as in ``docker run --tty``. No other process is there, so the child
   gets a process group of its own and, if pyinit had it, the foreground. Without a terminal the
   child has a group of its own, too.
2. pyinit is part of a job: a shell or a script leads the session. The child stays in pyinit's
   process group. A group of its own would have to take the foreground from the rest of the job (a
   pipeline's `less`, the script itself) or could not read. So the terminal treats the child as it
   would without an init, and pyinit forwards nothing that the child has got already. ``-g`` asks
   for a group nevertheless.

A stopped child is never left alone: a job is stopped as a whole, so that the shell can continue it,
and where no shell is, in a session that pyinit leads, pyinit continues it.
"""

import posix

from pyinit import processes, signals
from pyinit.signals import JOB_CONTROL, SIGCONT, SIGINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from signal import struct_siginfo
    from typing import Any
else:
    import _signal

# What the group of a background process gets that reads from the terminal, or writes to it.
BACKGROUND = frozenset({_signal.SIGTTIN, _signal.SIGTTOU})

# What a terminal sends to whole process groups: keys, another window size, its end.
OF_TERMINAL = JOB_CONTROL | {SIGCONT, SIGINT, _signal.SIGQUIT, _signal.SIGHUP, _signal.SIGWINCH}

PIPES = frozenset({0o010000, 0o140000})  # FIFOs, and the sockets that some shells use (inode(7))
FILE_TYPE = 0o170000


class Terminal:
    """What pyinit and its child have of a terminal.

    Attributes:
        is_job: whether another process leads the session, on a terminal: a shell or a script.
        own_group: whether the child gets a process group of its own.
        descriptor: one of a terminal whose foreground process group is pyinit's; None if it is not.
    """

    __slots__ = (
        "_early",
        "_settings",
        "_was_asked_to_stop",
        "_was_interrupted",
        "descriptor",
        "is_job",
        "own_group",
    )

    def __init__(self, *, group: bool) -> None:
        """Look around.

        Args:
            group: whether the child must have a process group of its own (``-g``).
        """
        self.is_job = not _leads_session() and _has_terminal()
        self.own_group = group or not self.is_job
        self.descriptor = _foreground()
        self._early: set[int] = set()
        self._was_asked_to_stop = False  # by a key or a signal, since the child was continued
        self._was_interrupted = False  # by ^C, which a script around pyinit hears as well
        self._settings: list[Any] | None = None  # of a terminal that was lent

    def note_pending(self) -> None:
        """Note which signals came before there was a child that could get them, too.

        To be called right before the fork.
        """
        if self.is_job:
            self._early = signals.pending()

    def hand_over(self, group: int) -> None:
        """Make the child's own group the foreground group, where that hurts no other process.

        In a job with ``-g`` the rest of a pipeline may want to read: only a pyinit that reads from
        the terminal itself, and does not write to a pipe, is taken to be alone.
        """
        if self.descriptor is None or not self.own_group:
            return
        if not self.is_job or (self.descriptor == 0 and not _is_pipe(1)):
            take_foreground(self.descriptor, group)

    def take_back(self, child: int) -> None:
        """Take the foreground back from the child's group, or from a job that it left behind.

        Another group's is left alone: pyinit may have been sent to the background meanwhile.
        """
        if self.descriptor is None:
            return
        try:
            foreground = posix.tcgetpgrp(self.descriptor)
            if foreground != child and not _is_left_behind(foreground):
                return
            if posix.getpgrp() == 0:  # of the outer namespace, and so without a number in here
                posix.setpgid(0, 0)
            posix.tcsetpgrp(self.descriptor, posix.getpgrp())
        except OSError:
            pass

    def has_told(self, child: int, received: "struct_siginfo") -> bool:
        """Tell whether the terminal sent a signal that is not to be passed on to the child.

        A terminal signals whole process groups (tty_ioctl(4)), and the child may be in pyinit's. If
        it is not, SIGTTIN and SIGTTOU are still not meant for it: another process of pyinit's group
        wanted to read or write in the background.

        Args:
            child: its pid; 0 once it is dead.
            received: the signal.
        """
        if received.si_code <= 0 or not self.is_job:  # not from the kernel (sigaction(2))
            return False
        signum = received.si_signo
        self._was_interrupted |= signum == SIGINT
        if not child:
            return False
        if signum in BACKGROUND:
            return True
        self._was_asked_to_stop |= signum in JOB_CONTROL
        if signum not in OF_TERMINAL or posix.getpgid(child) != posix.getpgrp():
            return False
        is_early = signum in self._early
        self._early.discard(signum)
        return not is_early

    def passes(self, signum: int, child: int) -> None:
        """Note a signal that is about to be forwarded to the child.

        SIGCONT is how a shell continues a job: `fg` has brought pyinit to the front, `bg` has not.
        """
        if signum in JOB_CONTROL:
            self._was_asked_to_stop = True
        elif signum == SIGCONT:
            self._was_asked_to_stop = False
            if self.is_job:
                self.descriptor = _foreground()
                self.hand_over(child)

    def follow_stop(self, child: int) -> None:
        """Look whether the terminal has stopped the child, and see that it is continued.

        In a job pyinit stops as well, which the shell sees; this returns once it is continued. With
        ``-g`` the rest of the job did not hear the key, and is stopped with it. PID 1 cannot be
        stopped from here. In an orphaned process group the kernel stops nobody (POSIX): where
        nobody could continue a child it is continued at once. A child that was stopped on purpose,
        by SIGSTOP or in pyinit's own session by a signal that pyinit forwarded, is left alone.
        """
        signum = processes.stopped_by(child)
        if not signum or not self._is_by_terminal(signum, child):
            return
        if self.is_job and not _is_continued():
            _suspend(0 if self.own_group else posix.getpid())
        is_sent = self._was_asked_to_stop and not self.is_job
        if not is_sent and not _is_continued() and (posix.getpid() != 1 or not self.is_job):
            self._continue(child)

    def _is_by_terminal(self, signum: int, child: int) -> bool:
        """Tell whether a stop has to do with the terminal.

        Programs that catch ^Z, such as top, stop by SIGSTOP then. So does a shell's `suspend`,
        which gives the foreground back before.
        """
        if signum in JOB_CONTROL:
            return True
        if not self.is_job:
            return False
        if posix.getpgid(child) == posix.getpgrp():
            return self._was_asked_to_stop
        return _foreground() is not None or self._has_foreground(child)

    def _has_foreground(self, group: int) -> bool:
        try:
            return self.descriptor is not None and posix.tcgetpgrp(self.descriptor) == group
        except OSError:  # it hung up
            return False

    def _continue(self, child: int) -> None:
        if self._has_foreground(child):
            processes.continue_group(child)

    def lend(self, group: int) -> None:
        """Make a stopped group that was left behind the foreground group, if pyinit has that.

        It is about to be continued in order to end. A process that restores the terminal's settings
        in the background would be stopped again.
        """
        if self._settings is None:
            self.descriptor = _foreground()
        if self.descriptor is None or not group:
            return
        from termios import tcgetattr

        self._settings = self._settings or tcgetattr(self.descriptor)
        take_foreground(self.descriptor, group)

    def end_loan(self, child: int) -> None:
        """Take back a terminal that was lent, with the settings that it had.

        What it was lent to may have set it up for itself, and been killed.
        """
        if self._settings is None or self.descriptor is None:
            return
        from termios import TCSANOW, tcsetattr

        self.take_back(child)
        tcsetattr(self.descriptor, TCSANOW, self._settings)

    def die_as_child_did(self) -> None:
        """Die of ^C in a job, where the child did: a script goes on if pyinit only says 130.

        Returns where that is not possible, as for PID 1.
        """
        if self.is_job and (self._was_interrupted or SIGINT in signals.pending()):
            _signal.signal(SIGINT, _signal.SIG_DFL)
            _signal.raise_signal(SIGINT)
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {SIGINT})


def _suspend(whom: int) -> None:
    """Stop this process as ^Z does; return when it is continued, or at once if nobody would do so.

    For that SIGTSTP has its default action: in an orphaned process group, and for PID 1, there is
    none (kernel/signal.c, get_signal()). A SIGCONT that comes meanwhile stays pending.

    But SIGTSTP discards a SIGCONT that is pending when it is sent (prepare_signal()). One that came
    just before was the shell's last word, so there is a handler meanwhile, and it is sent anew.

    Args:
        whom: the own pid, or 0 for all of the own process group (kill(2)).
    """
    heard: list[int] = []
    action = _signal.signal(SIGCONT, lambda signum, _: heard.append(signum))
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {SIGCONT})
    processes.send_to(whom, None, _signal.SIGTSTP)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {SIGCONT})
    _signal.signal(SIGCONT, action)
    if heard:
        processes.send_to(whom, None, SIGCONT)  # which discards SIGTSTP
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGTSTP})
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTSTP})


def _is_continued() -> bool:
    """Tell whether a shell has continued pyinit, and so will the child be in a moment."""
    return SIGCONT in signals.pending()


def take_foreground(terminal: int, group: int) -> None:
    """Make ``group`` the terminal's foreground group; that it cannot be is normal.

    SIGTTOU is blocked, so that a background group may ask. ENOTTY, ENXIO, EPERM, EBADF, ESRCH
    and EIO all occur: another terminal, another session, a group that is gone, a line that hung up.
    """
    try:
        posix.tcsetpgrp(terminal, group)
    except OSError:
        pass


def _foreground() -> int | None:
    """Return a descriptor of the terminal whose foreground process group is ours, or None.

    Only then may the terminal be handed to the child: it was not taken from anybody else.
    """
    for descriptor in (0, 1, 2):
        try:
            foreground = posix.tcgetpgrp(descriptor)
        except OSError:
            continue
        if foreground != posix.getpgrp() or (foreground == 0 and not _may_read_terminal()):
            return None
        return descriptor
    return None


def _may_read_terminal() -> bool:
    # Under unshare(1) both groups are of the outer namespace and read as 0 in here, the same or
    # not. Job control tells: from a background group even a read of nothing fails with EIO where
    # SIGTTIN is blocked (tty_ioctl(4), n_tty.c: job_control()).
    try:
        terminal = posix.open("/dev/tty", posix.O_RDONLY | posix.O_NONBLOCK)
    except OSError:
        return False
    try:
        posix.read(terminal, 0)
    except BlockingIOError:  # somebody else of the foreground group is reading
        return True
    except OSError:
        return False
    else:
        return True
    finally:
        posix.close(terminal)


def _leads_session() -> bool:
    try:
        return posix.getsid(0) == posix.getpid()
    except OSError:  # a seccomp filter: as if it were alone
        return True


def _has_terminal() -> bool:
    try:
        posix.close(posix.open("/dev/tty", posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY))
    except OSError:  # there is none, or /dev is not there
        return any(map(_is_terminal, (0, 1, 2)))
    return True


def _is_terminal(descriptor: int) -> bool:
    try:
        posix.tcgetpgrp(descriptor)  # of the controlling terminal, else it fails
    except OSError:
        return False
    return True


def _is_pipe(descriptor: int) -> bool:
    try:
        return posix.fstat(descriptor).st_mode & FILE_TYPE in PIPES
    except OSError:
        return False


def _is_left_behind(group: int) -> bool:
    # A job of a shell that was killed is a child of ours by now: pyinit adopts orphans.
    if group == 0:
        return False
    return processes.is_group_of_ours(group) or not _exists(group)


def _exists(group: int) -> bool:
    try:
        processes.send_to_whole_group(group, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
