"""A server that does not answer, and no time limit."""

import signal
import socket

signal.signal(signal.SIGTERM, lambda *_: None)
listener = socket.create_server(("127.0.0.1", 7432))
connection = socket.create_connection(("127.0.0.1", 7432))
print("ready", flush=True)
connection.recv(4096)  # HERE
