"""Start a Docker daemon and one container that will not stop, say so, and wait to be interrupted.

For the namespaces of private.py, as what is to be cleaned up.
"""

import os
import signal
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))  # for testkit

import prepare
from engines import DOCKER, FILES, write_configuration

from testkit.programs import VICTIMS, compile_c

FILES.mkdir()
write_configuration()
prepare.start_daemon()
root = FILES / "root"
root.mkdir()
compile_c(VICTIMS / "helpers.c", root, "-static")
subprocess.run(["tar", "-cf", FILES / "root.tar", "-C", root, "."], check=True)
DOCKER.ask("import", FILES / "root.tar", "small")
command = ("run", "-i", "--network=none", "small", "/helpers", "3", "ignore")
container = DOCKER.open(*command, stdin=subprocess.PIPE)
prepare.say(container.stdout.readline().strip())
signal.pause()
