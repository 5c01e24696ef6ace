"""A helper in a session of its own; its parent only waits for it to end."""

import signal
import subprocess

signal.signal(signal.SIGTERM, lambda *_: print("waiting for the helper", flush=True))
helper = subprocess.Popen(["sleep", "infinity"], start_new_session=True)
print("ready", flush=True)
helper.wait()
