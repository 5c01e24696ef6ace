"""A process forwards SIGTERM to a child that ignores it, and waits for it."""

import signal
import subprocess

script = 'trap "" TERM; echo ready; while :; do sleep 600; done'
child = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
print(child.stdout.readline().decode().strip(), flush=True)
child.wait()
