"""A queue that gets nothing, in a function."""

import queue
import signal

signal.signal(signal.SIGTERM, lambda *_: None)
jobs = queue.Queue()


def work():
    while True:
        jobs.get()()  # HERE


print("ready", flush=True)
work()
