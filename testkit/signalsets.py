"""Sets of signals."""

import signal

from testkit.programs import PYTHON

OF_C_LIBRARY = set(range(32, signal.SIGRTMIN))  # it keeps them for its threads; musl has 34, too

# Those that can be blocked, passed on and told apart: not KILL and STOP, which nobody can block,
# nor CHLD, which is init's own.
FORWARDED = sorted(
    set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD} - OF_C_LIBRARY
)


# Blocks all and has some pending, then becomes the command that follows.
PENDING = """
import _signal, os, sys
_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
for number in sys.argv[1].split(","):
    os.kill(os.getpid(), int(number))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def pending(*numbers: int) -> list[str]:
    """Return the command that runs another one with these signals pending and all blocked."""
    return [*PYTHON, "-c", PENDING, ",".join(str(int(number)) for number in numbers)]


def signal_set(mask: str) -> set[int]:
    """Return the signals in a bitmap such as SigIgn of /proc/PID/status."""
    return {bit + 1 for bit in range(64) if int(mask, 16) >> bit & 1}
