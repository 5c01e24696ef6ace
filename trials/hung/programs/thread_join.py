"""The main thread waits for another one, which waits for ever."""

import queue
import signal
import threading

signal.signal(signal.SIGTERM, lambda *_: None)


def consume():
    queue.SimpleQueue().get()  # HERE


consumer = threading.Thread(target=consume)
consumer.start()
print("ready", flush=True)
consumer.join()
