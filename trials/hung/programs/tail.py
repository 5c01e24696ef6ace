"""A program reads the lines of `tail -f`, which did not get the signal."""

import signal
import subprocess

signal.signal(signal.SIGTERM, lambda *_: None)
tail = subprocess.Popen(["tail", "-f", "/dev/null"], stdout=subprocess.PIPE)
print("ready", flush=True)
for line in tail.stdout:  # HERE
    print(line)
