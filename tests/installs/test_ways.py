"""Each way to install pyinit of the table in docs/containers.md, without a compiler."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from testkit.namespaces import UNSHARE
from testkit.programs import ROOT_DIRECTORY

LAUNCHED = "env -S --block-signal"  # of the command that pyinit-launcher writes
SCRIPTS = Path(sys.executable).parent  # uv and pipx are there
AS_PID_1 = "unshare --pid --fork --propagation=unchanged --mount-proc"  # / is no mount there
READ_ONLY = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"'


@pytest.fixture
def folder():
    """Return a folder whose path leaves room in a #! line."""
    with tempfile.TemporaryDirectory(prefix="") as path:
        yield Path(path)


@pytest.fixture
def run(folder):
    """Run a program as a user with an empty home does; return what it wrote, both together."""
    path = f"{folder}/bin:{SCRIPTS}:{os.environ['PATH']}"
    environment = {
        **os.environ, "HOME": str(folder / "home"), "PATH": path,
        "UV_PYTHON_DOWNLOADS": "never", "UV_PYTHON": sys.executable, "UV_NO_CACHE": "1",
        "UV_TOOL_DIR": f"{folder}/tools", "UV_TOOL_BIN_DIR": f"{folder}/bin",
        "PIPX_HOME": f"{folder}/pipx", "PIPX_BIN_DIR": f"{folder}/bin",
    }  # fmt: skip

    def run_one(*command: object, code: int = 0) -> str:
        done = subprocess.run(
            list(map(str, command)), check=False, env=environment, cwd=folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert code == done.returncode, f"{command}: {done.stdout}"
        return done.stdout

    return run_one


@pytest.fixture
def wheel(dist):
    """Return the path of pyinit's wheel."""
    (path,) = dist.glob("pyinit_container-*.whl")
    return path


def check_events(output: str) -> None:
    """Check the log of a pyinit that was not PID 1: orphans are adopted, structlog writes it."""
    told = {event["event"]: event for event in map(json.loads, output.splitlines())}

    assert told["not_pid1"]["subreaper"]
    assert (3, "info") == (told["child_exited"]["code"], told["child_exited"]["level"])
    assert not any(event["level"] == "warning" for event in told.values()), told


def check(run, pyinit: Path) -> None:
    """Check a command: as PID 1, off it, and once pyinit-launcher has written it anew, again."""
    works(run, pyinit)
    run(f"{pyinit}-launcher", pyinit)
    assert LAUNCHED in pyinit.read_text().splitlines()[0]
    works(run, pyinit)


def works(run, pyinit: Path) -> None:
    """Check what comes back when it is not PID 1, and when it is."""
    command = (pyinit, "-v", "--", "sh", "-c", "exit 3")
    check_events(run(*command, code=3))
    run(*UNSHARE, *command, code=3)


def environment_with(run, folder: Path, wheel: Path, *options: str) -> Path:
    """Make a virtual environment with pyinit and return its folder of commands."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install")
    run(*pip, "--no-deps", *options, "--find-links", wheel.parent, wheel, "structlog")
    return folder / "bin"


def test_uv_pip(run, folder, wheel):
    """uv pip: nothing is compiled unless it is told to."""
    run("uv", "venv", folder / "venv")
    install = ("uv", "pip", "install", "--python", folder / "venv", "--no-deps")
    run(*install, wheel, "structlog")
    assert [] == list((folder / "venv").rglob("*.pyc"))
    check(run, folder / "venv" / "bin" / "pyinit")
    run(*install, "--compile-bytecode", "--reinstall", wheel, "structlog")

    assert list((folder / "venv").rglob("pyinit/__pycache__/init.*.pyc"))


def test_uv_tool(run, folder, wheel):
    """uv tool resolves every dependency, unless a file excludes one."""
    (folder / "excludes.txt").write_text("python-prctl\n")
    run("uv", "tool", "install", "--excludes", "excludes.txt", wheel)
    check(run, folder / "bin" / "pyinit")


def test_pipx(run, folder, wheel):
    """pipx wants every dependency to be there: it takes the wheel of python-prctl from dist/."""
    refused = run("pipx", "install", "--pip-args=--no-deps", wheel, code=1)
    assert "python-prctl" in refused
    run("pipx", "install", f"--pip-args=--find-links={wheel.parent}", wheel)
    check(run, folder / "bin" / "pyinit")


def test_pip_editable(run, folder):
    """pip install -e: the commands are those of a wheel, and the modules those of the tree."""
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps")
    run(*pip, "-e", ROOT_DIRECTORY, "structlog")
    check(run, folder / "venv" / "bin" / "pyinit")
    found = run(python, "-c", "import pyinit; print(pyinit.__file__)")

    assert str(ROOT_DIRECTORY / "pyinit" / "__init__.py") == found.strip()


def test_moved_environment(run, folder, wheel):
    """A command names its interpreter by its path: one command writes it anew, in either form."""
    bin_folder = environment_with(run, folder / "one", wheel)
    for name in ("two", "three"):
        bin_folder.parent.rename(folder / name)
        bin_folder = folder / name / "bin"
        pyinit = bin_folder / "pyinit"
        run("sh", "-c", f"! {pyinit} true")
        run(bin_folder / "python", "-m", "pyinit", "--", "true")
        run(bin_folder / "python", f"{pyinit}-launcher", pyinit)
        works(run, pyinit)


def test_relocatable_environment(run, folder, wheel):
    """The one of uv that is made to be moved does without."""
    run("uv", "venv", "--relocatable", folder / "one")
    run("uv", "pip", "install", "--python", folder / "one", "--no-deps", wheel, "structlog")
    (folder / "one").rename(folder / "two")
    check(run, folder / "two" / "bin" / "pyinit")


def test_read_only(run, folder, wheel):
    """Where no bytecode is and none can be written pyinit works; the launcher's goes elsewhere."""
    bin_folder = environment_with(run, folder / "venv", wheel, "--no-compile")

    def run_there(*command: object, code: int = 0) -> str:
        return run(
            "unshare", "--mount", "sh", "-ec", READ_ONLY, folder / "venv", *command, code=code
        )

    works(run_there, bin_folder / "pyinit")
    refused = run_there(bin_folder / "pyinit-launcher", bin_folder / "pyinit", code=1)
    assert "cannot write into" in refused
    run_there(bin_folder / "pyinit-launcher", folder / "pyinit")
    works(run_there, folder / "pyinit")

    assert [] == list((folder / "venv").rglob("*.pyc"))


def inside_and_check(inside, install: str, pyinit: str) -> None:
    """Install it in Debian's Python; check the command, and what pyinit-launcher makes of it."""
    tried = f"{pyinit} -v -- sh -c 'exit 3'"
    for lines in (install, f"{pyinit}-launcher {pyinit}"):
        done = inside(lines)
        assert 0 == done.returncode, done.stderr
        done = inside(f"{tried}; exit $?")
        assert 3 == done.returncode, done.stderr
        check_events(done.stderr)
        assert 3 == inside(f"{AS_PID_1} {tried}").returncode


def test_pip_user(inside, wheel):
    """pip install --user: the command is in ~/.local/bin."""
    pip = f"pip install --user --no-deps --find-links /dist /dist/{shlex.quote(wheel.name)}"
    inside_and_check(inside, f"HOME=/root {pip} structlog", "/root/.local/bin/pyinit")


def test_debians_own_packages(inside, bare, wheel):
    """An externally managed Python, with both libraries out of Debian's own packages."""
    managed = "[externally-managed]\nError=it is\n"
    (marker,) = bare.glob("usr/lib/python3.*/site.py")
    marker.with_name("EXTERNALLY-MANAGED").write_text(managed)
    for library in Path("/usr/lib").glob("*/libcap.so.2*"):  # apt needs it, too
        shutil.copy(library, f"{bare}{library}")
    apt = "apt-get -qq update && apt-get install -qq --no-install-recommends"
    done = inside(f"{apt} python3-prctl python3-structlog")
    assert 0 == done.returncode, done.stderr
    name = f"/dist/{shlex.quote(wheel.name)}"
    assert "externally-managed" in inside(f"pip install --no-index {name}").stderr
    inside_and_check(
        inside,
        "python3 -m venv --system-site-packages --without-pip /opt/pyinit"
        f" && pip --python /opt/pyinit/bin/python install --no-index {name}",
        "/opt/pyinit/bin/pyinit",
    )
    install = f"pip install --break-system-packages --no-index {name} && pip check"
    inside_and_check(inside, install, "/usr/local/bin/pyinit")
