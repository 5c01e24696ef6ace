"""Do with signals what the words say, print that it is ready, and wait.

Usage: signals.py [ignore|catch|block|await|pend:NAME]...
"""

import os
import signal
import sys

for word in sys.argv[1:]:
    what, _, name = word.partition(":")
    signum = signal.Signals[f"SIG{name}"]
    if what in {"ignore", "catch"}:
        signal.signal(signum, signal.SIG_IGN if what == "ignore" else lambda *_: None)
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signum})
    if what == "pend":
        os.kill(os.getpid(), signum)
awaited = [signal.Signals[f"SIG{word[6:]}"] for word in sys.argv[1:] if word.startswith("await:")]
sys.stdout.write(f"ready (pid: {os.getpid()})\n")
sys.stdout.flush()
while True:
    if awaited:
        signal.sigwait(awaited)
    else:
        signal.pause()
