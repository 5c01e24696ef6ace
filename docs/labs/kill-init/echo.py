"""An init in Python: answers every line. With the argument `go` it treats signals as Go does.

The runtime of a Go program has a handler for nearly every signal. For SIGHUP, SIGINT and SIGTERM
it restores the default and sends the signal again, so that the parent sees which signal killed the
program. If that does not kill the program, it exits with 2 (dieFromSignal in
src/runtime/signal_unix.go).
"""

import os
import signal
import sys

DEADLY = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
LEFT_ALONE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


def handle(signum, _frame):
    """Do the same as Go's handler."""
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
