"""Sets of signals."""

import signal

from testkit.programs import PYTHON

OF_C_LIBRARY = set(range(32, signal.SIGRTMIN))  # it uses them for its threads; musl also uses 34

# Signals that can be blocked, forwarded and told apart: without KILL and STOP, which cannot be
# blocked, and CHLD, which is for the init itself.
FORWARDED = sorted(
    set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD} - OF_C_LIBRARY
)


# Blocks all signals, makes some pending, and execs the command that follows.
PENDING = """
import _signal, os, sys
_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
for number in sys.argv[1].split(","):
    os.kill(os.getpid(), int(number))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def pending(*numbers: int) -> list[str]:
    """Return a prefix that runs a command with these signals pending and all signals blocked."""
    return [*PYTHON, "-c", PENDING, ",".join(str(int(number)) for number in numbers)]


def signal_set(mask: str) -> set[int]:
    """Return the signals in a bitmap such as SigIgn of /proc/PID/status."""
    return {bit + 1 for bit in range(64) if int(mask, 16) >> bit & 1}
