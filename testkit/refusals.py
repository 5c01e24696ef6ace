"""Commands that refuse something to what they become: system calls, capabilities, a user."""

from collections.abc import Iterable

from testkit.signalsets import OF_C_LIBRARY

OPEN = "open" if 34 in OF_C_LIBRARY else "openat"  # noqa: PLR2004 - musl, and glibc: what open calls
STRACE = ("strace", "-qq", "-o", "/dev/null")
# Without CAP_KILL root may not signal another user's processes.
MAY_NOT_KILL = ("setpriv", "--bounding-set=-kill", "--inh-caps=-kill")
OTHER_USER = ("setpriv", "--reuid=65534", "--clear-groups")


def refusing(
    *faults: str, paths: Iterable[object] = (), everybody: bool = False, detached: bool = False
) -> list[str]:
    """Return the command that has system calls fail, as in `kill:error=EPERM:when=2`.

    Args:
        faults: which and how, in the words of strace.
        paths: where they fail; everywhere without one.
        everybody: whether they fail for the threads and the children of the command, too.
        detached: whether strace is none of its ancestors, so that signals reach the command itself.
    """
    options = [*(["-D"] if detached else []), *(["-f"] if everybody else [])]
    of_paths = [word for path in paths for word in ("-P", str(path))]
    calls = ",".join(fault.partition(":")[0] for fault in faults)
    injected = [word for fault in faults for word in ("-e", f"inject={fault}")]
    return [*STRACE, *options, *of_paths, "-e", f"trace={calls}", *injected]
