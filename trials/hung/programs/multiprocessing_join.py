"""A process waits for its child, which got no signal."""

import multiprocessing
import signal
import time


def work():
    print("ready", flush=True)
    while True:
        time.sleep(600)  # HERE


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join()
