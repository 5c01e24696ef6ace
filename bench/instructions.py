"""Instructions, from start to end and before the fork: the same on a busy machine."""

import re
import subprocess
from pathlib import Path

from bench.bench import Bench
from bench.errors import BenchError
from bench.inits import BARE
from bench.tools import run
from testkit.namespaces import UNSHARE_TIED


def measure(bench: Bench) -> None:
    """Count with callgrind: virtual machines often lack the hardware counters of `perf`."""
    for init in bench.turns(bench.plan.instructions):
        workload = () if init.kind == BARE else bench.tools.workload("first")
        parts = _count(bench.scratch, (*init.command, *workload))
        bench.figures.add("instructions", init.name, [sum(parts)])
        if init.boot:
            bench.figures.add("before fork", init.name, parts[:1])
            bench.figures.add("boot", init.name, _count(bench.scratch, init.boot)[:1])


def _count(scratch: Path, command: tuple[str, ...]) -> list[int]:
    """Return the instructions of PID 1 up to each fork, and then to the end.

    Only its last program counts (not env before an exec), and not what its child does.
    """
    for profile in scratch.glob("callgrind.*"):
        profile.unlink()
    tool = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={scratch}/callgrind.%p")
    follow = ("--trace-children=yes", "--trace-children-skip=*/inside")  # env execs Python
    at_fork = "--dump-before=fork"  # of the C library; strip keeps dynamic names
    run((*UNSHARE_TIED, "--", *tool, *follow, at_fork, *command), stdout=subprocess.DEVNULL)
    parts = [_total(profile) for profile in _profiles(scratch)]
    if not parts:
        message = f"callgrind counted no instructions of {command[0]}"
        raise BenchError(message)
    return parts


def _profiles(scratch: Path) -> list[Path]:
    """Return the files for PID 1: callgrind.1.1 and so on, one a fork, and then callgrind.1."""
    forks = sorted(scratch.glob("callgrind.1.*"), key=lambda profile: int(profile.suffix[1:]))
    return [*forks, *scratch.glob("callgrind.1")]


def _total(profile: Path) -> int:
    found = re.search(r"^totals: (\d+)", profile.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
