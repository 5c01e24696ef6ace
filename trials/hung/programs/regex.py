"""A regular expression that takes years, in a handler-aware loop of C."""

import re
import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
re.match(r"(a+)+$", "a" * 64 + "b")  # HERE
