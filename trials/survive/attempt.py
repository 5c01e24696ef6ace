"""Put one init into one surrounding, with each of its commands."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from testkit.namespaces import ROOT
from testkit.programs import compile_c
from trials.survive.case import Case, Stage, Surrounding
from trials.survive.ordeal import OK, REFUSES, Unavailable, endure

SOURCES = Path(__file__).parent
VERBOSE = {"pyinit": "-vv", "pyinit-launcher": "-vv", "tini": "-vvv", "dumb-init": "-v"}
LIMIT = 10.0  # seconds for each wait; what takes longer hangs
NOT_HERE = "-"

Commands = dict[str, tuple[str, ...]]  # of one init, by name


def compile_programs(folder: Path) -> None:
    """Compile the workload and the program that applies a seccomp filter; both are static."""
    for name in ("guest", "confine"):
        compile_c(SOURCES / f"{name}.c", folder, "-static")


def of_init(name: str, path: str) -> Commands:
    """Return the commands to try an init with: as it is, and at its highest verbosity."""
    commands: Commands = {"": (path, "--")}
    if name in VERBOSE:
        commands[VERBOSE[name]] = (path, VERBOSE[name], "--")
    return commands


def cell(surrounding: Surrounding, name: str, commands: Commands, folder: Path) -> str:
    """Return how an init fared in a surrounding: ok, or the first thing that went wrong."""
    words: dict[str, str] = {}
    for what, verdict in verdicts(surrounding.cases, name, commands, folder):
        words.setdefault(verdict, what)
    fine = (OK, REFUSES, NOT_HERE)
    wrong = [
        f"{word} ({what})" if what else word for word, what in words.items() if word not in fine
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return wrong[0] + more
    return " or ".join(word for word in (OK, REFUSES) if word in words) or NOT_HERE


def verdicts(
    cases: Iterable[Case], name: str, commands: Commands, folder: Path, limit: float = LIMIT
) -> Iterator[tuple[str, str]]:
    """Yield the name and the result of each case, with each command."""
    for case in cases:
        for option, command in commands.items():
            what = " ".join(filter(None, (case.name, option)))
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                Path(scratch).chmod(0o777)
                stage = Stage(Path(scratch), name, list(command), str(folder / "guest"))
                yield what, _verdict(case, stage, limit=limit, verbose=bool(option))


def _verdict(case: Case, stage: Stage, *, limit: float, verbose: bool) -> str:
    if case.root and not ROOT:
        return NOT_HERE
    with contextlib.suppress(Unavailable):
        return endure(case, stage, limit=limit, verbose=verbose)
    return NOT_HERE
