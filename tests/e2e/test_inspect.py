"""`pyinit --inspect` in a container, and on one from outside of it."""

import json
import subprocess

from containers import WITH_VICTIMS, listener

from testkit.processes import until
from testkit.programs import PYINIT

LOOP = ["-c", "echo ready; while :; do sleep infinity; done"]
TAKEN, DROPPED = "SIGTERM is taken: ", "SIGTERM is dropped, from inside and from outside: "


def from_outside(container) -> str:
    """Return the page for a container's first process, as on this machine."""
    command = [PYINIT, f"--inspect={container.pid}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_brought_in_below_pyinit(start):
    """`exec CONTAINER pyinit --inspect` sees what init takes, without a capability more."""
    container = start(*listener(0), options=WITH_VICTIMS)
    container.line("ready")
    assert until(lambda: TAKEN in container.inside("pyinit", "--inspect"))
    told = json.loads(container.inside("pyinit", "--inspect", "--json"))
    child = container.inside("pyinit", f"--inspect={told['children'][0]}")

    assert all(each["sure"] for each in told["signals"])
    assert "SIGTERM is taken: " in child


def test_brought_in_beside_a_shell(start):
    """In an image that has pyinit it need not be PID 1 to say why the container does not stop."""
    container = start(*LOOP, options=["--entrypoint=sh"])
    container.line("ready")

    assert DROPPED in container.inside("pyinit", "--inspect")


def test_from_outside(start):
    """A container without pyinit is inspected from outside, by the pid that the engine has."""
    container = start(*LOOP, options=["--entrypoint=sh"])
    container.line("ready")
    page = from_outside(container)

    assert DROPPED in page
    assert "PID 1 of a PID namespace below this one" in page.splitlines()[0]
