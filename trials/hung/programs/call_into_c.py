"""A call into C that computes for years, and never lets a handler of Python's run."""

import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
sum(range(10**18))  # HERE
