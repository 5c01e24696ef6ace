"""Name every signal that arrives, and its sender's kind; at end of stdin there is nothing to do.

Usage: listener.py [CODE_ON_SIGTERM]
"""

import os
import sys

import _signal

_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
sys.stdout.write(f"ready (pid: {os.getpid()})\n")
sys.stdout.flush()
while True:
    got = _signal.sigwaitinfo(_signal.valid_signals())
    sys.stdout.write(f"got {got.si_signo}\n")
    sys.stdout.flush()
    if got.si_signo == _signal.SIGTERM and len(sys.argv) > 1:
        os._exit(int(sys.argv[1]))
