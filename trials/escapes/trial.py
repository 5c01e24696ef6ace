"""One attempt: a way to outlive a time limit, under a tool, in a namespace."""

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
SECONDS = 120.0  # for a whole attempt
MOST_PROCESSES = 4000  # of an attempt, so that it does not fill the machine
LIMITED = ("prlimit", f"--nproc={MOST_PROCESSES}")  # which has no effect for root
ENTER = ("sh", "-c", 'echo 0 >"$0/cgroup.procs"; exec "$@"')


class FailedError(Exception):
    """An attempt did not finish."""

    def __init__(self, way: Way, tool: Tool, text: str) -> None:
        """Name the attempt, with its output."""
        super().__init__(f"{way.name} under {tool.name}: {text}")


@dataclass(frozen=True)
class Seen:
    """The result of an attempt.

    Attributes:
        survivors: how many processes are left.
        names: their names.
        code: the exit code of the tool; None if it did not exit in time.
        left, quiet: when the tool had exited and when no process was left, in seconds after the
            limit; None for never.
        told: what the tool wrote to stderr.
    """

    survivors: int
    names: list[str]
    code: int | None
    left: float | None
    quiet: float | None
    told: str


class Stage:
    """The place of the attempts: a folder with the program, which every user may enter."""

    def __init__(self, folder: Path) -> None:
        """Compile the program, and make a copy of it set-user-ID root.

        Args:
            folder: for the program; its file system must not be mounted nosuid.
        """
        folder.chmod(0o755)
        self._folder = folder
        self._program = compile_c(SOURCES / "ways.c", folder, "-pthread")
        if ROOT:
            helper = folder / "helper"
            shutil.copy(self._program, helper)
            helper.chmod(0o4755)

    def missing(self, way: Way, *, as_nobody: bool) -> str:
        """Return what a way needs and cannot have here; empty if it can be tried."""
        if way.needs == HELPER:
            return "" if ROOT else way.needs
        if way.needs == CGROUP:
            return "" if ROOT and not as_nobody and _own_cgroup() else way.needs
        return ""

    def attempt(self, way: Way, tool: Tool, *, as_nobody: bool = False) -> Seen:
        """Try a way under a tool.

        Args:
            way: the way.
            tool: the tool that sets the limit.
            as_nobody: whether to run both as another user, which needs root.

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
            os.rmdir(name)  # it is empty, because the namespace has ended


@contextlib.contextmanager
def _bounds() -> Iterator[str]:
    """Make a cgroup that limits the number of processes; empty if that is not possible."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [
        fields[1]
        for fields in mounts
        if fields[2] == "cgroup2" or (fields[2] == "cgroup" and "pids" in fields[3].split(","))
    ]
    made = ""
    for root in roots if ROOT else ():
        with contextlib.suppress(OSError):  # for example, it is read-only
            made = tempfile.mkdtemp(prefix="pyinit-escapes-", dir=root)
            with contextlib.suppress(FileNotFoundError, PermissionError):
                Path(made, "pids.max").write_text(f"{MOST_PROCESSES}\n")
                break
            os.rmdir(made)
            made = ""
    try:
        yield made
    finally:
        if made:  # a process leaves it a moment after it has ended
            until(lambda: not _remove(made))


def _remove(cgroup: str) -> int:
    """Remove a cgroup; return the errno, 0 for none."""
    try:
        os.rmdir(cgroup)
    except OSError as error:
        return error.errno or EBUSY
    return 0


def _own_cgroup() -> str:
    """Return the directory of this process's cgroup (v2); empty if none may be made in it."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::") and roots:
            own = roots[0] + line.removeprefix("0::").rstrip("/")
            return own if os.access(own, os.W_OK) else ""
    return ""
