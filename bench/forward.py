"""Forward: from kill(init) to the workload's answer."""

from bench.bench import Bench


def measure(bench: Bench) -> None:
    """Time forwards, each when the init and its workload are at rest, on one processor."""
    for init in bench.turns(bench.plan.forward, bench.forwarders):
        command = (*init.command, *bench.tools.workload("answer"))
        processors, *times = bench.tools.measure(("forward", bench.plan.forwards), command)
        bench.figures.add("forward processors", init.name, [processors])
        bench.figures.add("forward", init.name, times)
