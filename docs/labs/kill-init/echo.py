"""An init in Python: answers every line. With the argument `go` it treats signals as Go does.

A Go program begins with a handler for nearly every signal, its runtime's own. For SIGHUP, SIGINT
and SIGTERM that one restores the default and sends the signal once more, so that the parent sees
who killed the program; should the program survive that, it exits with 2 (dieFromSignal in
src/runtime/signal_unix.go).
"""

import os
import signal
import sys

DEADLY = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
LEFT_ALONE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


def handle(signum, _frame):
    """Do as Go's handler does."""
    if signum in DEADLY:
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
        os._exit(2)


if sys.argv[1:] == ["go"]:
    for signum in signal.valid_signals() - LEFT_ALONE:
        signal.signal(signum, handle)
print("ready", flush=True)
for line in sys.stdin:
    print(line, end="", flush=True)
