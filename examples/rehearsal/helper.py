#!/usr/bin/env python3
"""helper.py NAME SECONDS: after SIGTERM it needs some seconds to finish its work."""

import signal
import sys
import time
from pathlib import Path

name, seconds = sys.argv[1], float(sys.argv[2])


def finish(*_: object) -> None:
    """Finish the work."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)  # the rest of the work
    print(f"{name}: finished", flush=True)
    sys.exit()


Path("/proc/self/comm").write_text(name)
signal.signal(signal.SIGTERM, finish)
print(f"{name}: ready", flush=True)
while True:
    signal.pause()
