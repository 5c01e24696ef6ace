"""Begin anew, alone: for an interpreter in which somebody else's thread runs already."""

import os
import sys

from pyinit.child import restore_locale

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def restart(launcher: str, inherited_mask: "Iterable[int]") -> None:
    """Become the same command again, in an interpreter without ``site``; return if that fails.

    A `sitecustomize` that PYTHONPATH brings along, as agents that watch applications do, may have
    begun threads before the mask was set. They would take signals that are meant for init, and die
    of them: masks are per thread, dispositions are not (signal(7)). exec ends all other threads,
    and keeps the mask, the pid and what is pending.

    Args:
        launcher: the script to run again; it takes the words that are added here off again.
        inherited_mask: which signals were blocked before all were.
    """
    try:
        mask = ",".join(map(str, map(int, inherited_mask)))
        path = os.pathsep.join(entry for entry in sys.path if isinstance(entry, str))
        restore_locale()
        # Not -I: an interpreter that was moved needs its PYTHONHOME.
        words = ["-SP", launcher, "--restarted", mask, path, *sys.argv[1:]]
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - no shell is wanted
    except Exception:  # noqa: BLE001 - with company is better than not at all
        pass
