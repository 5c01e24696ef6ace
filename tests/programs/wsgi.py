"""A WSGI application, for gunicorn with this as its configuration as well, and for uWSGI.

With a query string an answer takes until the other end of the FIFO of that name is closed.
"""

import os

accesslog = "-"
chdir = os.path.dirname(__file__)
control_socket_disable = True
workers = 2
wsgi_app = "wsgi:application"


def post_worker_init(worker):
    """Tell that a worker is ready; "Booting worker" is written before it handles signals."""
    worker.log.info("worker %d is ready", worker.pid)


def application(environ, start_response):
    """Say hello."""
    gate = environ["QUERY_STRING"]
    if gate:
        with open(gate) as fifo:
            fifo.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from Python\n"]
