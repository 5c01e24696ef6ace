"""A program that only handles ^C."""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
try:
    print("ready", flush=True)
    while True:
        signal.pause()
except KeyboardInterrupt:
    print("saved", flush=True)
