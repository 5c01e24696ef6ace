"""``worker.py PORT [minds|serves]``: a job in hand, which goes on when the trial says so.

A plain one dies of SIGTERM. With ``minds`` it finishes its work and ends, whether there was a
SIGTERM or not. With ``serves`` it finishes its work and ends only when it is asked to.
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
    port, kind = sys.argv[1], sys.argv[2:]
    if kind:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    work(int(port))
    if kind == ["serves"]:
        signal.sigwait({signal.SIGTERM})
