"""A handler that says goodbye, and no more."""

import signal

signal.signal(signal.SIGTERM, lambda *_: print("goodbye", flush=True))
print("ready", flush=True)
while True:
    signal.pause()
