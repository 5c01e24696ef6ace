"""A call into C that computes for years, so that no handler of Python can run."""

import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
sum(range(10**18))  # HERE
