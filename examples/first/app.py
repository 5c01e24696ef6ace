"""A program with work in hand: after SIGTERM it needs one more second to finish."""

import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print(f"{sys.argv[1]}: ready", flush=True)
try:
    signal.pause()
finally:
    time.sleep(1)
    print(f"{sys.argv[1]}: done", flush=True)
