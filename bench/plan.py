"""The size of a run: how many rounds, signals, orphans, helpers and seconds."""

import dataclasses

DELAYS_MS = (0, 0.5, 1, 2, 5, 10, 15, 20, 30)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run. In a round, every init has one turn.

    Attributes:
        warm_up: rounds of starts that do not count.
        forwards: signals in a round; if the rounds are few, the slowest signals are chance.
        orphans: the numbers of orphans, each with its rounds.
        helpers: the numbers of helpers at a stop, each with its rounds.
        idle_seconds: how long the inits wait, all at once, while nothing happens.
    """

    warm_up: int
    start: int
    blind: int
    forward: int
    forwards: int
    orphans: dict[int, int]
    helpers: dict[int, int]
    idle_seconds: float
    memory: int
    log: int
    instructions: int


QUICK = Plan(
    warm_up=1,
    start=3,
    blind=2,
    forward=1,
    forwards=100,
    orphans={100: 1, 1000: 1},
    helpers={10: 1, 100: 1},
    idle_seconds=1,
    memory=1,
    log=1,
    instructions=1,
)
FULL = Plan(
    warm_up=3,
    start=200,
    blind=60,
    forward=20,
    forwards=250,
    orphans={100: 20, 1000: 10, 10_000: 5, 100_000: 3},
    helpers={10: 10, 100: 10, 1000: 5, 5000: 3},
    idle_seconds=60,
    memory=5,
    log=20,
    instructions=3,
)
