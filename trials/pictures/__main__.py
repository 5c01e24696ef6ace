"""``python -m trials.pictures``: draw the pictures of the pages in docs/, into docs/pictures."""

import argparse
import os
import sys
from pathlib import Path

from testkit.programs import ROOT_DIRECTORY
from trials.pictures import budget, choice, stops, terminal

FOLDER = ROOT_DIRECTORY / "docs/pictures"
PICTURES = {
    "budget": budget.render,
    "choice": choice.render,
    **{each.name: each.picture for each in (*terminal.TERMINALS, *stops.STOPS)},
}


def main() -> None:
    """Draw those that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="make pictures ARGS=...", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=PICTURES, metavar="NAME")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["SECONDS"] = "2"  # that a page of slow_page.py takes
    for name in parser.parse_args().only:
        (FOLDER / f"{name}.svg").write_text(PICTURES[name]())
        print(f"docs/pictures/{name}.svg")


if __name__ == "__main__":
    main()
