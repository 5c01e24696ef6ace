"""A helper that is started while SIGTERM is ignored, and therefore ignores it as well."""

import signal
import subprocess
import sys


def stop(*_):
    helper.terminate()
    helper.wait()
    sys.exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN)  # not in the middle of the start
helper = subprocess.Popen(["sleep", "infinity"])
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    signal.pause()
