"""The worker: takes one job after another from the queue, until SIGTERM comes.

It checks for SIGTERM only between two jobs, so the current job is always finished.
"""

import signal
import time

import jobs

LOOK_SECONDS = 0.2  # how soon a new job is found

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
queue = jobs.connect()
print("worker is ready", flush=True)
wait = 0.0
while signal.sigtimedwait([signal.SIGTERM], wait) is None:
    job = jobs.take(queue)
    if job is None:
        wait = LOOK_SECONDS
        continue
    number, seconds = job
    print(f"job {number} began", flush=True)
    time.sleep(seconds)  # here it would work
    jobs.finish(queue, number)
    print(f"job {number} is done", flush=True)
    wait = 0.0
