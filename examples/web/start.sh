#!/bin/sh
# Two programs in one container, the worker beside the server.
#
# `exec` makes the server the child of pyinit: it gets SIGTERM first and finishes its requests, and
# its exit code is that of the container. When it has exited, pyinit sends SIGTERM to the worker and
# waits, so the current job is finished as well.
set -eu
python3 worker.py &
exec gunicorn --bind 0.0.0.0:8000 --threads 4 --graceful-timeout 15 app:app
