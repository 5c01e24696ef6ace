"""Ask for a page, and fail unless all of it comes: client.py PORT|SOCKET."""

import socket
import sys

address = sys.argv[1]
if address.isdigit():
    server = socket.create_connection(("127.0.0.1", int(address)))
else:
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
server.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
answer = b"".join(iter(lambda: server.recv(4096), b""))
sys.exit(0 if answer.endswith(b"finished\n") else f"not the whole answer: {answer!r}")
