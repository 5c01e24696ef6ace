"""A program around another one, to which it passes nothing on."""

import signal
import subprocess

signal.signal(signal.SIGTERM, lambda *_: print("after this job", flush=True))
print("ready", flush=True)
subprocess.run(["sleep", "infinity"])
