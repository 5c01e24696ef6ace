"""The handler raises an exception, and a retry loop swallows it."""

import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def poll():
    print("ready", flush=True)
    time.sleep(600)  # HERE


while True:
    try:
        poll()
    except BaseException:
        continue
