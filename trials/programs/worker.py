"""``worker.py PORT [minds]``: a job in hand, which goes on when the trial says so.

With ``minds`` it finishes its work when it gets SIGTERM, as a good service does; without, it dies.
"""

import signal
import socket
import sys


def work(port: int) -> None:
    """Tell the trial that the work has begun, wait for its word, and tell that it is finished."""
    with socket.create_connection(("127.0.0.1", port)) as trial:
        trial.recv(1)
        trial.sendall(b"finished\n")


if __name__ == "__main__":
    if "minds" in sys.argv:
        signal.signal(signal.SIGTERM, lambda *_: None)  # the one piece of work is its last anyway
    work(int(sys.argv[1]))
