"""A Celery application with a task that takes time: `celery -A tasks worker`."""

import os
import time

from celery import Celery

app = Celery("tasks", broker=os.environ.get("BROKER", "redis://localhost:6379/0"))


@app.task
def work() -> None:
    """Say when the work begins, and when it is done."""
    print("task: began", flush=True)
    time.sleep(float(os.environ.get("SECONDS", "1.5")))
    print("task: done", flush=True)
