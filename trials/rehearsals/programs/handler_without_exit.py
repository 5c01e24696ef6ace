"""A handler that prints goodbye, and does not exit."""

import signal

signal.signal(signal.SIGTERM, lambda *_: print("goodbye", flush=True))
print("ready", flush=True)
while True:
    signal.pause()
