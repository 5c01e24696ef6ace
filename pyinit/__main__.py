"""``python -m pyinit``: to try pyinit out; the installed command blocks signals earlier."""

from pyinit import signals

inherited_mask = signals.block_all()  # first: until this has run, PID 1 loses every signal

import sys

from pyinit.init import main

if not sys.flags.safe_path:
    del sys.path[0]  # the working directory, whose files must not shadow modules loaded later
main(inherited_mask)
