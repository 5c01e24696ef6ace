"""An application for gunicorn whose page takes some seconds, as its path says."""

import os
import threading


def application(environ, start_response):
    threading.Event().wait(float(os.environ["SECONDS"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"finished\n"]
