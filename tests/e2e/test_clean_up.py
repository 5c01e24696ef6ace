"""Nothing is left of a run, also where it is interrupted: no process, mount, link or cgroup."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from private import PREFIX, hierarchies

from testkit.processes import children, only_child, until
from testkit.programs import PYINIT, ROOT_DIRECTORY

FOLDER = Path(__file__).parent
PRIVATE = [sys.executable, str(FOLDER / "private.py"), PYINIT, "--"]
ONE_CONTAINER = [*PRIVATE, sys.executable, str(FOLDER / "one_container.py")]
MAKE = ["make", "--no-print-directory", "do-e2e"]


class Seen:
    """What a run has made, while it runs."""

    def __init__(self, command: list[str]) -> None:
        self.before = surroundings()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        quickly = {**os.environ, "PYINIT_DRAIN": "1"}
        self.process = subprocess.Popen(
            command, cwd=ROOT_DIRECTORY, env=quickly, start_new_session=True, **pipes
        )
        self.names: set[str] = set()
        self.held: list[int] = []

    def look(self, awaited: str) -> None:
        """Wait for a line, then note which processes there are."""
        read = []
        while awaited not in "".join(read[-1:]):
            read.append(self.process.stdout.readline())
            assert read[-1], f"{awaited!r} did not come, but {read}"
        made_by_make = self.process.args == MAKE
        self.private = only_child(self.process.pid) if made_by_make else self.process.pid
        self.init = only_child(self.private)
        for pid in members(self.cgroups()[0]):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
                self.held.append(os.pidfd_open(pid))
                self.names.add(Path(f"/proc/{pid}/comm").read_text().strip())

    def cgroups(self) -> list[str]:
        """Return the cgroups of this run that are there."""
        found = [f"{at}/{PREFIX}{self.private}" for at in hierarchies()]
        return [path for path in found if os.path.exists(path)]

    def alive(self) -> int:
        """Return how many of those that were seen are alive after a while."""
        return sum(not select.select([held], [], [], 60)[0] for held in self.held)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        for held in self.held:
            os.close(held)


def members(group: str) -> list[int]:
    """Return the pids of all in a cgroup and those below it."""
    found = []
    for directory, _, _ in os.walk(group):
        with contextlib.suppress(OSError):  # it has just been removed
            found += map(int, Path(directory, "cgroup.procs").read_text().split())
    return found


def surroundings() -> tuple:
    """Return what a run must leave as it was: the mounts that it makes anew, and the links."""
    made = ("/etc", "/opt", "/var", "/run", "/dev", "/proc", "/sys")
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        fields = [line.split() for line in mounts]
    own = [line[:3] for line in fields if line[1].startswith(made) and "/run/" not in line[1]]
    return own, sorted(os.listdir("/sys/class/net"))


@pytest.fixture
def watch():
    """Run something, and look at what it has made."""
    runs = []

    def begin(command, awaited) -> Seen:
        runs.append(Seen(command))
        runs[-1].look(awaited)
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


def to_group(run: Seen) -> None:
    """Do what ^C does."""
    os.killpg(run.process.pid, signal.SIGINT)


def to_first(run: Seen) -> None:
    """Do what `kill` does."""
    run.process.terminate()


def to_command(run: Seen) -> None:
    """Kill the command under pyinit, as one does who kills pytest."""
    os.kill(children(run.init)[0], signal.SIGKILL)


@pytest.mark.parametrize("interrupt", [to_group, to_first, to_command])
def test_interrupted(watch, interrupt):
    """A daemon with a container that will not stop: all is gone when the run ends."""
    run = watch(ONE_CONTAINER, "ready")
    assert {"dockerd", "helpers"} <= run.names
    assert run.cgroups()
    interrupt(run)
    run.process.wait()

    assert (0, []) == (run.alive(), run.cgroups())
    assert run.before == surroundings()


def test_killed(watch):
    """SIGKILL leaves no process, and empty cgroups that the next run removes."""
    run = watch(ONE_CONTAINER, "ready")
    os.kill(run.private, signal.SIGKILL)
    run.process.wait()

    assert 0 == run.alive()
    assert run.before == surroundings()
    subprocess.run([*PRIVATE, "true"], check=True)
    assert [] == run.cgroups()


@pytest.mark.parametrize("interrupt", [to_group, to_first])
def test_make_interrupted(watch, interrupt):
    """`make e2e` itself, in the middle of its preparations."""
    run = watch(MAKE, "dockerd is up")
    interrupt(run)
    run.process.wait()

    assert until(lambda: not run.cgroups())
    assert 0 == run.alive()
    assert run.before == surroundings()


def test_code_of_the_command():
    """The run leaves with the code of its command."""
    assert 7 == subprocess.run([*PRIVATE, "sh", "-c", "exit 7"], check=False).returncode
