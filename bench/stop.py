"""Stop: how many helpers finish after a SIGTERM for the init, and when the init exits."""

from bench.bench import Bench


def measure(bench: Bench) -> None:
    """Stop inits whose workload leaves helpers behind that have work to do at SIGTERM."""
    for count, rounds in bench.plan.helpers.items():
        for init in bench.turns(rounds, bench.peers):
            command = (*init.command, *bench.tools.workload("helpers", count))
            finished, after = bench.tools.measure(("stop",), command)
            bench.figures.add("finished", init.name, [finished], count)
            if finished:
                bench.figures.add("gone", init.name, [after], count)
