"""Be an editor: on SIGTERM reset the terminal, which stops a process in the background.

Usage: editor.py [hup]

With `hup` it does so on SIGHUP as well, as vim does; without, SIGHUP kills it.
"""

import os
import signal
import sys
import termios

ends = {signal.SIGTERM, *([signal.SIGHUP] if sys.argv[1:] == ["hup"] else [])}
before = termios.tcgetattr(0)
signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # and not a handler, which may miss the wait
sys.stdout.write("editing\n")
sys.stdout.flush()
signal.sigwait(ends)
if sys.argv[1:] == ["hup"]:  # as vim does when it is continued: for keys, without lines or echo
    before[3] &= ~(termios.ICANON | termios.ECHO)
termios.tcsetattr(0, termios.TCSADRAIN, before)
os._exit(0)
