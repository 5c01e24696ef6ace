"""A function in C that keeps the GIL and waits for a mutex; a handler of Python's cannot run."""

import ctypes
import signal

signal.signal(signal.SIGTERM, lambda *_: None)
library = ctypes.PyDLL(None)
mutex = ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
print("ready", flush=True)
library.pthread_mutex_lock(mutex)  # HERE
