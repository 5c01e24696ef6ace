"""A parent that waits for its pool, while the workers wait for work."""

import multiprocessing
import signal
import sys
import threading


def work(_):
    print("ready", flush=True)
    threading.Event().wait()


pool = multiprocessing.get_context("fork").Pool(1)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    pool.map(work, [0])
finally:
    pool.close()
    pool.join()
