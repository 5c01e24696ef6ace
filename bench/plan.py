"""How often, how many and how long."""

import dataclasses

DELAYS_MS = (0, 0.5, 1, 2, 5, 10, 15, 20, 30)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run. A round is one turn of every init.

    Attributes:
        warm_up: rounds of starts that do not count.
        forwards: how many in a round; the slowest few are luck where the rounds are few.
        orphans: the sizes of storms, each with its rounds.
        helpers: how many are to be stopped, each with its rounds.
        idle_seconds: how long all inits at once are left alone.
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
