"""Instructions: a whole start and end, counted. They are the same on a busy machine."""

import re
import subprocess
from pathlib import Path

from bench.bench import Bench
from bench.errors import BenchError
from bench.inits import BARE
from bench.tools import run
from testkit.namespaces import UNSHARE_TIED


def measure(bench: Bench) -> None:
    """Count with callgrind: a virtual machine often has no counters of its own for `perf`."""
    for init in bench.turns(bench.plan.instructions):
        workload = () if init.kind == BARE else bench.tools.workload("first")
        count = _count(bench.scratch, (*init.command, *workload))
        bench.figures.add("instructions", init.name, [count])


def _count(scratch: Path, command: tuple[str, ...]) -> int:
    """Return the instructions of PID 1; where one program becomes another, of the last one.

    What its child does, from the fork on, is not in it.
    """
    profile = scratch / "callgrind.1"
    profile.unlink(missing_ok=True)
    tool = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={scratch}/callgrind.%p")
    follow = ("--trace-children=yes", "--trace-children-skip=*/inside")  # a launcher's exec
    run((*UNSHARE_TIED, "--", *tool, *follow, *command), stdout=subprocess.DEVNULL)
    found = re.search(r"^totals: (\d+)", _text(profile), re.MULTILINE)
    if not found:
        message = f"callgrind of {command[0]} counted nothing"
        raise BenchError(message)
    return int(found[1])


def _text(profile: Path) -> str:
    return profile.read_text() if profile.exists() else ""
