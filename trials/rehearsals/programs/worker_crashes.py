"""A master whose worker crashes when it exits, for example in a destructor of a library."""

import multiprocessing
import os
import signal
import sys


def work():
    signal.signal(signal.SIGTERM, lambda *_: os.abort())
    print("ready", flush=True)
    signal.pause()


def stop(*_):
    worker.terminate()
    worker.join()
    sys.exit(0)


worker = multiprocessing.get_context("fork").Process(target=work)
signal.signal(signal.SIGTERM, stop)
worker.start()
while True:
    signal.pause()
