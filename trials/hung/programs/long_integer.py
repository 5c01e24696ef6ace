"""A computation that takes hours, in one instruction of Python, during which handlers can still run."""

import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
number = 7
number ** (1 << 29)  # HERE
