"""Fixtures: what `make dist` wrote, and root file systems to install it in."""

import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT_DIRECTORY = Path(__file__).parent.parent.parent
sys.path.append(str(ROOT_DIRECTORY))  # for testkit

from testkit import roots

DIST = ROOT_DIRECTORY / "dist"  # of `make dist`, which `make installs` runs first

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Inside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dist() -> Path:
    """Return the folder with the distributions."""
    assert (DIST / "SHA256SUMS").exists(), "run `make dist` first, or the tests by `make installs`"
    return DIST


@pytest.fixture(scope="session")
def pristine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the root file system once, by whichever worker comes first; nobody changes it."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if hasattr(request.config, "workerinput") else shared
    with (shared / "roots.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return roots.make("bare")


@pytest.fixture
def bare(pristine: Path):
    """Return a copy of testkit's root file system `bare`, with dist/ as /dist, for one test.

    It has Debian 12's Python and pip, and neither a compiler nor libcap.
    """
    # Not in pytest's own folders, which outlive three runs: a copy has 200 MB.
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "root")
        subprocess.run(["cp", "--archive", pristine, directory], check=True)
        shutil.copytree(DIST, directory / "dist")
        yield directory


@pytest.fixture
def inside(bare: Path) -> Inside:
    """Run lines of sh in `bare` and return what came of it; /tmp there is empty each time."""

    def run(lines: str, **how) -> subprocess.CompletedProcess[str]:
        command = roots.entering(bare, "/usr/bin/env", "-i", f"PATH={PATH}", "sh", "-c", lines)
        return subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, **how
        )

    return run
