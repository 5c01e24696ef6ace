"""A handler that cleans up for a while, and sets SIGTERM back to the default before that."""

import signal
import sys
import threading


def stop(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Event().wait(1.5)  # the queue is written to the disk
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
