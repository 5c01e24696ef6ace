"""A job that starts two helpers in sessions of their own and ends before them.

A helper that is asked to stop by SIGTERM finishes its work, which takes until stdin is at its end.
"""

import os

import _signal


def help_out(number):
    """Do the work of one helper."""
    os.setsid()
    os.write(begun, b".")
    _signal.sigwait({_signal.SIGTERM})
    os.write(1, f"helper {number} was asked to stop\n".encode())
    os.read(0, 1)
    os.write(1, f"helper {number} finished its work\n".encode())
    os._exit(0)


_signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTERM})
started, begun = os.pipe()
for number in (1, 2):
    if not os.fork():
        help_out(number)
    os.read(started, 1)
os.write(1, b"the job is done\n")
os._exit(3)
