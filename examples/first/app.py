"""A program with work in hand: after SIGTERM it needs one more second to finish."""

import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    sys.stderr.write(f"{sys.argv[1]}: ready\n")
    while True:
        time.sleep(0.1)
finally:
    time.sleep(1)
    sys.stderr.write(f"{sys.argv[1]}: done\n")
