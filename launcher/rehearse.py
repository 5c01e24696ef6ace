#!python
"""The `pyinit-rehearse` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the directory of this script, which has no module of pyinit

from pyinit.rehearse.cli import main

sys.exit(main())
