"""The description of a program that does not stop."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testkit.programs import filled
from testkit.running import Run

SOURCES = Path(__file__).parent / "programs"
MARK = "# HERE"


def nothing(_run: Run, _folder: Path) -> None:
    """Do nothing."""


def no_trouble(_run: Run, _folder: Path) -> contextlib.AbstractContextManager[None]:
    """Do nothing to it."""
    return contextlib.nullcontext()


@dataclass(frozen=True)
class Program:
    """A program, and what pyinit must say about it.

    Attributes:
        name: its name in the table.
        command: its words, in which PYTHON, OWN (the interpreter with the packages), SOURCES and
            FOLDER are replaced.
        cause: a pattern for the expected reason.
        source: for Python, its file; a mark stands at the line that the reason must name.
        waits: a pattern for what the child, or a process below it, waits for.
        begin: called before it says that it is ready, to make it begin.
        during: what happens to it from then on to its end.
        is_talking: whether its stdin is a pipe instead of empty.
        needs: files without which it is not tried.
    """

    name: str
    command: tuple[str, ...]
    cause: str
    source: str = ""
    waits: str = ""
    begin: Callable[[Run, Path], None] = nothing
    during: Callable[[Run, Path], contextlib.AbstractContextManager[None]] = no_trouble
    is_talking: bool = False
    needs: tuple[str, ...] = ()

    def words(self, python: str, folder: Path) -> list[str]:
        """Return the command."""
        places = {"PYTHON": python, "OWN": sys.executable}
        return filled(self.command, places | {"SOURCES": str(SOURCES), "FOLDER": str(folder)})

    @property
    def lines(self) -> list[str]:
        """The lines of which the reason must name one, as `file:line`; empty without a source."""
        if not self.source:
            return []
        path = SOURCES / self.source
        lines = enumerate(path.read_text().splitlines(), 1)
        return [f"{path}:{number}" for number, line in lines if line.endswith(MARK)]
