"""A handler writes to a full pipe that no process reads."""

import signal


def stop(*_):
    print("stopping " * 100_000, flush=True)  # HERE


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
