"""Be the parent of a PID 1, outside its namespace, and end as it does: by its code or its signal.

unshare --pid makes a namespace for the children of the program that it runs, which is this one: its
first child is PID 1. unshare --fork would do this as well, but with util-linux 2.38 it exits with 1
if a signal has killed PID 1.
"""

import os
import signal
import subprocess
import sys

MOUNT_AND_BECOME = ("sh", "-c", 'mount -t proc proc /proc && exec "$@"', "sh")
TIED = ("setpriv", "--pdeathsig", "KILL", "--")  # in case this process gets SIGKILL

code = subprocess.call((*TIED, *MOUNT_AND_BECOME, *sys.argv[1:]))
if code < 0:
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
