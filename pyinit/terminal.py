"""Whose the terminal is: handed to the child if it was ours, and taken back at the end."""

import posix


def foreground_terminal() -> int | None:
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


def take_foreground(terminal: int, group: int) -> None:
    """Make ``group`` the terminal's foreground group; that it cannot be is normal.

    SIGTTOU is blocked, so that a background group may ask. ENOTTY, ENXIO, EPERM, EBADF, ESRCH
    and EIO all occur: another terminal, another session, a group that is gone, a line that hung up.
    """
    try:
        posix.tcsetpgrp(terminal, group)
    except OSError:
        pass


def give_back_foreground(terminal: int, group: int) -> None:
    """Take the foreground back from the child's ``group``, or from a job that it left behind.

    Anybody else's is left alone: pyinit may have been sent to the background meanwhile.
    """
    try:
        if posix.getpgrp() == 0:  # of the outer namespace, and so without a number in here
            posix.setpgid(0, 0)
        foreground = posix.tcgetpgrp(terminal)
        if foreground == group or _is_left_behind(foreground):
            posix.tcsetpgrp(terminal, posix.getpgrp())
    except OSError:
        pass


def _is_left_behind(group: int) -> bool:
    # A job of a shell that was killed is a child of ours by now: pyinit adopts orphans.
    if group == 0:
        return False
    try:
        posix.waitid(posix.P_PGID, group, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
    except ChildProcessError:
        return not _exists(group)
    return True


def _exists(group: int) -> bool:
    try:
        posix.killpg(group, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
