"""One attempt: a way to outlive a time limit, under what is to keep that, in a namespace."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EBUSY
from pathlib import Path

from testkit.namespaces import MAY_READ, ROOT, UNSHARE, UNSHARE_TIED
from testkit.processes import until
from testkit.programs import PYTHON, compile_c
from trials.escapes.catalogue import CGROUP, HELPER, Tool, Way

SOURCES = Path(__file__).parent
NOBODY = 65534
SECONDS = 120.0  # for an attempt as a whole; then it is an error
MOST_PROCESSES = 4000  # in an attempt; who fills the machine is felt by all others on it
LIMITED = ("prlimit", f"--nproc={MOST_PROCESSES}")  # which binds everybody but root
ENTER = ("sh", "-c", 'echo 0 >"$0/cgroup.procs"; exec "$@"')


class FailedError(Exception):
    """An attempt did not come to its end."""

    def __init__(self, way: Way, tool: Tool, text: str) -> None:
        """Say which, and what was written."""
        super().__init__(f"{way.name} under {tool.name}: {text}")


@dataclass(frozen=True)
class Seen:
    """What came of an attempt.

    Attributes:
        survivors: how many processes lived on.
        names: what they are called.
        code: what the tool left with; None where it had to be waited for too long.
        left, quiet: when the tool had left and when nobody was left, in seconds from the limit;
            None for never.
        told: what the tool wrote to stderr.
    """

    survivors: int
    names: list[str]
    code: int | None
    left: float | None
    quiet: float | None
    told: str


class Stage:
    """Where attempts take place: a folder with the program, which every user may enter."""

    def __init__(self, folder: Path) -> None:
        """Compile the program, and give the right of root to a copy of it.

        Args:
            folder: where it goes; not on a file system that is mounted nosuid.
        """
        folder.chmod(0o755)
        self._folder = folder
        self._program = compile_c(SOURCES / "ways.c", folder, "-pthread")
        if ROOT:
            helper = folder / "helper"
            shutil.copy(self._program, helper)
            helper.chmod(0o4755)

    def missing(self, way: Way, *, as_nobody: bool) -> str:
        """Return what a way needs and cannot have here; empty where it can be tried."""
        if way.needs == HELPER:
            return "" if ROOT else way.needs
        if way.needs == CGROUP:
            return "" if ROOT and not as_nobody and _own_cgroup() else way.needs
        return ""

    def attempt(self, way: Way, tool: Tool, *, as_nobody: bool = False) -> Seen:
        """Try a way under a tool.

        Args:
            way: the way.
            tool: what is to keep the limit.
            as_nobody: whether both run as another user; takes root.

        Raises:
            FailedError: it could not be tried.
        """
        may_read = MAY_READ if tool.is_python else ()
        become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *may_read)
        with self._place(way) as place, _bounds() as bounds:
            command = [
                *((*ENTER, bounds) if bounds else LIMITED),
                *(*UNSHARE_TIED, "--ipc"),
                *(*PYTHON, str(SOURCES / "referee.py"), str(tool.limit)),
                "inner" if tool.is_pid1 else "outer",
                *(UNSHARE if tool.is_pid1 else ()),
                *(become if as_nobody else ()),
                *tool.words,
                *(str(self._program), way.name, place),
            ]
            try:
                done = subprocess.run(
                    command, check=False, capture_output=True, text=True, errors="replace",
                    timeout=SECONDS, start_new_session=True, cwd="/",
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise FailedError(way, tool, "no end") from error
        if done.returncode:
            raise FailedError(way, tool, done.stderr)
        return Seen(**json.loads(done.stdout), told=done.stderr)

    @contextlib.contextmanager
    def _place(self, way: Way) -> Iterator[str]:
        if way.needs != CGROUP:
            yield str(self._folder)
            return
        name = tempfile.mkdtemp(prefix="pyinit-escapes-", dir=_own_cgroup())
        try:
            yield name
        finally:
            os.rmdir(name)  # nobody is in it any more: the namespace has ended


@contextlib.contextmanager
def _bounds() -> Iterator[str]:
    """Make a cgroup that bounds the number of processes; empty where that is not to be had."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [
        fields[1]
        for fields in mounts
        if fields[2] == "cgroup2" or (fields[2] == "cgroup" and "pids" in fields[3].split(","))
    ]
    made = ""
    for root in roots if ROOT else ():
        with contextlib.suppress(OSError):  # it is read-only, say
            made = tempfile.mkdtemp(prefix="pyinit-escapes-", dir=root)
            with contextlib.suppress(FileNotFoundError, PermissionError):
                Path(made, "pids.max").write_text(f"{MOST_PROCESSES}\n")
                break
            os.rmdir(made)
            made = ""
    try:
        yield made
    finally:
        if made:  # who has ended leaves it a moment later
            until(lambda: not _remove(made))


def _remove(cgroup: str) -> int:
    """Remove a cgroup; return the errno, 0 for none."""
    try:
        os.rmdir(cgroup)
    except OSError as error:
        return error.errno or EBUSY
    return 0


def _own_cgroup() -> str:
    """Return the directory of this process's cgroup (v2); empty where none may be made there."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::") and roots:
            own = roots[0] + line.removeprefix("0::").rstrip("/")
            return own if os.access(own, os.W_OK) else ""
    return ""
