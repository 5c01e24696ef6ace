"""Start: the time until the workload starts. Blind window: when a SIGTERM is lost."""

from bench.bench import Bench
from bench.inits import BARE, Init
from bench.plan import DELAYS_MS

NS_PER_MS = 1_000_000
TOO_LATE_NS = 250_000


def measure_start(bench: Bench) -> None:
    """Take the time of starts; for an interpreter without a workload, from its start to its end."""
    for init in bench.turns(bench.plan.warm_up):
        _start(bench, init)
    for init in bench.turns(bench.plan.start):
        first, gone = _start(bench, init)
        bench.figures.add("start", init.name, [gone if init.kind == BARE else first])
        bench.figures.add("whole", init.name, [gone])


def _start(bench: Bench, init: Init) -> list[int]:
    workload = () if init.kind == BARE else bench.tools.workload("first")
    return bench.tools.measure(("start",), (*init.command, *workload))


def measure_blind(bench: Bench) -> None:
    """Send SIGTERM early. One that was sent too late, on a busy machine, does not count."""
    for init in bench.turns(bench.plan.blind, bench.peers):
        for delay in DELAYS_MS:
            what = ("blind", round(delay * NS_PER_MS))
            command = (*init.command, *bench.tools.workload("pause"))
            late, lost = bench.tools.measure(what, command)
            in_time = late <= TOO_LATE_NS
            bench.figures.add("lost", init.name, [lost] if in_time else [], delay)
            bench.figures.add("late", init.name, [not in_time], delay)
