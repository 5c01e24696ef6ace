"""Forward: the time from a signal for the init to the answer of the workload."""

from bench.bench import Bench


def measure(bench: Bench) -> None:
    """Send signals one by one, each when the init and its workload sleep, on one processor."""
    for init in bench.turns(bench.plan.forward, bench.forwarders):
        command = (*init.command, *bench.tools.workload("answer"))
        processors, *times = bench.tools.measure(("forward", bench.plan.forwards), command)
        bench.figures.add("forward processors", init.name, [processors])
        bench.figures.add("forward", init.name, times)
