"""Memory of an init at rest, and after the first line of the log."""

from bench.bench import Bench
from bench.inits import BARE, Init
from bench.tools import held
from testkit import usage

KINDS = ("Rss", "Pss", "Private_Dirty")


def measure(bench: Bench) -> None:
    """Read the memory of each init while it waits."""
    for init in bench.turns(bench.plan.memory, bench.at_rest):
        _note(bench, init, "rest", _command(bench, init))
        if init.verbose:
            _note(bench, init, "logged", (*init.verbose, *bench.tools.workload("rest")))


def _command(bench: Bench, init: Init) -> tuple[str, ...]:
    if init.kind == BARE:
        return init.waiting
    return (*init.command, *bench.tools.workload("rest"))


def _note(bench: Bench, init: Init, when: str, command: tuple[str, ...]) -> None:
    with held(command) as process:
        if when == "logged":
            process.hear_error()
        usage.settle(process.init)
        found = usage.memory_kib(process.init)
    for kind in KINDS:
        bench.figures.add(kind, init.name, [found[kind]], when)
