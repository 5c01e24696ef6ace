"""POSIX shared memory that its tracker removes, which ignores SIGTERM, when the program has ended."""

import signal
from multiprocessing import shared_memory

memory = shared_memory.SharedMemory(create=True, size=1 << 20)
print("ready", flush=True)
signal.pause()
