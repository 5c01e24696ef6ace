"""Restart without threads: for an interpreter in which another thread already runs."""

import os
import sys

from pyinit.child import restore_locale

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn


def reexec(launcher: str, inherited_mask: "Iterable[int]") -> "NoReturn":
    """Exec the same command again, in an interpreter without ``site``; exit if that fails.

    A `sitecustomize` in PYTHONPATH, such as that of a monitoring agent, may have started threads
    before the mask was set. They would take signals that are meant for pyinit, even SIGCHLD, and
    such a signal may kill the process: masks are per thread, dispositions are not (signal(7)). exec
    ends all other threads, and keeps the mask, the pid and pending signals.

    Args:
        launcher: the script to run again; it removes the words that are added here.
        inherited_mask: the signals that were blocked before pyinit blocked all.
    """
    try:
        mask = ",".join(map(str, map(int, inherited_mask)))
        path = os.pathsep.join(entry for entry in sys.path if isinstance(entry, str))
        restore_locale()
        # Not sys.executable, which may be empty. Only site needs it, to find a virtual environment,
        # and site does not run. Not -I: an interpreter that was moved needs PYTHONHOME.
        python = os.readlink("/proc/self/exe")
        words = ["-SP", launcher, "--restarted", mask, path, *sys.argv[1:]]
        os.execv(python, [python, *words])  # noqa: S606 - no shell is wanted
    except Exception as error:  # noqa: BLE001 - pyinit cannot run beside another thread
        from pyinit.before import usage
        from pyinit.before.errors import StartError

        msg = (
            "cannot start: another thread already runs in this interpreter and would take "
            f"signals, and a restart without it failed: {error}; check whether PYTHONPATH has a "
            "sitecustomize that starts threads"
        )
        os._exit(usage.complain(StartError(msg)))
