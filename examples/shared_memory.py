"""Leave 60 blocks of shared memory to multiprocessing's resource tracker, and exit by SIGKILL.

Usage: shared_memory.py [NAME]

A worker is still running then, as in a pool. The names of the blocks are NAME-0, NAME-1 and so on.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory


def work(ready: Connection) -> None:
    """Report that the worker has started, and wait until a signal ends it."""
    ready.send("ready")
    while True:
        signal.pause()


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "example"
    blocks = [SharedMemory(f"{name}-{number}", create=True, size=4096) for number in range(60)]
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=work, args=[there]).start()
    here.recv()
    print(f"ready (pid: {os.getpid()})", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # only reached as PID 1, for which the kernel drops a SIGKILL from inside
