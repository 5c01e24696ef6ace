"""A parent that asks its processes to end, and waits for them."""

import multiprocessing
import signal
import sys


def work(jobs):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent decides
    while jobs.get():
        pass


def stop(*_):
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()
    sys.exit(0)


if __name__ == "__main__":
    jobs = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(jobs,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGTERM, stop)
    print("ready", flush=True)
    signal.pause()
