"""A worker of Celery with a task; its broker is a folder: celery_task.py FOLDER [SECONDS].

Without a number of seconds the task does not end.
"""

import sys
import threading

from celery import Celery
from celery.signals import worker_ready

folder = sys.argv[1]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder,
    "data_folder_out": folder,
    "control_folder": f"{folder}/control",
}


@app.task
def work():
    print("ready", file=sys.__stdout__, flush=True)
    threading.Event().wait(*map(float, sys.argv[2:]))  # HERE


@worker_ready.connect
def begin(**_):
    work.delay()


if __name__ == "__main__":
    quiet = ["--without-gossip", "--without-mingle", "--loglevel=ERROR"]
    app.worker_main(["worker", "--pool=prefork", "--concurrency=1", *quiet])
