"""POSIX shared memory of a program that is just ended: its tracker removes it, and ignores SIGTERM."""

import signal
from multiprocessing import shared_memory

memory = shared_memory.SharedMemory(create=True, size=1 << 20)
print("ready", flush=True)
signal.pause()
