#!python
"""The `pyinit-rehearse` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the directory of this script: what lies there is no module of ours

from pyinit.rehearse.cli import main

sys.exit(main())
