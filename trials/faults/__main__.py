"""``python -m trials.faults``: make each system call of pyinit fail, once, or from then on.

A run without a fault counts how often pyinit makes a call. Then strace makes the first of them
fail, then the second, and so on, only once or from that one on. pyinit must exit in time, with the
code of its child, or, if the child was not started, with a code that is not 0.
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
    """Run what the command line asks for."""
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
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, chosen at random")
    seed = random.SystemRandom().randrange(10**6)
    parser.add_argument("--seed", type=int, default=seed, help="which ones")
    help_text = "only this fault, as it was printed"
    parser.add_argument("--fault", action="append", default=[], help=help_text)
    return parser


if __name__ == "__main__":
    main()
