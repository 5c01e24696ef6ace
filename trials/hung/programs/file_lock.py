"""A file that another child of the same parent has locked."""

import fcntl
import os
import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: None)
path = sys.argv[1] + "/lock"
reader, writer = os.pipe()
if not os.fork():
    file = open(path, "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    os.write(writer, b"locked")
    while True:
        signal.pause()
os.read(reader, 6)
print("ready", flush=True)
fcntl.flock(open(path, "w"), fcntl.LOCK_EX)  # HERE
