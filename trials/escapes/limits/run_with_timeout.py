"""``subprocess.run(timeout=...)``: the common way in Python. SECONDS GRACE COMMAND..."""

import contextlib
import subprocess
import sys

with contextlib.suppress(subprocess.TimeoutExpired):
    subprocess.run(sys.argv[3:], check=False, timeout=float(sys.argv[1]))
