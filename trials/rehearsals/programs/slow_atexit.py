"""A slow atexit hook: slow_atexit.py SECONDS."""

import atexit
import signal
import sys
import threading

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


@atexit.register
def flush():
    threading.Event().wait(float(sys.argv[1]))


print("ready", flush=True)
signal.pause()
