"""A server whose socket file is there until somebody removes it: unix_socket.py PATH."""

import signal
import socket
import sys

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
signal.pause()
