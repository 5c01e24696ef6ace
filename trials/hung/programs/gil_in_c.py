"""A C function that keeps the GIL and waits for a mutex, so that no handler of Python can run."""

import ctypes
import signal

signal.signal(signal.SIGTERM, lambda *_: None)
library = ctypes.PyDLL(None)
mutex = ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
print("ready", flush=True)
library.pthread_mutex_lock(mutex)  # HERE
