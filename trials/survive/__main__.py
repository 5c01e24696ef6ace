"""``python -m trials.survive``: put inits into hostile surroundings, and note which survive."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.errors import BenchError
from bench.inits import INIT, PEERS, all_inits
from bench.tables import table
from testkit import pages
from trials.survive.attempt import NOT_HERE, Commands, cell, compile_programs, of_init
from trials.survive.case import Surrounding
from trials.survive.surroundings import SURROUNDINGS

PAGE = Path("docs/maintainers/reliability.md")
INITS = ("pyinit", "pyinit-launcher", *PEERS)


def main() -> None:
    """Run what the command line asks for."""
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
        pages.put(PAGE, "survive", text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make survive ARGS=...", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="only surroundings with WORDS in the name"
    )
    parser.add_argument("--init", action="append", choices=INITS, help="only this one")
    return parser


def _paths(folder: Path) -> dict[str, str]:
    return {init.name: init.command[0] for init in all_inits(folder) if init.kind == INIT}


def _row(surrounding: Surrounding, inits: dict[str, Commands], folder: Path) -> list[str]:
    cells = []
    for name, commands in inits.items():
        is_own = surrounding.own and not name.startswith("pyinit")
        cells.append(NOT_HERE if is_own else cell(surrounding, name, commands, folder))
        print(f"{surrounding.name}: {name}: {cells[-1]}", file=sys.stderr)
    return [surrounding.name, *cells]


def _report(rows: list[list[str]], inits: list[str], seconds: float) -> str:
    made = table(("surrounding", *(f"`{init}`" for init in inits)), rows)
    return f"\n{made}\nIn {seconds:.0f} s.\n\n"


if __name__ == "__main__":
    main()
