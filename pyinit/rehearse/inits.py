"""The inits that a stop can be rehearsed under, and where their options end."""

import os
import re
import shutil
import sys
from dataclasses import dataclass

from pyinit.before import cli, usage
from pyinit.before.errors import UsageError
from pyinit.rehearse.errors import NotRehearsedError
from pyinit.rehearse.model import NONE
from pyinit.settings import Settings

PYINIT = "pyinit"
OTHERS = {  # patterns for their options that take a value in the next word
    "tini": r"-[^-pe]*[pe]",
    "dumb-init": r"-[^-r]*r|--rewrite",
    "catatonit": r"$",
}
ALIASES = {"docker-init": "tini", "podman-init": "catatonit"}
EVENTS = ("-vv", "--log-format", "json")
EXPLAIN_AFTER = 5.0  # seconds, pyinit's own
GRACE = 10.0
KNOWN = (PYINIT, *OTHERS, NONE)


@dataclass(frozen=True, slots=True)
class Init:
    """What runs as PID 1.

    Attributes:
        name: one of KNOWN.
        words: its command line up to the command; empty for NONE.
        shown: the same, as a user would write it.
    """

    name: str
    words: tuple[str, ...]
    shown: tuple[str, ...]

    @property
    def tells(self) -> bool:
        """Whether it is pyinit, which writes events."""
        return self.name == PYINIT


def split(words: tuple[str, ...], grace: float = GRACE) -> tuple[Init, tuple[str, ...]]:
    """Split a command into its init and the rest; a command without an init gets pyinit.

    Args:
        words: the command to run.
        grace: the grace period in seconds, in which pyinit must explain a slow stop.

    Raises:
        NotRehearsedError: there is no command, or the init's options are wrong.
    """
    if not words or not words[0]:
        msg = "expected a command to rehearse"
        raise NotRehearsedError(msg)
    base = os.path.basename(words[0])
    name = ALIASES.get(base, base)
    if name == PYINIT:
        try:
            wanted = cli.parse(list(words[1:]), {})
        except UsageError as error:
            raise NotRehearsedError(usage.sentence(error)) from error
        if not isinstance(wanted, Settings):
            msg = f"{' '.join(words)} runs no command, so there is nothing to stop"
            raise NotRehearsedError(msg)
        options = words[1 : len(words) - len(wanted.command)]
        return _pyinit(words[0], options, grace), wanted.command
    if name not in OTHERS:
        return _pyinit(PYINIT, ("--",), grace), words
    at = 1
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        at += 2 if re.fullmatch(OTHERS[name], word) else 1
        if word == "--":
            break
    if at >= len(words):
        msg = f"{' '.join(words)} runs no command, so there is nothing to stop"
        raise NotRehearsedError(msg)
    return Init(name, (found(words[0]), *words[1:at]), words[:at]), words[at:]


def called(name: str, grace: float = GRACE) -> Init:
    """Return an init by its name, without options; see :func:`split`.

    Raises:
        NotRehearsedError: there is no such init, or it is not installed.
    """
    name = ALIASES.get(name, name)
    if name == NONE:
        return Init(NONE, (), ())
    if name == PYINIT:
        return _pyinit(PYINIT, ("--",), grace)
    if name not in OTHERS:
        msg = f"--beside: {name!r} is not a known init: choose from {', '.join(KNOWN)}"
        raise NotRehearsedError(msg)
    return Init(name, (found(name), "--"), (name, "--"))


def _pyinit(word: str, options: tuple[str, ...], grace: float) -> Init:
    explain = f"--explain-after={min(EXPLAIN_AFTER, grace / 2):g}"
    own = options[:-1] if options[-1:] == ("--",) else options
    words = (*own_words(word), *own, *EVENTS, explain, "--")  # the last one counts
    return Init(PYINIT, words, (word, *options))


def own_words(word: str) -> tuple[str, ...]:
    """Return the command line of pyinit; for a word without a path, this interpreter's pyinit."""
    if word != PYINIT:
        return (found(word),)
    beside = os.path.join(os.path.dirname(sys.executable), PYINIT)
    path = beside if os.access(beside, os.X_OK) else shutil.which(PYINIT)
    return (path,) if path else (sys.executable, "-I", "-m", "pyinit")


def found(word: str) -> str:
    """Return the path of a program.

    Raises:
        NotRehearsedError: it is not in PATH, or not executable.
    """
    path = shutil.which(word)
    if path is None:
        msg = f"{word} cannot be run: it is not in PATH, or not executable"
        raise NotRehearsedError(msg)
    return path
