"""Begin in an interpreter that is deaf to the environment, as pyinit-launcher has it."""

import posix

from pyinit.cli import main

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NAME = b"pyinit"


def begin(inherited_mask: "set[int]") -> "NoReturn":
    """Call oneself pyinit, which env(1) in the #! line has undone, and begin.

    Args:
        inherited_mask: which signals were blocked before all were.
    """
    try:
        comm = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(comm, NAME)
        finally:
            posix.close(comm)
    except OSError:  # no /proc: then it has the interpreter's name
        pass
    main(inherited_mask)
