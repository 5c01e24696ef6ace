"""A program that asks for a line of input."""

import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
input()  # HERE
