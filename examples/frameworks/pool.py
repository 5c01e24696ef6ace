"""A program with a pool of processes, as DataLoader has one: `pool.py [handler]`.

Each worker has a handler for SIGTERM, and finishes the item that it has in hand.
"""

import multiprocessing
import signal
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from multiprocessing.synchronize import Barrier

ITEMS = 1000
WORKERS = 2


class Worker:
    """What a worker keeps: whether SIGTERM has come, and what the workers meet at."""

    is_asked = False
    meeting: Barrier


def begin(barrier: Barrier) -> None:
    """Have a worker note that SIGTERM came, and go on."""
    Worker.meeting = barrier
    signal.signal(signal.SIGTERM, lambda *_: setattr(Worker, "is_asked", True))


def work(number: int) -> None:
    """Take a second for an item, and exit after it if SIGTERM came.

    The first items take until then, so that each worker has one in hand when it comes.
    """
    is_first = number < WORKERS
    if is_first:
        Worker.meeting.wait()  # until each worker has an item
    if number == 0:
        print("ready", flush=True)
    end = time.monotonic() + 1
    while time.monotonic() < end or (is_first and not Worker.is_asked):
        time.sleep(0.01)
    if Worker.is_asked:
        print("item: done", flush=True)
        raise SystemExit


def main() -> None:
    """Have the workers do the items; with `handler`, SIGTERM raises SystemExit here."""
    memory = SharedMemory(create=True, size=1 << 20)
    try:
        barrier = multiprocessing.Barrier(WORKERS)
        with multiprocessing.Pool(WORKERS, begin, (barrier,)) as pool:
            if "handler" in sys.argv:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            pool.map(work, range(ITEMS), chunksize=1)
    finally:
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
