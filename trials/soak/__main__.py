"""``make soak``: orphans and signals for an hour, and whether anything of pyinit grows.

One thing is in flight at a time, and all of it runs niced. What pyinit takes is looked at in
between, when it has nothing to do, and judged at the end.
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
LEAST = 6  # however short the run is
NICE = 19
TOLD_ALL = ("-w", "-vv")  # with one of these each orphan has an event


def main() -> int:
    """Soak; return 1 where something grew or went wrong."""
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
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make soak ARGS=...")
    parser.add_argument("--seconds", type=float, default=HOUR, help="how long (an hour)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--options", default="", metavar="WORDS", help="of pyinit, as --options=-w")
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
    """Go on for so long; print and return a sample of each sixtieth of it."""
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
    """Return what was not told, or wrongly, and the code if it is not the workload's."""
    expected = {"signal_forwarded": rounds.forwarded, "events_dropped": 0, "internal_error": 0}
    expected["signal_dropped"] = rounds.signals - rounds.forwarded
    if tells_all:
        expected["orphan_reaped"] = rounds.orphans + LEFT_BEHIND
    found = [
        f"{name} told {subject.told[name]} times in place of {count}"
        for name, count in expected.items()
        if subject.told[name] != count
    ]
    if subject.garbage:
        found.append(f"lines that are no JSON: {len(subject.garbage)}, {subject.garbage[0]!r}")
    if code != CODE:
        found.append(f"pyinit left with {code} in place of {CODE}")
    return found


sys.exit(main())
