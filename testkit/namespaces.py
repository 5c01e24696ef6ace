"""Prefixes that run a command in namespaces of its own, or in those of another process."""

import os

ROOT = os.geteuid() == 0

# Without root, a user namespace gives the right to make a PID namespace, if the kernel permits it.
USER = () if ROOT else ("--user", "--map-root-user")
UNSHARE = ("unshare", *USER, "--pid", "--fork", "--mount-proc")
UNSHARE_TIED = (*UNSHARE, "--kill-child")  # everything in it is killed with unshare
ENTER = ("nsenter", *(() if ROOT else ("--user", "--preserve-credentials")), "--pid", "--mount")

# For setpriv: another user, who can still read an interpreter in root's home directory.
MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
