"""Log: the time until the first line, and how long forwards take until then."""

import sys

from bench.bench import Bench

IMPORT = (sys.executable, "-I", "-c", "import structlog")


def measure(bench: Bench) -> None:
    """Time the first line, signals until then, and a Python that imports structlog."""
    talkers = [init for init in bench.peers if init.verbose]
    for number, init in enumerate(bench.turns(bench.plan.log, talkers)):
        if number % len(talkers) == 0:
            _, gone = bench.tools.measure(("start",), IMPORT)
            bench.figures.add("import", "structlog", [gone])
        command = (*init.verbose, *bench.tools.workload("answer"))
        first, line, *forwards = bench.tools.measure(("log",), command)
        bench.figures.add("first with log", init.name, [first])
        bench.figures.add("first line", init.name, [line])
        bench.figures.add("forward meanwhile", init.name, forwards)
