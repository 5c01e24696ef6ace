"""A pool of threads that is joined at exit, with a task that does not end."""

import concurrent.futures
import signal
import sys
import threading

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def task():
    threading.Event().wait()  # HERE


pool = concurrent.futures.ThreadPoolExecutor()
pool.submit(task)
print("ready", flush=True)
signal.pause()
