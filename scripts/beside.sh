#!/bin/sh
# Print the interpreter of the system, which `make bench` measures as well; nothing if it is PYTHON
# itself, or cannot run pyinit. Usage: beside.sh PYTHON
set -eu

other=/usr/bin/python3
home() { "$1" -IS -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null; }

if [ -x "$other" ] && [ "$(home "$1")" != "$(home "$other")" ] &&
    "$other" -IS -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$other"
fi
