"""Detect that ENTRYPOINT or CMD of a Dockerfile has no brackets, so that a shell is PID 1.

Loaded if pyinit is a child of PID 1.
"""

from pyinit import signals
from pyinit.later import proc
from pyinit.settings import WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.report import Report

SHELLS = frozenset({b"ash", b"bash", b"busybox", b"dash", b"ksh", b"mksh", b"sh", b"zsh"})
OWN_NAME = b"pyinit"
SEPARATORS = ";&|()\n"  # of commands

REASON = (
    "PID 1 is a shell without a handler for SIGTERM, so the kernel drops SIGTERM and pyinit does "
    "not get it: a stop takes the whole grace period and ends with SIGKILL for all. Write "
    'ENTRYPOINT and CMD with brackets, such as ENTRYPOINT ["pyinit", "--"] and CMD ["app"], or put '
    "exec in front of pyinit"
)


def tell(report: "Report") -> None:
    """Log a warning if PID 1 is a shell that runs pyinit and does not forward SIGTERM to it."""
    name = shell()
    if name is not None:
        report.tell(WARNING, "shell_is_pid1", name, REASON)


def shell() -> str | None:
    """Return the name of the shell that is PID 1, runs pyinit and has no handler for SIGTERM.

    None if PID 1 is anything else, such as an interactive shell, a shell with a trap, or a shell
    that runs a script of which pyinit is only a part.
    """
    stat = proc.stat(1)
    if stat is None or (stat.ignored | stat.caught) >> (signals.SIGTERM - 1) & 1:
        return None
    words = proc.command(1)
    if _name(words[0]) not in SHELLS:
        return None
    texts = (text for option, text in zip(words, words[1:], strict=False) if _is_command(option))  # noqa: RUF007 - itertools would be loaded for this alone
    return proc.name(1) if _runs_pyinit(next(texts, b"")) else None


def _is_command(option: bytes) -> bool:
    """Tell whether an option of a shell is -c, alone or with others in one word."""
    return option.startswith(b"-") and option.endswith(b"c")


def _runs_pyinit(text: bytes) -> bool:
    """Tell whether the first or the last command in the text is pyinit."""
    from shlex import shlex  # takes a while to load

    decoded = text.decode("utf-8", "surrogateescape").strip()
    words = shlex(decoded, posix=True, punctuation_chars=SEPARATORS)
    words.whitespace_split, words.whitespace = True, " \t\r"
    commands: list[list[str]] = [[]]
    try:
        for word in words:
            if not word.strip(SEPARATORS):
                commands.append([])
            elif commands[-1] or "=" not in word:  # the word would set a variable
                commands[-1].append(word)
    except ValueError:  # a quote that is not closed
        return False
    named = [
        _name(command[0].encode("utf-8", "surrogateescape")) for command in commands if command
    ]
    return OWN_NAME in named[:1] + named[-1:]


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
