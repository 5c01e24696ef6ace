"""A computation that takes hours, in one instruction of Python, which yet lets handlers run."""

import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
number = 7
number ** (1 << 29)  # HERE
