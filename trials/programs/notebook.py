"""``notebook.py SERVER_PORT FOLDER FILE PORT``: make a new kernel of a server run a file."""

import http.client
import json
import sys

from jupyter_client.blocking.client import BlockingKernelClient


def main() -> None:
    """Start a kernel through the server, and talk to it through its connection file."""
    server, folder, file, port = sys.argv[1:]
    connection = http.client.HTTPConnection("127.0.0.1", int(server))
    connection.request("POST", "/api/kernels")
    kernel = json.load(connection.getresponse())["id"]
    client = BlockingKernelClient(connection_file=f"{folder}/kernel-{kernel}.json")
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready()
    client.execute_interactive(f"%run {file} {port}")


if __name__ == "__main__":
    main()
