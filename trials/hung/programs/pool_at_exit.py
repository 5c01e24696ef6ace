"""A pool of processes that is joined after SIGTERM, while its worker does not finish."""

import concurrent.futures
import multiprocessing
import signal
import sys
import threading


def task():
    print("ready", flush=True)
    threading.Event().wait()  # HERE


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=fork) as pool:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        pool.submit(task).result()
