"""What every measurement is given."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figures
from bench.inits import BARE, INIT, OPTIONS, Init
from bench.names import label_of
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
        """Those that are inits indeed, without those of an interpreter beside."""
        return [init for init in self.forwarders if not label_of(init.name)]

    @property
    def reapers(self) -> list[Init]:
        """Those that have a workload and reap, without those of an interpreter beside."""
        return [init for init in self.at_rest if init.kind != BARE and not label_of(init.name)]

    @property
    def forwarders(self) -> list[Init]:
        """All that are inits indeed."""
        return [init for init in self.inits if init.kind == INIT]

    @property
    def at_rest(self) -> list[Init]:
        """All that differ from each other once the workload runs."""
        return [init for init in self.inits if init.kind != OPTIONS]
