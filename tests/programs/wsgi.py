"""A WSGI application and the configuration of the gunicorn that serves it.

With a query string an answer takes until the FIFO of that name was written.
"""

import os

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
        os.write(1, b"request came\n")
        with open(gate) as fifo:
            fifo.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from gunicorn\n"]
