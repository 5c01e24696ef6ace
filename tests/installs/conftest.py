"""Fixtures: what `make dist` wrote, and root file systems to install it in."""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT_DIRECTORY = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT_DIRECTORY))  # for testkit

from testkit import roots

DIST = ROOT_DIRECTORY / "dist"  # of `make dist`, which `make installs` runs first

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What is written to the root file system $0 goes to memory; $1/root is both.
LAYER = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
echo made
read -r line
"""
Inside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dist() -> Path:
    """Return the folder with the distributions."""
    assert (DIST / "SHA256SUMS").exists(), "run `make dist` first, or the tests by `make installs`"
    return DIST


@pytest.fixture(scope="session")
def pristine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the root file system once, in the first worker; it is not changed after that."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if hasattr(request.config, "workerinput") else shared
    with (shared / "roots.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return roots.make("bare")


@pytest.fixture
def holder(pristine: Path, tmp_path: Path):
    """Return a process in whose mount namespace `bare` can be written to, in memory."""
    command = ["unshare", "--mount", "sh", "-ec", LAYER, str(pristine), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert "made\n" == process.stdout.readline()
        yield process  # it ends when its stdin is closed


@pytest.fixture
def bare(holder: subprocess.Popen[str], tmp_path: Path) -> Path:
    """Return testkit's root file system `bare`, with dist/ as /dist, for one test.

    It has Debian 12's Python and pip, and neither a compiler nor libcap.
    """
    directory = Path(f"/proc/{holder.pid}/root{tmp_path}/root")
    shutil.copytree(DIST, directory / "dist")
    return directory


@pytest.fixture
def inside(bare: Path) -> Inside:
    """Run lines of sh in `bare` and return what came of it; /tmp there is empty each time."""
    pid, path = re.fullmatch(r"/proc/(\d+)/root(/.*)", str(bare)).groups()

    def run(lines: str, **how) -> subprocess.CompletedProcess[str]:
        environment = ("/usr/bin/env", "-i", f"PATH={PATH}")
        entering = roots.entering(Path(path), *environment, "sh", "-c", lines)
        return subprocess.run(
            ["nsenter", f"--target={pid}", "--mount", *entering],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, **how,
        )  # fmt: skip

    return run
