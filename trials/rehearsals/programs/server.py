"""A web server: server.py PORT SECONDS leaves|finishes.

A page takes so many seconds. At SIGTERM it leaves at once, or finishes what it has begun.
"""

import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, seconds, how = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        threading.Event().wait(seconds)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"finished\n")


class Server(ThreadingHTTPServer):
    daemon_threads = how == "leaves"  # the others are joined by server_close()


def stop(*_):
    if how == "leaves":
        sys.exit(0)
    threading.Thread(target=server.shutdown).start()


with Server(("127.0.0.1", port), Handler) as server:
    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()
