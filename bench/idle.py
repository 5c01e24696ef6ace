"""Idle: how often an init wakes up while nothing happens, and the CPU time that it uses."""

import contextlib
import select

from bench.bench import Bench
from bench.errors import BenchError
from bench.tools import Held, held
from testkit import usage

KINDS = ("wakeups", "ticks", "idle cpu")


def measure(bench: Bench) -> None:
    """Wait while all inits run at the same time. None of them has anything to do."""
    with contextlib.ExitStack() as stack:
        running = {
            init.name: stack.enter_context(
                held((*init.command, *bench.tools.workload("rest"))),
            )
            for init in bench.reapers
        }
        before = {name: _look(process) for name, process in running.items()}
        _wait(list(running.values()), bench.plan.idle_seconds)
        for name, process in running.items():
            for what, then, now in zip(KINDS, before[name], _look(process), strict=True):
                bench.figures.add(what, name, [now - then])
    bench.figures.add("idle seconds", "", [bench.plan.idle_seconds])


def _look(process: Held) -> tuple[int, int, int]:
    pid = process.init
    usage.settle(pid)
    return usage.wakeups(pid), usage.ticks(pid), usage.cpu_ns(pid)


def _wait(running: list[Held], seconds: float) -> None:
    """Wait until the time is over; an init that exits before that is an error."""
    if select.select(running, [], [], seconds)[0]:
        message = "idle: an init exited, but nothing asked it to"
        raise BenchError(message)
