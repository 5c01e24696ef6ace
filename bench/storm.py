"""Storm: the CPU time that orphans cost their init, and how many stay zombies."""

from bench.bench import Bench
from bench.inits import Init
from bench.tools import held
from testkit import usage
from testkit.processes import children, until


def measure(bench: Bench) -> None:
    """Measure the CPU time of the init alone, without that of the workload."""
    for count, rounds in bench.plan.orphans.items():
        for init in bench.turns(rounds, bench.reapers):
            cpu_ns, zombies = _storm(bench, init, count)
            bench.figures.add("storm", init.name, [cpu_ns], count)
            bench.figures.add("zombies", init.name, [zombies], count)


def _storm(bench: Bench, init: Init, count: int) -> tuple[int, int]:
    with held((*init.command, *bench.tools.workload("storm", count))) as process:
        pid = process.init
        usage.settle(pid)
        before = usage.cpu_ns(pid)
        process.tell()
        process.hear()
        until(lambda: len(children(pid)) == 1)  # the workload
        usage.settle(pid)
        return usage.cpu_ns(pid) - before, len(children(pid)) - 1
