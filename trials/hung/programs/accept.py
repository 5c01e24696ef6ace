"""A server in a loop around accept(), with a handler that only sets a flag."""

import signal
import socket

stopping = False


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
listener = socket.create_server(("127.0.0.1", 7433))
while not stopping:
    print("ready", flush=True)
    listener.accept()  # HERE
