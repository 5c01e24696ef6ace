"""What every measurement is given."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figures
from bench.inits import BARE, INIT, OPTIONS, Init
from bench.plan import Plan
from bench.tools import Tools


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark."""

    inits: list[Init]
    plan: Plan
    tools: Tools
    figures: Figures
    scratch: Path

    def turns(self, rounds: int, inits: list[Init] | None = None) -> Iterator[Init]:
        """Give every init its turn: A B C A B C, so that what the machine does meets them all."""
        for _ in range(rounds):
            yield from self.inits if inits is None else inits

    @property
    def peers(self) -> list[Init]:
        """Those that are inits indeed."""
        return [init for init in self.inits if init.kind == INIT]

    @property
    def reapers(self) -> list[Init]:
        """Those that have a workload and reap."""
        return [init for init in self.at_rest if init.kind != BARE]

    @property
    def at_rest(self) -> list[Init]:
        """Those that differ from each other once the workload runs."""
        return [init for init in self.inits if init.kind != OPTIONS]
