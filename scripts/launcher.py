#!python
"""The `pyinit` command: mask, then make room for nobody else's modules, then start."""

# First of all: until this statement ran, the kernel drops what is sent to PID 1.
from _signal import SIG_BLOCK, pthread_sigmask, valid_signals

inherited_mask = pthread_sigmask(SIG_BLOCK, valid_signals())

import os
import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the directory of this script
if "PYTHONPATH" in os.environ:
    # It is meant for the workload, whose `logging.py` or `queue.py` must not stand in for the
    # standard library's here. Last, not gone: pyinit itself may have been installed there.
    workload = set(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))
    sys.path.sort(key=workload.__contains__)

from pyinit.cli import main

main(inherited_mask)
