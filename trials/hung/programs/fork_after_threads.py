"""A fork while another thread holds a lock, which no thread of the child can release."""

import os
import signal
import threading

signal.signal(signal.SIGTERM, lambda *_: None)
lock = threading.Lock()
is_held = threading.Event()


def hold():
    with lock:
        is_held.set()
        threading.Event().wait()


threading.Thread(target=hold, daemon=True).start()
is_held.wait()
child = os.fork()
if not child:
    print("ready", flush=True)
    lock.acquire()  # HERE
os.waitpid(child, 0)
