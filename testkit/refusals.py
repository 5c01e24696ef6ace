"""Prefixes of a command that take something from it: system calls, capabilities, its user."""

from collections.abc import Iterable

from testkit.signalsets import OF_C_LIBRARY

OPEN = "open" if 34 in OF_C_LIBRARY else "openat"  # noqa: PLR2004 - musl, and glibc: what open calls
STRACE = ("strace", "-qq", "-o", "/dev/null")
# Without CAP_KILL, root may not signal processes of another user.
MAY_NOT_KILL = ("setpriv", "--bounding-set=-kill", "--inh-caps=-kill")
OTHER_USER = ("setpriv", "--reuid=65534", "--clear-groups")


def refusing(
    *faults: str, paths: Iterable[object] = (), everybody: bool = False, detached: bool = False
) -> list[str]:
    """Return a prefix that makes system calls fail, such as `kill:error=EPERM:when=2`.

    Args:
        faults: which calls fail, and how, in the words of strace.
        paths: the files on which they fail; all files without one.
        everybody: whether they also fail in the threads and children of the command.
        detached: whether strace is not an ancestor of the command, so that signals reach that.
    """
    options = [*(["-D"] if detached else []), *(["-f"] if everybody else [])]
    of_paths = [word for path in paths for word in ("-P", str(path))]
    calls = ",".join(fault.partition(":")[0] for fault in faults)
    injected = [word for fault in faults for word in ("-e", f"inject={fault}")]
    return [*STRACE, *options, *of_paths, "-e", f"trace={calls}", *injected]
