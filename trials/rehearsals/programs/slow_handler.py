"""A slow handler: slow_handler.py SECONDS."""

import signal
import sys
import threading


def stop(*_):
    threading.Event().wait(float(sys.argv[1]))
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
