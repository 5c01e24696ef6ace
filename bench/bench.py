"""What each measurement gets: the inits, the plan, the tools, and a place for the figures."""

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
        """Let the inits take turns, A B C A B C, so that other work of the machine disturbs all."""
        for _ in range(rounds):
            yield from self.inits if inits is None else inits

    @property
    def peers(self) -> list[Init]:
        """Return the real inits of the first interpreter."""
        return [init for init in self.forwarders if not label_of(init.name)]

    @property
    def reapers(self) -> list[Init]:
        """Return what runs a workload and reaps, with the first interpreter."""
        return [init for init in self.at_rest if init.kind != BARE and not label_of(init.name)]

    @property
    def forwarders(self) -> list[Init]:
        """Return the real inits, of every interpreter."""
        return [init for init in self.inits if init.kind == INIT]

    @property
    def at_rest(self) -> list[Init]:
        """Return everything that can differ while the workload runs: options no longer matter."""
        return [init for init in self.inits if init.kind != OPTIONS]
