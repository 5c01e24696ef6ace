"""A regular expression that takes years, in a C loop that lets handlers run."""

import re
import signal

signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
re.match(r"(a+)+$", "a" * 64 + "b")  # HERE
