"""A server whose socket file stays until it is removed: unix_socket.py PATH."""

import signal
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
signal.pause()
