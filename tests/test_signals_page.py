"""docs/signals.md lists every signal, and what the kernel does with it without a handler."""

import os
import re
import signal
import subprocess

from testkit.programs import ROOT_DIRECTORY

PAGE = (ROOT_DIRECTORY / "docs/signals.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| `SIG(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
TABLE = {int(number): (name, action) for number, name, action in ROWS}
SAFE = 7


def outcome(number: int) -> str:
    """Return what becomes of a process that gets a signal and does not handle it."""
    script = f"ulimit -c 0; kill -{number} $$; exit {SAFE}"
    # In a group of its own, which is not orphaned: in one that is no terminal stops it.
    process = subprocess.Popen(["sh", "-c", script], process_group=0)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        process.kill()
        return "stops"
    process.returncode = os.waitstatus_to_exitcode(status)
    return "lives" if process.returncode == SAFE else "dies"


def test_table_has_every_signal():
    """Number and name of each standard signal stand in the table."""
    assert {int(n): n.name[3:] for n in map(signal.Signals, range(1, 32))} == {
        number: name for number, (name, _) in TABLE.items()
    }


def test_default_actions_are_the_kernels():
    """What the table calls the default action is what happens."""
    expected = {"Term": "dies", "Core": "dies", "Stop": "stops", "Cont": "lives", "Ign": "lives"}

    assert {number: expected[action] for number, (_, action) in TABLE.items()} == {
        number: outcome(number) for number in TABLE
    }
