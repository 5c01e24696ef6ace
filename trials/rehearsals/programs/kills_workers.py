"""A master that kills its workers instead of asking them to exit."""

import multiprocessing
import signal
import sys
import threading


def work():
    threading.Event().wait()


def stop(*_):
    for worker in workers:
        worker.kill()
        worker.join()
    sys.exit(0)


context = multiprocessing.get_context("fork")
workers = [context.Process(target=work, name=f"worker {number}") for number in range(2)]
for worker in workers:
    worker.start()
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
