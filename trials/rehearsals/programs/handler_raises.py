"""A handler with a bug."""

import signal


def stop(*_):
    queue.flush()


queue = None  # it is opened at the first job
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
