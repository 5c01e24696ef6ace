"""A program that runs another one, and does not forward signals to it."""

import signal
import subprocess

signal.signal(signal.SIGTERM, lambda *_: print("after this job", flush=True))
subprocess.run(["sh", "-c", "echo ready; exec sleep infinity"])
