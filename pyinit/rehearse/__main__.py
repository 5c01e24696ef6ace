"""``python -m pyinit.rehearse``, the same as ``pyinit-rehearse``."""

import sys

from pyinit.rehearse.cli import main

sys.exit(main())
