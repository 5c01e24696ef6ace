"""The totals of all runs, and everything that is known about a run that failed."""

import argparse
import collections
import time

from testkit.programs import PYINIT
from trials.chaos.seen import Seen

LINES = 60
TEXT = 6000


class Tally:
    """The totals until now."""

    def __init__(self, wish: argparse.Namespace) -> None:
        """Begin with nothing."""
        self._wish = wish
        self._began = time.monotonic()
        self._seeds: list[int] = []
        self._processes = self._signals = self._cut_short = 0
        self._kinds: collections.Counter[str] = collections.Counter()
        self.failed: list[int] = []

    def add(self, seed: int, seen: Seen, wrong: list[str]) -> None:
        """Count a run, and print what was wrong with it."""
        self._seeds.append(seed)
        self._processes += seen.processes
        self._signals += seen.signals
        self._cut_short += seen.is_cut_short
        self._kinds[seen.plan.kind] += 1
        self._kinds["as PID 1" if seen.plan.namespace else "as subreaper"] += 1
        if wrong:
            self.failed.append(seed)
            print(explain(seed, seen, wrong, self._wish.init), flush=True)

    def summary(self) -> str:
        """Return the totals, one a line."""
        seeds = f"{min(self._seeds)} to {max(self._seeds)}" if self._seeds else "none"
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._kinds.items()))
        counts = {
            "runs": f"{len(self._seeds)} in {time.monotonic() - self._began:.0f} s",
            "seeds": seeds,
            "kinds": kinds,
            "processes": self._processes,
            "signals": self._signals,
            "logs cut short, and not judged": self._cut_short,
            "failures": f"{len(self.failed)}{': ' if self.failed else ''}"
            + ", ".join(map(str, sorted(self.failed))),
        }
        return "\n".join(f"{name}: {count}" for name, count in counts.items())


def explain(seed: int, seen: Seen, wrong: list[str], init: str) -> str:
    """Return what was planned, expected and seen, and the command to run it again."""
    again = f"python -m trials.chaos --runs 1 --seed {seed}"
    if init != PYINIT:
        again += f" --init {init}"
    told = [str(line) for line in seen.lines]
    skipped = [f"... {len(told) - LINES} more ..."] if len(told) > LINES else []
    parts = [
        f"seed {seed} FAILED:",
        *(f"- {failure}" for failure in wrong),
        seen.plan.describe(),
        "told:",
        *(told[: LINES // 2] + skipped + told[-LINES // 2 :] if skipped else told),
        "stderr:",
        seen.stderr[:TEXT],
        f"again: {again}\n",
    ]
    return "\n".join(parts)
