"""``python -m trials.faults``: refuse system calls to pyinit, each in turn, once and from then on.

A run without a fault tells how often pyinit makes a call. Then, for each of these times, strace has
it fail: this time only, or from this time on. Whatever happens, pyinit must leave in time, with the
code of its child; or, where the child was not started, with another code than 0.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from trials.faults.kinds import parse
from trials.faults.trial import Trial


def main() -> None:
    """Do what the command line says."""
    words = _parser().parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name))
        if words.fault:
            faults = [parse(word) for word in words.fault]
        elif words.sample:
            print(f"faults: --sample {words.sample} --seed {words.seed}", flush=True)
            faults = list(trial.sample(words.only, words.sample, random.Random(words.seed)))
        else:
            faults = list(trial.all(words.only))
        failed = trial.run_all(faults)
    print(f"faults: {len(faults)} runs in {time.monotonic() - began:.0f} s: ", end="")
    print(", ".join(f"{count} {what}" for what, count in sorted(trial.counts.items())))
    print(f"faults: {failed} failures")
    sys.exit(failed > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make faults ARGS=...", description=__doc__)
    parser.add_argument("--only", metavar="CALL", help="only kinds with this call")
    parser.add_argument("--sample", type=int, metavar="N", help="so many of them, by chance")
    seed = random.SystemRandom().randrange(10**6)
    parser.add_argument("--seed", type=int, default=seed, help="which ones")
    help_text = "only this one, as it was printed"
    parser.add_argument("--fault", action="append", default=[], help=help_text)
    return parser


if __name__ == "__main__":
    main()
