"""POSIX shared memory, unregistered from the tracker that would have removed it, as is often advised."""

import signal
from multiprocessing import resource_tracker, shared_memory

memory = shared_memory.SharedMemory(create=True, size=1 << 20)
resource_tracker.unregister(memory._name, "shared_memory")
print("ready", flush=True)
signal.pause()
