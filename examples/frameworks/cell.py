"""What a cell of a notebook runs: `%run cell.py SECONDS`."""

import sys
import time

time.sleep(float(sys.argv[1]))
