"""A handler wants the lock that the function which it interrupted holds."""

import signal
import threading

lock = threading.Lock()


def stop(*_):
    with lock:  # HERE
        raise SystemExit


signal.signal(signal.SIGTERM, stop)
with lock:
    print("ready", flush=True)
    signal.pause()
