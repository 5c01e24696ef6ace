"""``python -m trials.hung``: programs that do not stop, and what pyinit says about each."""

import argparse
import os
import re
import signal
import sys
import time
from pathlib import Path

from bench.machine import load
from bench.tables import table
from testkit import pages
from trials.hung import trial
from trials.hung.catalogue import PROGRAMS
from trials.hung.program import SOURCES, Program

PAGE = Path("docs/slow-stops.md")
GOAL = 0.9  # of the causes must be right
# Folders that the table leaves out: ours, those of the interpreter, and those made for one run.
FOLDERS = re.compile(rf"{SOURCES}/|/[^ ]*/lib/python3[.\d]*/(site-packages/)?|/tmp/hung-[^/]*/")


def main() -> None:
    """Do what the command line says."""
    words = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up
    if os.geteuid():
        sys.exit("make hung: run it as root; it mounts a file system and traces processes")
    chosen = [program for program in PROGRAMS if words.only in program.name]
    began = time.monotonic()
    said, beside, looks, tini = [], [], [], []
    for program in filter(_is_here, chosen):
        told = trial.attempt(program, python=words.python, after=words.after, look=True)
        is_right = trial.is_right(program, told.event)
        tini.append(trial.said_by_tini(program, python=words.python, seconds=words.after))
        spied = [_short(each) for each in told.spied]
        looks.append((told.wall, told.cpu))
        said.append([program.name, _reason(told.event), "yes" if is_right else "**no**"])
        times = [f"{seconds * 1000:.0f}" for seconds in looks[-1]]
        beside.append([program.name, *times, *spied])
        print(*said[-1], tini[-1] or "nothing", *beside[-1][1:], sep=" | ", file=sys.stderr)
    text = _report(said, beside, looks, tini.count(""), time.monotonic() - began)
    if words.only:
        print(text)
    else:
        pages.put(PAGE, "hung", text)
    if sum(row[-1] == "yes" for row in said) < GOAL * len(said):
        sys.exit(f"make hung: less than {GOAL:.0%} of the causes are right")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make hung ARGS=...", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="only programs with WORDS in the name"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter for programs that need no package"
    )
    parser.add_argument(
        "--after", type=float, default=2, metavar="SECONDS", help="pyinit's --explain-after (2)"
    )
    return parser


def _is_here(program: Program) -> bool:
    missing = trial.missing(program)
    if missing:
        print(f"{program.name}: not tried, {missing} is missing", file=sys.stderr)
    return not missing


def _reason(event: "dict[str, object]") -> str:
    return _short(str(event.get("reason", "")) or "nothing")


def _short(text: str) -> str:
    return pages.cell(text, FOLDERS)


def _report(
    said: list[list[str]],
    beside: list[list[str]],
    looks: list[tuple[float, float]],
    silent: int,
    seconds: float,
) -> str:
    right = sum(row[-1] == "yes" for row in said)
    wall, cpu = (max(times) * 1000 for times in zip(*looks, strict=True))
    return f"""
{table(("program", "`reason` in `stop_is_slow`", "right"), said)}
{right} of {len(said)} are right. The longest look took {wall:.0f} ms, \
and no look more than {cpu:.0f} ms of a processor.
tini wrote nothing about {silent} of them.

{
        table(
            (
                *("program", "a look, ms", "processor, ms", "`py-spy dump`"),
                "`py-spy dump` with CAP_SYS_PTRACE",
            ),
            beside,
        )
    }
In {seconds:.0f} s; the load averages were {load()} at the end.

"""


if __name__ == "__main__":
    main()
