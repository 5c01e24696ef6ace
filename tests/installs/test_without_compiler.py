"""The first install line of README.md, where there is neither a compiler nor libcap."""

import json
import re

from testkit.programs import ROOT_DIRECTORY

README = (ROOT_DIRECTORY / "README.md").read_text()
# Its first line stands for a clone; the source archive has the same files.
CLONE = "tar -x -f /dist/pyinit_container-*.tar.gz -C /tmp && cd /tmp/pyinit_container-*"
LACKING = """
! command -v gcc cc || exit 1
! python3 -c 'import ctypes; ctypes.CDLL("libcap.so.2")' 2>/dev/null
"""


def first_line() -> str:
    """Return the command that README.md gives first."""
    return re.search(r"^\$ (pip install .*)$", README, re.MULTILINE)[1]


def test_readme_installs_it_without_a_compiler(inside):
    """Everything is there: as PID 1, and off it, where orphans are adopted through ctypes."""
    assert 0 == inside(LACKING).returncode
    lines = f"{CLONE} && {first_line()} && cd / && ! python3 -c 'import prctl' 2>/dev/null"
    installed = inside(lines)
    assert 0 == installed.returncode, installed.stderr

    first = inside(
        "unshare --pid --fork --mount-proc --propagation=unchanged pyinit -v -- sh -c 'exit 3'"
    )
    other = inside("pyinit -v -- sh -c 'exit 3'; exit $?")
    as_pid1, off_pid1 = (
        {event["event"]: event for event in map(json.loads, done.stderr.splitlines())}
        for done in (first, other)
    )

    assert (3, 3) == (first.returncode, other.returncode)
    assert (3, 3) == tuple(told["child_exited"]["code"] for told in (as_pid1, off_pid1))
    assert "not_pid1" not in as_pid1
    assert off_pid1["not_pid1"]["subreaper"]
    assert "warning" not in {event["level"] for event in off_pid1.values()}
