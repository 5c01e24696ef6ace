"""What a program that does not stop consists of."""

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
    """Leave it alone."""
    return contextlib.nullcontext()


@dataclass(frozen=True)
class Program:
    """A program, and what is to be said of it.

    Attributes:
        name: what it is, as the table has it.
        command: its words; PYTHON, OWN (the interpreter with the packages), SOURCES and FOLDER are
            replaced in them.
        cause: a pattern for the reason that is to be told.
        source: the file in which a mark is at the line that is to be named, where it is Python's.
        waits: a pattern for what the child is to wait for, or one below it.
        begin: what makes it begin, before it says that it is ready.
        during: what is done to it then, until its end.
        is_talking: whether its stdin is a pipe, and not empty.
        needs: files that it takes, without which it is not tried.
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
        """The lines of which one is to be named, as `file:line`; none where it is not Python's."""
        if not self.source:
            return []
        path = SOURCES / self.source
        lines = enumerate(path.read_text().splitlines(), 1)
        return [f"{path}:{number}" for number, line in lines if line.endswith(MARK)]
