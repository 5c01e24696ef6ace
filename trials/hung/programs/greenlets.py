"""A greenlet that waits for an event that does not come."""

import signal

import gevent
from gevent.event import Event

signal.signal(signal.SIGTERM, lambda *_: None)
never = Event()


def work():
    while True:
        never.wait()


job = gevent.spawn(work)
gevent.spawn(gevent.sleep, 1000)  # otherwise gevent would notice that nothing can wake it
gevent.sleep(0)  # it begins
print("ready", flush=True)
job.join()
