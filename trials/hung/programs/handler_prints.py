"""A handler writes to a pipe that is full and that nobody reads."""

import signal


def stop(*_):
    print("stopping " * 100_000, flush=True)  # HERE


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
