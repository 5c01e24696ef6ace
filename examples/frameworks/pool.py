"""A program with a pool of processes, as DataLoader has one: `pool.py [handler]`.

Each worker has a handler for SIGTERM, and finishes the item that it has in hand.
"""

import multiprocessing
import signal
import sys
import time
from multiprocessing.shared_memory import SharedMemory

ITEMS = 1000


class Asked:
    """Whether SIGTERM has come."""

    yes = False


def begin() -> None:
    """Have a worker note that SIGTERM came, and go on."""
    signal.signal(signal.SIGTERM, lambda *_: setattr(Asked, "yes", True))


def work(number: int) -> None:
    """Take a second for an item, and exit after it if SIGTERM came."""
    if number == 0:
        print("ready", flush=True)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        time.sleep(0.01)
    if Asked.yes:
        print("item: done", flush=True)
        raise SystemExit


def main() -> None:
    """Have the workers do the items; with `handler`, SIGTERM raises SystemExit here."""
    memory = SharedMemory(create=True, size=1 << 20)
    try:
        with multiprocessing.Pool(2, begin) as pool:
            if "handler" in sys.argv:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            pool.map(work, range(ITEMS), chunksize=1)
    finally:
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
