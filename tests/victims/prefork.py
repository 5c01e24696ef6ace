"""A master and two workers, each with a job that takes until the master says that it may end.

The master names each SIGTERM; at SIGWINCH it lets the workers finish, and ends. A worker that gets
SIGTERM abandons its job, as one does that has left that signal alone.
"""

import os
import sys

import _signal

SIGNALS = {_signal.SIGTERM, _signal.SIGWINCH}  # of two that are pending SIGTERM comes first


def say(line):
    os.write(1, f"{line}\n".encode())


def work(number):
    """Do the job of one worker."""
    got = _signal.sigwait(SIGNALS)
    say(f"worker {number} {'abandoned' if got == _signal.SIGTERM else 'finished'} its job")
    os._exit(0)


_signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
workers = []
for number in (1, 2):
    worker = os.fork()
    if not worker:
        work(number)
    workers.append(worker)
sys.stdout.write(f"ready (pid: {os.getpid()})\n")
sys.stdout.flush()
while _signal.sigwait(SIGNALS) == _signal.SIGTERM:
    say("master got SIGTERM")
for worker in workers:
    os.kill(worker, _signal.SIGWINCH)
    os.waitpid(worker, 0)
say("master ended")
