"""What only prctl(2) can do; loaded off PID 1 or with ``-p``, because it loads python-prctl."""

import os


class PrctlError(Exception):
    """A prctl call did not succeed; its text is the reason."""


def become_subreaper() -> None:
    """Make orphaned descendants children of this process: PR_SET_CHILD_SUBREAPER.

    Raises:
        PrctlError: the kernel or a missing library prevents it.
    """
    _call("set_child_subreaper", 1)


def signal_on_parent_death(signum: int) -> None:
    """Have the kernel send us ``signum`` when our parent (the thread that forked us) ends.

    Where it ended while we asked, nobody else will tell: we send the signal ourselves.

    Raises:
        PrctlError: the kernel or a missing library prevents it.
    """
    parent = os.getppid()
    _call("set_pdeathsig", signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def _call(function: str, argument: int) -> None:
    try:
        import prctl

        call = getattr(prctl, function)
    except BaseException as error:  # ImportError, and what a broken installation may raise
        msg = (
            f"python-prctl cannot be loaded ({error}); it needs the library libcap.so.2 "
            "(Debian package libcap2)"
        )
        raise PrctlError(msg) from error
    try:
        call(argument)
    except OSError as error:
        msg = f"the kernel refused: {error.strerror}"
        raise PrctlError(msg) from error
