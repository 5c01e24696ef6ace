"""Log: when the first line is there, and what becomes of forwards until then."""

import sys

from bench.bench import Bench

IMPORT = (sys.executable, "-I", "-c", "import structlog")


def measure(bench: Bench) -> None:
    """Time the first line beside the import that it takes, and forwards in the meantime."""
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
