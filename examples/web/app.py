"""The server, for gunicorn.

GET  /?seconds=3      answers after three seconds
POST /jobs?seconds=3  adds a job of three seconds for the worker, answers with its number
GET  /jobs/1          answers `waiting`, `running` or `done`
"""

import time
from collections.abc import Iterator
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import jobs


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Answer a request."""
    seconds = float(parse_qs(environ["QUERY_STRING"]).get("seconds", ["0"])[0])
    path = environ["PATH_INFO"]
    if path == "/jobs" and environ["REQUEST_METHOD"] == "POST":
        status, text = "202 Accepted", str(jobs.add(seconds))
    elif path.startswith("/jobs/"):
        status, text = "200 OK", jobs.state(int(path.removeprefix("/jobs/")))
    else:
        print("request began", flush=True)
        time.sleep(seconds)
        status, text = "200 OK", "hello"
    start_response(status, [("Content-Type", "text/plain")])
    yield f"{text}\n".encode()
