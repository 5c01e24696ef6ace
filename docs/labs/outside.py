"""Be the parent of a PID 1, out here, and end as it ends: with its code, or by its signal.

unshare --pid makes a namespace for the children of what it runs, which is this: the first child is
PID 1. unshare --fork would be the parent itself, but util-linux 2.38 then turns a death by signal
into code 1.
"""

import os
import signal
import subprocess
import sys

MOUNT_AND_BECOME = ("sh", "-c", 'mount -t proc proc /proc && exec "$@"', "sh")
TIED = ("setpriv", "--pdeathsig", "KILL", "--")  # should this process get SIGKILL

code = subprocess.call((*TIED, *MOUNT_AND_BECOME, *sys.argv[1:]))
if code < 0:
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
