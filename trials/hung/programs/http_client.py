"""A web server that accepts and never answers, asked through the standard library."""

import signal
import socket
import urllib.request

signal.signal(signal.SIGTERM, lambda *_: None)
listener = socket.create_server(("::1", 7480), family=socket.AF_INET6)
print("ready", flush=True)


def fetch(url):
    return urllib.request.urlopen(url).read()  # HERE


fetch("http://[::1]:7480/")
