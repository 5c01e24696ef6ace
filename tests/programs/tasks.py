"""A task for Celery, which begins when the worker is ready and takes until a FIFO is closed.

The FIFO is named by the variable GATE.
"""

import os

from celery import Celery
from celery.signals import worker_ready
from celery.worker.request import Request

app = Celery("tasks")


class ToldRequest(Request):
    """A request that tells when the main process knows that the pool works on it."""

    def on_accepted(self, pid, time_accepted):
        """Tell, when all is done that has to be."""
        super().on_accepted(pid, time_accepted)
        os.write(1, b"the pool has the task\n")


@app.task(Request=ToldRequest)
def read_gate():
    """Wait until the other end is closed."""
    with open(os.environ["GATE"]) as fifo:
        fifo.read()


@worker_ready.connect
def begin(**_):
    """Ask for the task to be done."""
    read_gate.delay()
