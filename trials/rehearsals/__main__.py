"""``python -m trials.rehearsals``: rehearse stops with and without a fault, check the reports."""

import argparse
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.machine import load
from bench.tables import table
from testkit import pages
from trials.hung.program import SOURCES as HUNG
from trials.rehearsals import trial
from trials.rehearsals.case import SOURCES, Case
from trials.rehearsals.catalogue import FAULTS, HEALTHY

PAGE = Path("docs/rehearsal.md")
USERS = {"root": False, "nobody": True}
JOBS = 2
# Folders that the table leaves out: ours, those of the interpreter, and those made for one run.
FOLDERS = re.compile(
    rf"({SOURCES}|{HUNG})/|/[^ ]*/lib/python3[.\d]*/(site-packages/)?|/tmp/rehearsals-[^/]*/"
)
NOT_TRIED: dict[str, Any] = {"verdict": "could not be rehearsed", "cause": "", "leaks": []}

Seen = tuple[dict[str, Any], list[str]]  # a run, and what is wrong with it


def main() -> None:
    """Run what the command line asks for."""
    words = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up
    if os.geteuid():
        sys.exit("make rehearsals: run it as root; it also rehearses as another user")
    users = [user for user in USERS if words.user in user]
    began = time.monotonic()
    found = {user: _try_all(user, words) for user in users}
    text = _report(found, time.monotonic() - began)
    if words.only or words.user:
        print(text)
    else:
        pages.put(PAGE, "rehearsals", text)
    wrong = [
        f"{case.name}, as {user}: {complaint}"
        for user, each in found.items()
        for case, (_, complaints) in each.items()
        for complaint in complaints
    ]
    if wrong:
        sys.exit("make rehearsals: " + "\n            ".join(wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make rehearsals ARGS=...", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="only cases with WORDS in the name"
    )
    parser.add_argument("--user", default="", metavar="WORD", help="root or nobody")
    return parser


def _try_all(user: str, words: argparse.Namespace) -> dict[Case, Seen]:
    def attempt(case: Case) -> Seen:
        try:
            run = trial.rehearse(case, as_nobody=USERS[user])
        except trial.FailedError as error:
            return NOT_TRIED, [str(error)]
        return run, trial.complaints(case, run)

    chosen = [case for case in (*FAULTS, *HEALTHY) if words.only in case.name]
    found: dict[Case, Seen] = {}
    with ThreadPoolExecutor(JOBS) as pool:
        for case, (run, complaints) in zip(chosen, pool.map(attempt, chosen), strict=True):
            found[case] = run, complaints
            print(user, *_row(case, {user: found}), *complaints, sep=" | ", file=sys.stderr)
    return found


def _report(found: dict[str, dict[Case, Seen]], seconds: float) -> str:
    every = list(next(iter(found.values())))
    parts = []
    for title, cases in (
        ("With a fault", [case for case in every if case in FAULTS]),
        ("Without one", [case for case in every if case in HEALTHY]),
    ):
        right = sum(not each[case][1] for each in found.values() for case in cases)
        rows = [_row(case, found) for case in cases]
        headings = (
            title,
            "verdict",
            "reported cause",
            *(f"right, as {user}" for user in found),
        )
        parts.append(f"{table(headings, rows)}\n{right} of {len(rows) * len(found)} are right.\n")
    return (
        "\n"
        + "\n".join(parts)
        + f"\n{JOBS} at a time, in {seconds:.0f} s; the load averages were {load()} at the end.\n\n"
    )


def _row(case: Case, found: dict[str, dict[Case, Seen]]) -> list[str]:
    run = next(iter(found.values()))[case][0]
    cause = pages.cell(run["cause"], FOLDERS)
    right = ["**no**" if each[case][1] else "yes" for each in found.values()]
    return [case.name, run["verdict"], cause, *right]


if __name__ == "__main__":
    main()
