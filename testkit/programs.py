"""Programs to run: victims, in Python and in C, and installed ones."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

PYINIT = os.path.join(sysconfig.get_path("scripts"), "pyinit")
REHEARSE = os.path.join(sysconfig.get_path("scripts"), "pyinit-rehearse")
PYTHON = (sys.executable, "-IS")
INSTALLED = (sys.executable, "-P", "-c")  # runs lines that import the installed pyinit
ROOT_DIRECTORY = Path(__file__).parent.parent
VICTIMS = ROOT_DIRECTORY / "tests" / "victims"


def victim(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a program of `tests/victims`."""
    return [*PYTHON, str(VICTIMS / f"{name}.py"), *map(str, arguments)]


def run_module(name: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the module of a target of the Makefile, such as `trials.soak`."""
    return subprocess.run(
        [sys.executable, "-m", name, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT_DIRECTORY,
        env={**os.environ, **variables},
    )


def filled(words: Iterable[str], places: Mapping[str, str]) -> list[str]:
    """Return words in which names such as FOLDER are replaced by their values."""
    pattern = re.compile("|".join(places))
    return [pattern.sub(lambda found: places[found[0]], word) for word in words]


def compile_c(source: Path, folder: Path, *options: str) -> Path:
    """Compile a program in C into a folder and return its path."""
    program = folder / source.stem
    gcc = ("gcc", "-O2", "-Wall", *options)
    subprocess.run([*gcc, "-o", program, source], check=True)
    return program


def tool(name: str) -> str:
    """Return the path of a program, also from /usr/sbin."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert found, f"{name} is not installed; make test installs it"
    return found
