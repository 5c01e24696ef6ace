"""``python -m trials.programs``: stop programs that are working, print what happens to the work."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from bench.tables import table
from trials.programs import trial
from trials.programs.applications import APPLICATIONS
from trials.programs.servers import SERVERS
from trials.programs.supervisors import SUPERVISORS

CASES = (*SERVERS, *SUPERVISORS, *APPLICATIONS)
HEADINGS = ("program", "options", "work in hand", "code", "seconds", "ended by pyinit")


def main() -> None:
    """Run what the command line asks for."""
    words = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up
    if os.geteuid():
        sys.exit("make programs: run it as root; some of the programs become other users")
    chosen = [
        case
        for case in CASES
        if not words.words or any(word in case.program for word in words.words)
    ]
    if not chosen:
        sys.exit(f"make programs: no such program; try {'; '.join({c.program: 0 for c in CASES})}")
    rows = [_row(case, show=words.show) for case in chosen]
    print(table(HEADINGS, rows), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make programs ARGS=...", description=__doc__)
    parser.add_argument("words", nargs="*", help="only programs with one of these in their name")
    parser.add_argument("--show", action="store_true", help="show what the programs write as well")
    return parser


def _row(case: trial.Case, *, show: bool) -> list[str]:
    row = [case.program, " ".join(case.options) or "none"]
    print("...", *row, file=sys.stderr)
    if absent := trial.missing(case):
        return [*row, f"not tried, missing: {', '.join(absent)}", "", "", ""]
    with tempfile.TemporaryDirectory(prefix="programs-") as name:
        Path(name).chmod(0o1777)
        try:
            seen = trial.attempt(case, Path(name))
        except trial.UnreadyError as error:
            print(error, *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
            return [*row, "not tried: it did not become ready", "", "", ""]
    if show:
        print(seen.output, file=sys.stderr)
    return [*row, seen.work, seen.code, f"{seen.seconds:.1f}", seen.ended or "-"]


if __name__ == "__main__":
    main()
