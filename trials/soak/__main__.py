"""``make soak``: orphans and signals for an hour, to see whether pyinit grows.

One thing is done at a time, and everything is niced. In between, when pyinit has nothing to do, its
memory and descriptors are read; they are judged at the end.
"""

import argparse
import os
import random
import shlex
import sys
import time

from trials.soak.rounds import RULES, Rounds
from trials.soak.samples import Sample, judge, look, row
from trials.soak.subject import SoakError, Subject
from trials.soak.workload import CODE, LEFT_BEHIND

HOUR = 3600.0
LOOKS = 60
LEAST = 6  # samples, even if the run is short
NICE = 19
TOLD_ALL = ("-w", "-vv")  # with either, pyinit logs each orphan


def main() -> int:
    """Soak; return 1 if something grew or went wrong."""
    words = arguments()
    os.nice(NICE)
    options = ["-v", "-r", RULES, *shlex.split(words.options)]
    print(f"seed {words.seed}, pyinit {shlex.join(options)}", flush=True)
    try:
        found = soak(options, words.seconds, words.seed)
    except SoakError as error:
        found = [str(error)]
    print("verdict:", "; ".join(found) or "nothing grew, nothing was lost", flush=True)
    return 1 if found else 0


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="make soak ARGS=...")
    parser.add_argument("--seconds", type=float, default=HOUR, help="how long to soak (3600)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument(
        "--options", default="", metavar="WORDS", help="options of pyinit, such as --options=-w"
    )
    return parser.parse_args()


def soak(options: list[str], seconds: float, seed: int) -> list[str]:
    """Soak one pyinit; return what is wrong with it, one sentence each."""
    subject = Subject(options)
    try:
        rounds = Rounds(subject, seed)
        samples = take(subject, rounds, seconds)
        code = subject.finish()
    finally:
        subject.kill()
    return [
        *judge(samples),
        *lost(subject, rounds, code, tells_all=any(o in options for o in TOLD_ALL)),
    ]


def take(subject: Subject, rounds: Rounds, seconds: float) -> list[Sample]:
    """Go on for so long; print and return a sample after each sixtieth of it."""
    print(row())
    began = time.monotonic()
    samples: list[Sample] = []
    while len(samples) < LEAST or samples[-1].seconds < seconds:
        rounds.turn()
        passed = time.monotonic() - began
        if passed >= (len(samples) + 1) * seconds / LOOKS or passed >= seconds:
            rounds.settle()
            counts = {"rounds": rounds.done, "orphans": rounds.orphans, "signals": rounds.signals}
            samples.append(Sample(seconds=passed, **counts, **look(subject.init)))
            print(row(samples[-1]), flush=True)
    return samples


def lost(subject: Subject, rounds: Rounds, code: int, *, tells_all: bool) -> list[str]:
    """Return what was not logged, or logged wrongly, and a code that is not the workload's."""
    expected = {"signal_forwarded": rounds.forwarded, "events_dropped": 0, "internal_error": 0}
    expected["memory_short"] = 0
    expected["signal_dropped"] = rounds.signals - rounds.forwarded
    if tells_all:
        expected["orphan_reaped"] = rounds.orphans + LEFT_BEHIND
    found = [
        f"{name} logged {subject.told[name]} times instead of {count}"
        for name, count in expected.items()
        if subject.told[name] != count
    ]
    if subject.garbage:
        found.append(f"lines that are not JSON: {len(subject.garbage)}, {subject.garbage[0]!r}")
    if code != CODE:
        found.append(f"pyinit exited with {code} instead of {CODE}")
    return found


sys.exit(main())
