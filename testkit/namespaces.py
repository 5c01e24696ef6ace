"""How a command gets into namespaces of its own, or into those of another process."""

import os

ROOT = os.geteuid() == 0

# Without root a user namespace gives the right to make a PID namespace, where the kernel lets it.
USER = () if ROOT else ("--user", "--map-root-user")
UNSHARE = ("unshare", *USER, "--pid", "--fork", "--mount-proc")
UNSHARE_TIED = (*UNSHARE, "--kill-child")  # all of it is gone when unshare is killed
ENTER = ("nsenter", *(() if ROOT else ("--user", "--preserve-credentials")), "--pid", "--mount")

# For setpriv: to another user, who may still read an interpreter that is in root's own home.
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
