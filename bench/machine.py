"""On what it was measured."""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench import interpreters
from bench.interpreters import Interpreter


def describe(beside: Interpreter | None) -> list[str]:
    """Return lines on the machine and the versions of what was measured."""
    memory = _found(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), "0")
    processor = _found(
        r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), platform.machine()
    )
    return [
        (
            f"{os.cpu_count()} processors ({processor}), {int(memory) // 1024} MB, "
            f"Linux {platform.release()}"
        ),
        *(python.describe() for python in (interpreters.own(), beside) if python),
        ", ".join(f"{name} {_version(name)}" for name in ("tini", "dumb-init", "catatonit")),
    ]


def load() -> str:
    """Return the load averages: where they are not small, times are not worth much."""
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def _version(name: str) -> str:
    run = subprocess.run((name, "--version"), check=False, capture_output=True, text=True)
    return _found(r"(\d+(?:\.\d+)+)", run.stdout + run.stderr, "unknown")


def _found(pattern: str, text: str, otherwise: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else otherwise
