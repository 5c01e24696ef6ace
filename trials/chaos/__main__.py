"""Try random process trees on pyinit: make chaos ARGS='--seconds 600 --seed 7'."""

import argparse
import os
import secrets
import sys
import tempfile

from testkit.programs import PYINIT
from trials.chaos.run import compile_actor
from trials.chaos.tally import Tally
from trials.chaos.work import outcomes

SHORT = 10.0


def main() -> int:
    """Run as many plans as asked for; return 1 if any failed."""
    wish = parse(sys.argv[1:])
    tally = Tally(wish)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the actor also runs as other users
        actor = compile_actor(folder)
        for seed, (seen, wrong) in outcomes(wish, actor):
            tally.add(seed, seen, wrong)
    print(tally.summary())
    return 1 if tally.failed else 0


def parse(words: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m trials.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, help="how long new runs begin (10)")
    parser.add_argument("--runs", type=int, help="how many runs, instead of --seconds")
    parser.add_argument("--seed", type=int, help="seed of the first run; each next run adds 1")
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at a time (2)")
    parser.add_argument("--init", default=PYINIT, help="another init, to see how it fails")
    wish = parser.parse_args(words)
    if wish.seed is None:
        wish.seed = secrets.randbelow(10**9)
    if wish.seconds is None and wish.runs is None:
        wish.seconds = SHORT
    return wish


if __name__ == "__main__":
    sys.exit(main())
