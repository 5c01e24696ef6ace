"""``dask_client.py SCHEDULER_PORT PORT``: submit the work as a task, print its result."""

import sys

from distributed import Client


def work(port: int) -> str:
    """Return when the trial says so; this function is all that the worker gets of this file."""
    import socket

    with socket.create_connection(("127.0.0.1", port)) as trial:
        trial.recv(1)
    return "finished"


if __name__ == "__main__":
    with Client(f"tcp://127.0.0.1:{sys.argv[1]}") as client:
        print(client.submit(work, int(sys.argv[2])).result())
