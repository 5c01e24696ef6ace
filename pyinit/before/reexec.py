"""Begin anew, alone: for an interpreter in which somebody else's thread runs already."""

import os
import sys

from pyinit.child import restore_locale

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn


def reexec(launcher: str, inherited_mask: "Iterable[int]") -> "NoReturn":
    """Become the same command again, in an interpreter without ``site``; leave if that fails.

    A `sitecustomize` that PYTHONPATH brings along, as agents that watch applications do, may have
    begun threads before the mask was set. They would take signals that are meant for init, SIGCHLD
    too, and die of them: masks are per thread, dispositions are not (signal(7)). exec ends all
    other threads, and keeps the mask, the pid and what is pending.

    Args:
        launcher: the script to run again; it takes the words that are added here off again.
        inherited_mask: which signals were blocked before all were.
    """
    try:
        mask = ",".join(map(str, map(int, inherited_mask)))
        path = os.pathsep.join(entry for entry in sys.path if isinstance(entry, str))
        restore_locale()
        # Not sys.executable, which may be empty. It is no use here that a virtual environment is
        # found by it: that is site's work. Not -I: an interpreter that was moved needs PYTHONHOME.
        python = os.readlink("/proc/self/exe")
        words = ["-SP", launcher, "--restarted", mask, path, *sys.argv[1:]]
        os.execv(python, [python, *words])  # noqa: S606 - no shell is wanted
    except Exception as error:  # noqa: BLE001 - whatever it is, with company is no way to run
        from pyinit.before import usage
        from pyinit.before.errors import StartError

        msg = (
            "cannot start: another thread already runs in this interpreter and would take "
            f"signals, and a restart without it failed: {error}; check whether PYTHONPATH has a "
            "sitecustomize that starts threads"
        )
        os._exit(usage.complain(StartError(msg)))
