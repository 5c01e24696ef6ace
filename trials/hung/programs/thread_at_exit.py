"""The main thread ends, but a non-daemon thread does not."""

import signal
import sys
import threading

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
never = threading.Event()


def consume():
    never.wait()  # HERE


threading.Thread(target=consume, name="consumer").start()
print("ready", flush=True)
signal.pause()
