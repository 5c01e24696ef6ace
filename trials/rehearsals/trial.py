"""Rehearse the stop of a program, and compare the report with the expected one."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pyinit.rehearse.model import GRACEFUL
from testkit.programs import PYINIT, ROOT_DIRECTORY, filled
from trials.hung.program import SOURCES as HUNG
from trials.programs.trial import PATH, free_port
from trials.rehearsals.case import SOURCES, Case

REHEARSE = str(Path(PYINIT).with_name("pyinit-rehearse"))
SECONDS = 180.0  # for a whole rehearsal
FRAMEWORKS = ROOT_DIRECTORY / "examples" / "frameworks"
NOTEBOOK = ROOT_DIRECTORY / "trials" / "programs" / "notebook.py"
PATTERNS = ("cause", "advice", "leak", "left")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


class FailedError(Exception):
    """A stop could not be rehearsed."""

    def __init__(self, case: Case, text: str) -> None:
        """Name the case, with its output."""
        super().__init__(f"{case.name}: {text}")


def rehearse(case: Case, *, as_nobody: bool = False) -> dict[str, Any]:
    """Rehearse a stop under one init and return the run, as in the JSON report.

    Args:
        case: what to rehearse.
        as_nobody: whether to do so as another user, which needs root.

    Raises:
        FailedError: it could not be rehearsed.
    """
    (run,) = rehearse_all(case, as_nobody=as_nobody)
    return run


def rehearse_all(case: Case, *, as_nobody: bool = False) -> list[dict[str, Any]]:
    """Rehearse a stop and return a run for each init. The first one has the exit code.

    Args:
        case: what to rehearse.
        as_nobody: whether to do so as another user, which needs root.

    Raises:
        FailedError: it could not be rehearsed.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsals-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        places = _places(folder)
        if case.configuration:
            text = (SOURCES / case.configuration).read_text()
            (folder / case.configuration).write_text(*filled([text], places))
        seen = folder / "seen"
        options = ("--json", str(seen), "--grace", f"{case.grace}", *case.options)
        command = [
            *((*_opened(folder), *NOBODY) if as_nobody else ()),
            *filled([REHEARSE, *options, "--", *case.command], places),
        ]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, errors="replace",
                stdin=subprocess.DEVNULL, timeout=SECONDS, cwd=name, start_new_session=True,
                env={**os.environ, "PATH": PATH, "HOME": name},
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise FailedError(case, "no end") from error
        if not seen.exists():
            raise FailedError(case, done.stderr or done.stdout)
        runs: list[dict[str, Any]] = json.loads(seen.read_text())["runs"]
    runs[0]["exit_code"] = done.returncode
    return runs


def complaints(case: Case, run: dict[str, Any]) -> list[str]:
    """Return what is not as expected; an empty list if everything is.

    Args:
        case: what was rehearsed.
        run: the run.
    """
    found = []
    if run["verdict"] != case.verdict:
        found.append(f"verdict: expected {case.verdict}, seen {run['verdict']}: {run['cause']}")
    if run["exit_code"] != (run["verdict"] != GRACEFUL):
        found.append(f"{run['verdict']} has exit code {run['exit_code']}")
    said = {
        "cause": [run["cause"]],
        "advice": run["advice"],
        "leak": [f"{leak['kind']} {leak['name']}" for leak in run["leaks"] if leak["counts"]],
        "left": [each["name"] for each in run["processes"] if each["is_left"]],
    }
    for what in PATTERNS:
        pattern = getattr(case, what)
        if not any(re.search(pattern, each) for each in said[what] or [""]):
            found.append(f"{what}: expected {pattern!r}, seen {said[what]}")
    if said["leak"] and not case.leak:
        found.append(f"leak: expected none, seen {said['leak']}")
    return found


def _places(folder: Path) -> dict[str, str]:
    """Return the values for the words of a case."""
    return {
        "PYTHON": sys.executable,
        "SOURCES": str(SOURCES),
        "FRAMEWORKS": str(FRAMEWORKS),
        "NOTEBOOK": str(NOTEBOOK),
        "HUNG": str(HUNG),
        "FOLDER": str(folder),
        "PORT": str(free_port()),
        "PHP": max(map(str, Path("/usr/sbin").glob("php-fpm*")), default="php-fpm"),
    }


def _opened(folder: Path) -> list[str]:
    """Return a command that gives another user access to all needed files, in a mount namespace.

    Args:
        folder: a folder in which it may make others.
    """
    needed = (ROOT_DIRECTORY, Path(sys.prefix), Path(sys.base_prefix))
    closed = {path: above for path in needed if (above := _closed(path))}
    stages = {path: folder / f"mount-{number}" for number, path in enumerate(closed)}
    words = [
        *(("mkdir", stage) for stage in stages.values()),
        *(("mount", "--bind", path, stage) for path, stage in stages.items()),
        *(("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", each) for each in {*closed.values()}),
        *(("mkdir", "-p", path) for path in closed),
        *(("mount", "--move", stage, path) for path, stage in stages.items()),
    ]
    lines = [*(shlex.join(map(str, line)) for line in words), 'exec "$@"']
    return ["unshare", "--mount", "sh", "-ec", "\n".join(lines), "sh"]


def _closed(path: Path) -> Path | None:
    """Return the folder above a path that lets no other user through; None if each one does."""
    closed = (each for each in reversed(path.parents) if not each.stat().st_mode & stat.S_IXOTH)
    return next(closed, None)
