"""A handler stops a server and waits until it has stopped, in the thread that serves."""

import http.server
import signal

server = http.server.ThreadingHTTPServer(("127.0.0.1", 7434), http.server.BaseHTTPRequestHandler)


def stop(*_):
    server.shutdown()  # HERE


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
server.serve_forever()
