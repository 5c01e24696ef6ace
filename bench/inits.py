"""What is measured: the inits, and references that show the least that Python can cost."""

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

from bench import interpreters, names
from bench.errors import BenchError
from bench.interpreters import Interpreter

# The least that an init in Python could do: fork, exec and wait, in builtins.
FLOOR = """
import posix, sys
child = posix.fork()
if child == 0:
    posix.execv(sys.argv[1], sys.argv[1:])
while (dead := posix.waitpid(-1, 0))[0] != child:
    pass
posix._exit(posix.waitstatus_to_exitcode(dead[1]))
"""
# An interpreter that does nothing but wait. It writes eight bytes first, as inside.c does.
WAITING = "import posix; posix.write(1, bytes(8)); posix.read(0, 1)"
# In a file, as pyinit is: Python looks at the folder of a script before it runs the script.
BOOT = "import posix\n\nposix.fork()\n"

PEERS = ("tini", "dumb-init", "catatonit")
INIT, OPTIONS, FLOORS, BARE = "init", "options", "floor", "bare"

MEANING = {
    names.PYINIT: "pyinit as `pip install` installs it",
    names.LAUNCHER: "pyinit as the command `pyinit-launcher PATH` writes it",
    names.OPTIONS: "the same with `-d 10 -g`",
    "floor": "the least that an init in Python can do: `python3 -IS -c` with fork, exec and wait; "
    "it forwards nothing",
    "floor-site": "as `floor`, but with `python3 -I -c`, which imports `site`",
    "bare": "a Python that runs nothing: `python3 -IS -c pass`, from its start to its end",
    "bare-site": "as `bare`, but with `python3 -I -c pass`",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Init:
    """A program to run as PID 1.

    Attributes:
        name: its name in the tables.
        command: the words before the command of the workload.
        kind: an init, an init with options (they only matter until the workload starts),
            a floor (a reference that runs a workload) or bare (a reference that runs nothing).
        verbose: the command with which it logs its start, if it can.
        waiting: the command with which it waits for the end of stdin, if it runs no workload.
        boot: the same interpreter with a script that only forks, if the init is in Python.
    """

    name: str
    command: tuple[str, ...]
    kind: str = INIT
    verbose: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    boot: tuple[str, ...] = ()


def all_inits(scratch: Path, beside: Interpreter | None = None) -> list[Init]:
    """Return everything that is measured, in the order of the tables."""
    first = interpreters.own()
    found = [*_pyinits(scratch, first), *_peers(), *_references(first)]
    if beside:
        found += [*_pyinits(scratch, beside), *_references(beside)]
    return found


def _pyinits(scratch: Path, python: Interpreter) -> list[Init]:
    boot = scratch / "boot.py"
    boot.write_text(BOOT)
    installed = (python.scripts / "pyinit", (python.program, "-I", str(boot)))
    found = [_pyinit(names.labelled(names.PYINIT, python.label), *installed)]
    writer = python.scripts / "pyinit-launcher"
    if writer.exists():
        path = scratch / f"pyinit{python.label}"
        subprocess.run((writer, path), check=True, stdout=subprocess.DEVNULL)
        # The written command has the interpreter that the environment links to, and these options.
        written = (path, (os.path.realpath(python.program), "-ISXutf8", str(boot)))
        launcher = _pyinit(names.labelled(names.LAUNCHER, python.label), *written)
        name = names.labelled(names.OPTIONS, python.label)
        command = (str(path), "-d", "10", "-g", "--")
        found += [launcher, Init(name, command, OPTIONS, boot=launcher.boot)]
    return found


def _pyinit(name: str, path: Path, boot: tuple[str, ...]) -> Init:
    return Init(name, (str(path), "--"), verbose=(str(path), "-v", "--"), boot=boot)


def _peers() -> list[Init]:
    return [Init(name, (_path(name), "--")) for name in PEERS]


def _path(name: str) -> str:
    found = shutil.which(name)
    if not found:
        message = f"{name} is not installed; as root, make bench installs it"
        raise BenchError(message)
    return found


def _references(python: Interpreter) -> list[Init]:
    found = []
    for suffix, options in (("", "-IS"), ("-site", "-I")):
        floor, bare = (names.labelled(f"{name}{suffix}", python.label) for name in (FLOORS, BARE))
        words = (python.program, options, "-c")
        found += [
            Init(floor, (*words, FLOOR), FLOORS),
            Init(bare, (*words, "pass"), BARE, waiting=(*words, WAITING)),
        ]
    return found
