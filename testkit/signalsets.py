"""Sets of signals."""

import signal

# Those that can be blocked, passed on and told apart: not KILL and STOP, which nobody can block,
# not CHLD, which is init's own, not 32 and 33, which the C library keeps for its threads.
FORWARDED = sorted(set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33})


def signal_set(mask: str) -> set[int]:
    """Return the signals in a bitmap such as SigIgn of /proc/PID/status."""
    return {bit + 1 for bit in range(64) if int(mask, 16) >> bit & 1}
