"""A parent waits in vfork, in state D; its child hangs at a FIFO before its exec."""

import os
import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: None)
path = sys.argv[1] + "/fifo"
os.mkfifo(path)
print("ready", flush=True)
actions = [(os.POSIX_SPAWN_OPEN, 0, path, os.O_RDONLY, 0)]
os.posix_spawn("/bin/true", ["true"], {}, file_actions=actions)  # HERE
