"""The terminal: which process group has the foreground, and which keys the child has got already.

There are two cases:

1. pyinit leads the session, as in ``docker run --tty``. The session has no other process, so the
   child gets a process group of its own and, if pyinit had it, the foreground. Without a terminal
   the child has a group of its own as well.
2. pyinit is part of a job: a shell or a script leads the session. The child stays in the process
   group of pyinit. With a group of its own, it would have to take the foreground from the rest of
   the job (`less` in a pipeline, the script itself), or could not read. So the terminal treats the
   child as it would without an init, and pyinit does not forward what the child has got already.
   ``-g`` gives it a group nevertheless.

A stopped child is never forgotten. In a job, pyinit stops as well, so that the shell can continue
all of it. In a session that pyinit leads, there is no shell, and pyinit continues the child.
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

SIGTSTP = _signal.SIGTSTP

# What a background process and its group get when it reads from the terminal or writes to it.
BACKGROUND = frozenset({_signal.SIGTTIN, _signal.SIGTTOU})

# What a terminal sends to whole process groups: for keys, a new window size, a hangup.
OF_TERMINAL = JOB_CONTROL | {SIGCONT, SIGINT, _signal.SIGQUIT, _signal.SIGHUP, _signal.SIGWINCH}

PIPES = frozenset({0o010000, 0o140000})  # FIFOs, and the sockets that some shells use (inode(7))
FILE_TYPE = 0o170000


class Terminal:
    """The terminal of pyinit and its child.

    Attributes:
        is_job: whether another process leads the session, on a terminal: a shell or a script.
        own_group: whether the child gets a process group of its own.
        descriptor: a descriptor of the terminal; None if pyinit is not in its foreground group.
    """

    __slots__ = (
        "_early",
        "_is_suspended",
        "_settings",
        "_was_asked_to_stop",
        "_was_interrupted",
        "descriptor",
        "is_job",
        "own_group",
    )

    def __init__(self, *, group: bool) -> None:
        """Find out which case this is.

        Args:
            group: whether the child must have a process group of its own (``-g``).
        """
        self.is_job = not _leads_session() and _has_terminal()
        self.own_group = group or not self.is_job
        self.descriptor = _foreground()
        self._early: set[int] = set()
        self._was_asked_to_stop = False  # by a key or a signal, after the child was last continued
        self._is_suspended = False  # a job whose PID 1 this is, with the child
        self._was_interrupted = False  # by ^C, which a script around pyinit gets as well
        self._settings: list[Any] | None = None  # of a terminal that was lent

    def note_pending(self) -> None:
        """Note which signals came before there was a child to get them from the terminal as well.

        Call this immediately before the fork.
        """
        if self.is_job:
            self._early = signals.pending()

    def hand_over(self, group: int) -> None:
        """Make the child's own group the foreground group, unless that hurts another process.

        In a job with ``-g``, the rest of a pipeline may want to read. pyinit is taken to be alone
        only if its stdin is the terminal and its stdout is not a pipe.
        """
        if self.descriptor is None or not self.own_group:
            return
        if not self.is_job or (self.descriptor == 0 and not _is_pipe(1)):
            take_foreground(self.descriptor, group)

    def take_back(self, child: int) -> None:
        """Take the foreground back from the child's group, or from a job that it left behind.

        But not from another group: pyinit may have been sent to the background meanwhile.
        """
        if self.descriptor is None:
            return
        try:
            foreground = posix.tcgetpgrp(self.descriptor)
            if foreground != child and not _is_left_behind(foreground):
                return
            if posix.getpgrp() == 0:  # of the outer namespace, so it has no number here
                posix.setpgid(0, 0)
            posix.tcsetpgrp(self.descriptor, posix.getpgrp())
        except OSError:
            pass

    def has_told(self, child: int, received: "struct_siginfo") -> bool:
        """Tell whether the terminal has sent a signal that must not be forwarded to the child.

        A terminal signals whole process groups (tty_ioctl(4)), and the child may be in the group of
        pyinit. If it is not, SIGTTIN and SIGTTOU are still not for the child: another process in
        the group of pyinit has tried to read or write in the background.

        Args:
            child: its pid; 0 once it has exited.
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
        """Note a signal that pyinit is about to forward to the child.

        A shell continues a job with SIGCONT. After `fg` it is in the foreground, after `bg` not.
        """
        if signum in JOB_CONTROL:
            self._was_asked_to_stop = True
        elif signum == SIGCONT:
            self._was_asked_to_stop = self._is_suspended = False
            if self.is_job:
                self.descriptor = _foreground()
                self.hand_over(child)

    def note_undone(self) -> None:
        """Note whether ^Z came before the SIGCONT that pyinit has just forwarded, perhaps late.

        Then the child, which the shell had continued already, does not stop after all: SIGCONT
        discards stop signals (signal(7)). So this ^Z is forwarded.
        """
        if self.is_job:
            self._early = self._early - {SIGTSTP} | signals.pending() & {SIGTSTP}

    def follow_stop(self, child: int) -> None:
        """Check whether the terminal has stopped the child, and make sure that it is continued.

        In a job, pyinit stops as well, which the shell sees; this returns when pyinit is continued.
        With ``-g``, the rest of the job did not get the key, and is stopped too. PID 1 cannot stop
        itself. In an orphaned process group the kernel stops no process (POSIX). If no process
        could continue the child, pyinit does it at once. A child that was stopped on purpose, by
        SIGSTOP, or by a signal that pyinit forwarded in its own session, stays stopped.
        """
        signum = processes.stopped_by(child)
        if not signum or not self._is_by_terminal(signum, child):
            return
        if self.is_job and not self._is_suspended and not _is_continued():
            _suspend(0 if self.own_group else posix.getpid())
            self._is_suspended = posix.getpid() == 1  # any other process has been continued here
        is_sent = self._was_asked_to_stop and not self.is_job
        if not is_sent and not _is_continued() and (posix.getpid() != 1 or not self.is_job):
            self._continue(child)

    def _is_by_terminal(self, signum: int, child: int) -> bool:
        """Tell whether the child was stopped because of the terminal.

        Programs that handle ^Z, such as top, then stop themselves by SIGSTOP. So does `suspend` in
        a shell, which gives the foreground back before.
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
        except OSError:  # the terminal has hung up
            return False

    def _continue(self, child: int) -> None:
        if self._has_foreground(child):
            processes.continue_group(child)

    def lend(self, group: int) -> None:
        """Give the foreground, if pyinit has it, to a stopped group that was left behind.

        It is about to be continued so that it can exit. In the background, a process that restores
        the settings of the terminal would be stopped again.
        """
        if self._settings is None:
            self.descriptor = _foreground()
        if self.descriptor is None or not group:
            return
        from termios import tcgetattr

        self._settings = self._settings or tcgetattr(self.descriptor)
        take_foreground(self.descriptor, group)

    def end_loan(self, child: int) -> None:
        """Take back a terminal that was lent, and restore its settings.

        A process that had it may have changed them and been killed.
        """
        if self._settings is None or self.descriptor is None:
            return
        from termios import TCSANOW, tcsetattr

        self.take_back(child)
        tcsetattr(self.descriptor, TCSANOW, self._settings)

    def die_as_child_did(self) -> None:
        """In a job, let ^C kill pyinit as it killed the child: a script goes on after a mere 130.

        Returns if that is not possible, for example for PID 1.
        """
        if self.is_job and (self._was_interrupted or SIGINT in signals.pending()):
            _signal.signal(SIGINT, _signal.SIG_DFL)
            _signal.raise_signal(SIGINT)
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {SIGINT})


def _suspend(whom: int) -> None:
    """Stop pyinit as ^Z does; return when it is continued, or at once if no process would do so.

    SIGTSTP has its default action here. In an orphaned process group, and for PID 1, this does not
    stop (kernel/signal.c, get_signal()). A SIGCONT that comes meanwhile stays pending.

    But SIGTSTP discards a SIGCONT that is pending when SIGTSTP is sent (prepare_signal()). Such a
    SIGCONT is what the shell wants now, so a handler notes it, and it is sent again. The handler
    stays: to set SIG_DFL discards a SIGCONT as well, even a blocked one (do_sigaction()).

    Args:
        whom: the pid of pyinit, or 0 for its whole process group (kill(2)).
    """
    heard: list[int] = []
    _signal.signal(SIGCONT, lambda signum, _: heard.append(signum))
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {SIGCONT})
    processes.send_to(whom, None, SIGTSTP)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {SIGCONT})
    if heard:
        processes.send_to(whom, None, SIGCONT)  # which discards SIGTSTP
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {SIGTSTP})
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {SIGTSTP})


def _is_continued() -> bool:
    """Tell whether a shell has continued pyinit, so that pyinit will soon continue the child."""
    return SIGCONT in signals.pending()


def take_foreground(terminal: int, group: int) -> None:
    """Make ``group`` the foreground group of the terminal; it is normal that this fails.

    SIGTTOU is blocked, so that a background group may try. ENOTTY, ENXIO, EPERM, EBADF, ESRCH and
    EIO all occur, for another terminal or session, a group that is gone, or a hangup.
    """
    try:
        posix.tcsetpgrp(terminal, group)
    except OSError:
        pass


def _foreground() -> int | None:
    """Return a descriptor of the terminal if its foreground process group is ours, or None.

    Only then may pyinit give the terminal to the child: no other process is using it.
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
    # Under unshare(1) both groups belong to the outer namespace and read as 0 here, whether they
    # are the same or not. Job control shows it: with SIGTTIN blocked, even a read of 0 bytes from a
    # background group fails with EIO (tty_ioctl(4), n_tty.c: job_control()).
    try:
        terminal = posix.open("/dev/tty", posix.O_RDONLY | posix.O_NONBLOCK)
    except OSError:
        return False
    try:
        posix.read(terminal, 0)
    except BlockingIOError:  # another process of the foreground group is reading
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
    except OSError:  # a seccomp filter: as if pyinit were alone
        return True


def _has_terminal() -> bool:
    try:
        posix.close(posix.open("/dev/tty", posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY))
    except OSError:  # there is no terminal, or no /dev
        return any(map(_is_terminal, (0, 1, 2)))
    return True


def _is_terminal(descriptor: int) -> bool:
    try:
        posix.tcgetpgrp(descriptor)  # fails for any but the controlling terminal
    except OSError:
        return False
    return True


def _is_pipe(descriptor: int) -> bool:
    try:
        return posix.fstat(descriptor).st_mode & FILE_TYPE in PIPES
    except OSError:
        return False


def _is_left_behind(group: int) -> bool:
    # The jobs of a killed shell are children of pyinit now: it adopts orphans.
    if group == 0:
        return False
    return processes.is_group_of_ours(group) or not _exists(group)


def _exists(group: int) -> bool:
    try:
        processes.send_to_whole_group(group, 0)  # only asks, and sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
