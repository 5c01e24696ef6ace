"""Two workers of multiprocessing, started by the method of that name; at SIGTERM they finish."""

import multiprocessing
import os
import signal
import sys


def finish(*_):
    os.write(1, b"done\n")
    os._exit(0)


def work(writer):
    signal.signal(signal.SIGTERM, finish)
    writer.send("ready")
    while True:
        signal.pause()


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    reader, writer = context.Pipe(duplex=False)
    for _ in range(2):
        context.Process(target=work, args=(writer,)).start()
        reader.recv()
    os.write(1, b"ready (pid: %d)\n" % os.getpid())
    while True:
        signal.pause()
