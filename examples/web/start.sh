#!/bin/sh
# Two programs in one container, the worker beside the server.
#
# `exec` makes the server the child of pyinit: it gets SIGTERM first and finishes its requests, and
# its exit code is the container's. When it has exited, pyinit sends SIGTERM to the worker and
# waits: the job in hand is finished, too.
set -eu
python3 worker.py &
exec gunicorn --bind 0.0.0.0:8000 --threads 4 --graceful-timeout 15 app:app
