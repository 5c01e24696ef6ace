"""What is measured: inits, and what stands for the least that Python can do."""

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
# An interpreter that has nothing to do, seen while it waits; it tells eight bytes, as inside.c.
WAITING = "import posix; posix.write(1, bytes(8)); posix.read(0, 1)"
# From a file, as pyinit is: an interpreter looks at the folder of its script before it runs it.
BOOT = "import posix\n\nposix.fork()\n"

PEERS = ("tini", "dumb-init", "catatonit")
INIT, OPTIONS, FLOORS, BARE = "init", "options", "floor", "bare"

MEANING = {
    names.PYINIT: "as `pip install` has it",
    names.LAUNCHER: "as `pyinit-launcher PATH` writes it",
    names.OPTIONS: "the same with `-d 10 -g`",
    "floor": "`python3 -IS -c`: fork, exec and wait, in builtins; it forwards nothing",
    "floor-site": "the same with `python3 -I -c`, which imports `site`",
    "bare": "`python3 -IS -c pass`: all of its life, as it runs nothing",
    "bare-site": "`python3 -I -c pass`",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Init:
    """Something to run as PID 1.

    Attributes:
        name: what the tables call it.
        command: what comes before the workload's own command.
        kind: whether it is an init, an init with options (which matter until the workload begins),
            a floor (it runs a workload) or bare (it runs nothing).
        verbose: the command that has it log its start, if there is one.
        waiting: the command that has it wait for the end of stdin, if it runs no workload.
        boot: the same interpreter with nothing to do but fork, if it is an init in Python.
    """

    name: str
    command: tuple[str, ...]
    kind: str = INIT
    verbose: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    boot: tuple[str, ...] = ()


def all_inits(scratch: Path, beside: Interpreter | None = None) -> list[Init]:
    """Return all that can be measured here, in the order of the tables."""
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
        # What is written names the interpreter behind the environment, and these options.
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
        message = f"{name} is not installed; make bench installs it"
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
