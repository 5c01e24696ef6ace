#!python
"""The `pyinit-rehearse` command."""

import sys

from pyinit.rehearse.cli import main

sys.exit(main())
