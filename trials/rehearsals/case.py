"""What is rehearsed, and what is to be said of it."""

from dataclasses import dataclass
from pathlib import Path

from pyinit.rehearse.model import GRACEFUL

SOURCES = Path(__file__).parent / "programs"
READY = ("--ready-when", "ready")
ON_PORT = ("--ready-port", "PORT")
CLIENT = ("--load", "PYTHON -IS SOURCES/client.py PORT")


@dataclass(frozen=True)
class Case:
    """A program, how it is stopped, and what is to be said of that.

    In its words PYTHON is the interpreter with the packages, SOURCES and HUNG are the folders with
    the programs of this trial and of `trials.hung`, FOLDER is an empty one, PORT a free TCP port,
    and PHP is php-fpm.

    Attributes:
        name: what it is, as the table has it.
        command: its words.
        verdict: the one that has to come.
        cause: a pattern for the cause that is to be told.
        advice: one for what is to be changed.
        leak: one for the kind and the name of something that outlives it.
        left: one for the name of a process that an init without a drain would have left to SIGKILL.
        options: for the rehearsal.
        grace: the grace period in seconds.
        configuration: a file with such words in it, which is copied to FOLDER.
    """

    name: str
    command: tuple[str, ...]
    verdict: str = GRACEFUL
    cause: str = ""
    advice: str = ""
    leak: str = ""
    left: str = ""
    options: tuple[str, ...] = READY
    grace: float = 3
    configuration: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing to be found."""
        return self.verdict == GRACEFUL and not self.left
