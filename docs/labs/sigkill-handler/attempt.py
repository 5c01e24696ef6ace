"""What attempt.c does, in Python."""

import errno
import signal


def result_of(call, *arguments):
    """Return `done`, or the name of the errno with which the call fails."""
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def attempt(signum):
    """Print a line of the table."""
    handlers = (lambda *_: None, signal.SIG_IGN, signal.SIG_DFL)
    results = [result_of(signal.signal, signum, handler) for handler in handlers]
    blocking = result_of(signal.pthread_sigmask, signal.SIG_BLOCK, [signum])
    blocked = "yes" if signum in signal.pthread_sigmask(signal.SIG_BLOCK, []) else "no"
    print("{:8}  {:7}  {:7}  {:7}  {:9}  {}".format(signum.name, *results, blocking, blocked))


print("in Python handler  SIG_IGN  SIG_DFL  SIG_BLOCK  blocked now")
for signum in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
    attempt(signum)
