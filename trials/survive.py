"""``python -m trials.survive``: put inits into hostile surroundings, write down who survives."""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.inits import INIT, PEERS, all_inits
from bench.tables import table
from testkit.namespaces import ROOT
from testkit.programs import compile_c
from trials.case import Case, Stage, Surrounding
from trials.ordeal import OK, REFUSES, Unavailable, endure
from trials.surroundings import SURROUNDINGS

PAGE = Path("docs/reliability.md")
BEGIN, END = "<!-- survive: begin -->\n", "<!-- survive: end -->\n"
SOURCES = Path(__file__).parent
VERBOSE = {"pyinit": "-vv", "pyinit-launcher": "-vv", "tini": "-vvv", "dumb-init": "-v"}
INITS = ("pyinit", "pyinit-launcher", *PEERS)
LIMIT = 10.0  # seconds for whatever is waited for: what has not come by then hangs
NOT_HERE = "-"

Commands = dict[str, tuple[str, ...]]  # of one init, by what to call it


def main() -> None:
    """Do what the command line says."""
    words = _parser().parse_args()
    chosen = [one for one in SURROUNDINGS if words.only in one.name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        compile_programs(folder)
        try:
            inits = {init: of_init(init, path) for init, path in _paths(folder).items()}
        except BenchError as error:
            sys.exit(f"survive: {error}")
        if words.init:
            inits = {init: inits[init] for init in words.init}
        rows = [_row(one, inits, folder) for one in chosen]
    text = _report(rows, list(inits), time.monotonic() - began)
    if words.only or words.init:
        print(text)
    else:
        write(PAGE, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make survive ARGS=...", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORDS", help="those with WORDS in the name")
    parser.add_argument("--init", action="append", choices=INITS, help="only this one")
    return parser


def compile_programs(folder: Path) -> None:
    """Compile the workload and what applies a seccomp filter; both are static."""
    for name in ("guest", "confine"):
        compile_c(SOURCES / f"{name}.c", folder, "-static")


def _paths(folder: Path) -> dict[str, str]:
    return {init.name: init.command[0] for init in all_inits(folder) if init.kind == INIT}


def of_init(name: str, path: str) -> Commands:
    """Return the commands to try an init with: as it is, and as it tells most."""
    commands: Commands = {"": (path, "--")}
    if name in VERBOSE:
        commands[VERBOSE[name]] = (path, VERBOSE[name], "--")
    return commands


def _row(surrounding: Surrounding, inits: dict[str, Commands], folder: Path) -> list[str]:
    cells = []
    for name, commands in inits.items():
        is_own = surrounding.own and not name.startswith("pyinit")
        cells.append(NOT_HERE if is_own else cell(surrounding, name, commands, folder))
        print(f"{surrounding.name}: {name}: {cells[-1]}", file=sys.stderr)
    return [surrounding.name, *cells]


def cell(surrounding: Surrounding, name: str, commands: Commands, folder: Path) -> str:
    """Return what one init made of a surrounding: ok, or the first thing that went wrong."""
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
    """Yield of each case, with each command, what it is called and how it went."""
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


def _report(rows: list[list[str]], inits: list[str], seconds: float) -> str:
    made = table(("surrounding", *(f"`{init}`" for init in inits)), rows)
    return f"\n{made}\nIn {seconds:.0f} s.\n\n"


def write(page: Path, text: str) -> None:
    """Put the table into a page, in place of the one that is there."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"survive: {page} does not have the lines {BEGIN.strip()} and {END.strip()}")
    page.write_text(f"{before}{BEGIN}{text}{END}{after}")


if __name__ == "__main__":
    main()
