"""The machine that runs the benchmark: its versions, and whether it has other work to do."""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench import interpreters
from bench.interpreters import Interpreter

BUSY = 0.5  # of a process that wants to run, on average, for each processor


def describe(beside: Interpreter | None) -> list[str]:
    """Return lines that name the machine and the versions of what was measured."""
    memory = _found(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), "0")
    processor = _found(
        r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), platform.machine()
    )
    return [
        (
            f"{os.cpu_count()} processors ({processor}), {int(memory) // 1024} MB of memory, "
            f"Linux {platform.release()}"
        ),
        *(python.describe() for python in (interpreters.own(), beside) if python),
        ", ".join(f"{name} {_version(name)}" for name in ("tini", "dumb-init", "catatonit")),
    ]


def load() -> str:
    """Return the load averages of the last 1, 5 and 15 minutes."""
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def highest_load() -> float:
    """Return the load average above which the machine is too busy to measure times."""
    return BUSY * (os.cpu_count() or 1)


def _version(name: str) -> str:
    run = subprocess.run((name, "--version"), check=False, capture_output=True, text=True)
    return _found(r"(\d+(?:\.\d+)+)", run.stdout + run.stderr, "unknown")


def _found(pattern: str, text: str, otherwise: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else otherwise
