"""Be an editor: on SIGTERM set the terminal to rights, which stops who is in the background."""

import os
import signal
import sys
import termios


def leave(*_: object) -> None:
    """Give the terminal back as it was, and go."""
    termios.tcsetattr(0, termios.TCSADRAIN, before)
    os._exit(0)


before = termios.tcgetattr(0)
signal.signal(signal.SIGTERM, leave)
sys.stdout.write("editing\n")
sys.stdout.flush()
while True:
    signal.pause()
