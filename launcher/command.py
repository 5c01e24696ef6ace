#!python
"""The `pyinit` command: block signals, keep foreign modules out, then start."""

# First: until this statement has run, the kernel drops signals that are sent to PID 1.
from _signal import SIG_BLOCK, pthread_sigmask, valid_signals

inherited_mask = pthread_sigmask(SIG_BLOCK, valid_signals())

import sys

# The environment may ask for lazy imports (PYTHON_LAZY_IMPORTS, Python 3.15). Modules would then be
# loaded at their first use, and by then they may be gone.
set_lazy_imports = getattr(sys, "set_lazy_imports", None)
if set_lazy_imports is not None:
    set_lazy_imports("normal")

import os


def forget_workload_modules() -> None:
    """Search the directories of PYTHONPATH last.

    PYTHONPATH is meant for the child, and its `logging.py` or `queue.py` must not replace a module
    of the standard library here. Last, but not removed: pyinit itself may be installed there.
    """
    if not sys.flags.safe_path:
        del sys.path[0]  # the directory of this script
    if "PYTHONPATH" in os.environ:
        workload = set(map(absolute, os.environ["PYTHONPATH"].split(os.pathsep)))
        sys.path.sort(key=workload.__contains__)


def absolute(path: str) -> str:
    """Return a path as `site` puts it into sys.path."""
    try:
        return os.path.abspath(path)
    except OSError:  # the working directory is gone
        return path


def is_alone() -> bool:
    """Tell whether this is the only thread; yes if /proc cannot be read."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return True


if sys.flags.no_site and sys.argv[1:2] == ["--restarted"]:  # by pyinit.before.reexec
    inherited_mask = set(map(int, filter(None, sys.argv[2].split(","))))
    sys.path[:] = sys.argv[3].split(os.pathsep)
    del sys.argv[1:4]
else:
    forget_workload_modules()
    if not is_alone():
        from pyinit.before.reexec import reexec

        reexec(__file__, inherited_mask)  # does not return

from pyinit.init import main

main(inherited_mask)
