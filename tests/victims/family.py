"""A leader and a member of one process group, each naming the signals it gets.

SIGTERM ends them: the member at once, the leader when the member is gone.
"""

import os
import sys

import _signal

_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
started, begun = os.pipe()
member = os.fork()
role = "leader" if member else "member"
if member:
    os.read(started, 1)
    sys.stdout.write(f"ready (pid: {os.getpid()})\nmember {member}\n")
    sys.stdout.flush()
else:
    os.write(begun, b"1")
while True:
    got = _signal.sigwaitinfo(_signal.valid_signals() - {_signal.SIGCHLD}).si_signo
    os.write(1, f"{role} got {got}\n".encode())
    if got == _signal.SIGTERM:
        if member:
            os.kill(member, _signal.SIGUSR2)
            os.waitpid(member, 0)
        os._exit(0)
    if not member and got == _signal.SIGUSR2:
        os._exit(0)
