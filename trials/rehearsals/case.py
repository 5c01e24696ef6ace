"""A stop to rehearse, and the expected report."""

from dataclasses import dataclass
from pathlib import Path

from pyinit.rehearse.model import GRACEFUL

SOURCES = Path(__file__).parent / "programs"
READY = ("--ready-when", "ready")
ON_PORT = ("--ready-port", "PORT")
CLIENT = ("--load", "PYTHON -IS SOURCES/client.py PORT")


@dataclass(frozen=True)
class Case:
    """A program, how it is stopped, and what the report must say.

    In its words, PYTHON is the interpreter with the packages, SOURCES and HUNG are the folders with
    the programs of this trial and of `trials.hung`, FRAMEWORKS is examples/frameworks, NOTEBOOK has
    a Jupyter server run a file, FOLDER is an empty folder, PORT a free TCP port, PHP is php-fpm.

    Attributes:
        name: its name in the table.
        command: its words.
        verdict: the expected verdict.
        cause: a pattern for the cause.
        advice: a pattern for one of the pieces of advice.
        leak: a pattern for the kind and the name of something that is left behind.
        left: a pattern for the name of a process that an init without a drain leaves to SIGKILL.
        options: options of the rehearsal.
        grace: the grace period in seconds.
        configuration: a file that is copied to FOLDER, with the same words replaced.
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
        """Whether there is no fault."""
        return self.verdict == GRACEFUL and not self.left
