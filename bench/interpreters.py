"""The interpreters that pyinit is measured with: the one that runs this, and another one."""

import dataclasses
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from bench.errors import BenchError

# Debian builds with a profile and LTO on the usual processors, but removes these options from
# what sysconfig reports (Debian bug 934771).
FACTS = """
import importlib.metadata, json, platform, sysconfig
options = sysconfig.get_config_var("CONFIG_ARGS") or ""
debian = "deb_system" in sysconfig.get_scheme_names()
told = any(option in options for option in ("--enable-optimizations", "--with-lto"))
print(json.dumps({
    "python": f"{platform.python_implementation()} {platform.python_version()}",
    "build": "optimised" if told or debian else "not optimised",
    **{name: importlib.metadata.version(name) for name in ("pyinit-container", "structlog")},
}))
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter for which pyinit is installed.

    Attributes:
        label: the word behind its names in the tables; empty for the interpreter that runs this.
        program: its path.
        scripts: the folder of the commands that pip installed.
    """

    label: str
    program: str
    scripts: Path

    def describe(self) -> str:
        """Return its version, how it was built, and the versions of pyinit and structlog."""
        words = (self.program, "-I", "-c", FACTS)
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        facts = json.loads(done.stdout)
        begin = f"{self.label}: " if self.label else ""
        return (
            f"{begin}{facts['python']}, {facts['build']}, "
            f"pyinit {facts['pyinit-container']}, structlog {facts['structlog']}"
        )


def own() -> Interpreter:
    """Return the interpreter that runs this."""
    return Interpreter("", sys.executable, Path(sysconfig.get_path("scripts")))


def of_environment(folder: Path) -> Interpreter:
    """Return the interpreter of a virtual environment, labelled with the name of the folder."""
    scripts = folder.absolute() / "bin"
    found = Interpreter(folder.absolute().name, str(scripts / "python"), scripts)
    for needed in (found.program, scripts / "pyinit"):
        if not Path(needed).exists():
            message = f"{folder} is no environment with pyinit: there is no {needed}"
            raise BenchError(message)
    return found
