"""``python -m trials.platforms.arm64``: pyinit on arm64, in the emulator of qemu; as root.

Programs for arm64 run in a user namespace that knows the emulator, so the machine is not changed.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testkit import roots
from trials.platforms import checks

EMULATOR = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
REGISTER = """
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
tr -d '\\n' <"$0" >/proc/sys/fs/binfmt_misc/register
"""
PYTHON = "/usr/bin/python3"
PACKAGES = "usr/lib/python3/dist-packages"
NEVER = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
FAULTS = {signal.SIGILL, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV}
SHIFT = 2  # qemu keeps two real-time signals for itself, and moves the others
CANNOT = """\
What the emulator cannot show:
- a subreaper: it refuses PR_SET_CHILD_SUBREAPER, so pyinit warns and goes on without;
- the signals of faults (ILL, TRAP, BUS, FPE, SEGV): a child that gets one may crash in it;
- signals 63 and 64: it keeps two real-time signals for itself;
- what --inspect says about signals that a process waits for: only the emulator knows these;
- how long anything takes."""


@contextlib.contextmanager
def emulating() -> Iterator[tuple[str, ...]]:
    """Yield the prefix of a command that lets it run programs for arm64."""
    holder = ("unshare", "--user", "--mount", "sh", "-c", "echo; exec cat")
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()  # now it is in its namespaces
        for kind in ("uid", "gid"):
            Path(f"/proc/{process.pid}/{kind}_map").write_text("0 0 4294967295")
        enter = ("nsenter", "--user", "--mount", "--target", str(process.pid))
        subprocess.run([*enter, "sh", "-ec", REGISTER, str(EMULATOR)], check=True)
        yield enter
        process.stdin.close()


def install(directory: Path) -> None:
    """Install the wheel that `make` has built, and the listener."""
    (wheel,) = Path(sys.prefix, "dist").glob("*.whl")
    target = directory / PACKAGES
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run(
        [*pip, "--no-deps", "--upgrade", "--no-compile", "--target", target, wheel], check=True
    )
    for command in (target / "bin").iterdir():
        lines = command.read_text().partition("\n")
        installed = directory / "usr/bin" / command.name
        installed.write_text(f"#!{PYTHON}\n{lines[2]}")
        installed.chmod(0o755)
    shutil.copy(checks.LISTENER, directory / "var/tmp")


def main() -> None:
    """Make the root file system, and check."""
    directory = roots.make("arm64")
    install(directory)
    with emulating() as prefix:
        place = checks.Place(
            directory=directory,
            python=PYTHON,
            signals=sorted(set(range(1, 65 - SHIFT)) - NEVER - FAULTS - {32, 33, 37}),
            is_subreaper=False,
            blocks=True,
            emulated=True,
            shift=SHIFT,
            prefix=prefix,
        )
        # Compiled once: structlog takes the emulator half a minute, longer than a log may take.
        load = "import platform, prctl, structlog, pyinit.init; print(platform.machine())"
        machine = place.run(PYTHON, "-c", load)
        print(machine.out.strip(), machine.err.strip())
        passed = checks.check(place)
    print(CANNOT)
    sys.exit(not passed)


if __name__ == "__main__":
    main()
