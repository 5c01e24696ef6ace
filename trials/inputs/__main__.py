"""``make inputs``: each random command line must lead to a child, a page or one line on stderr.

Half of them call the command that pip installs, half the one that pyinit-launcher writes. Twice
as many go to the parser alone. The same seed makes the same command lines.
"""

import argparse
import collections
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck

from trials.inputs.parsing import parse
from trials.inputs.trial import Trial, OutcomeError
from trials.inputs.words import CASES, Case

FACTOR = 2
# What the parser says, and the outcomes that fit.
FITS = {
    "one line": {"one line"},
    "a page": {"a page", "one line"},  # the line: a process that cannot be inspected
    "a command": {"started", "cannot be run"},
}


def main() -> int:
    """Run what the command line asks for; return 1 if an outcome was wrong."""
    words = arguments()
    print(f"seed {words.seed}: --cases {words.cases} --seed {words.seed} does it again", flush=True)
    os.environ.update(LC_ALL="C.UTF-8")  # as the words are made
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        return max(
            attempt("parser", parse, words.cases * FACTOR, words.seed),
            attempt("command", lambda case: run(trial, case), words.cases, words.seed),
        )


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="make inputs ARGS=...")
    parser.add_argument("--cases", type=int, default=10_000, help="calls of the command (10000)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    return parser.parse_args()


def run(trial: Trial, case: Case) -> str:
    """Call the command; the outcome must fit the result of the parser.

    Raises:
        OutcomeError: it does not.
    """
    said, came = parse(case), trial.run(case)
    if came not in FITS[said]:
        message = f"the parser says {said!r}, but the outcome was {came!r}"
        raise OutcomeError(message)
    which = "launcher" if case.launcher else "installed"
    return f"{which}, {'PID 1' if case.as_init else 'not PID 1'}: {came}"


def attempt(what: str, check: Callable[[Case], str], count: int, seed: int) -> int:
    """Check so many cases and print how often each outcome came; return 1 for a wrong one."""
    seen: collections.Counter[str] = collections.Counter()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=CASES)
    def one(case: Case) -> None:
        try:
            seen[check(case)] += 1
        except Exception as error:
            error.add_note(repr(case))
            raise

    began = time.monotonic()
    try:
        one()
    except Exception as error:  # noqa: BLE001 - any error is printed with its case
        print(f"{what}: WRONG, {error!r}", *getattr(error, "__notes__", ()), sep="\n", flush=True)
        return 1
    print(f"{what}: {seen.total()} cases in {time.monotonic() - began:.0f} s, none wrong")
    for outcome, times in sorted(seen.items()):
        print(f"  {times:7} {outcome}", flush=True)
    return 0


sys.exit(main())
