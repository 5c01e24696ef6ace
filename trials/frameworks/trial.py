"""Rehearse a stop under each init, and compare the runs with what is expected."""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from trials.frameworks.catalogue import Stop
from trials.programs.trial import free_port
from trials.rehearsals import trial

Runs = list[dict[str, Any]]


@contextlib.contextmanager
def broker() -> Iterator[None]:
    """Run a redis outside of the containers, and tell examples/frameworks/tasks.py where it is."""
    port = str(free_port())
    with tempfile.TemporaryDirectory() as folder:
        command = ("redis-server", "--port", port, "--dir", folder, "--save", "")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as redis:
            assert redis.stdout
            try:
                next(line for line in redis.stdout if "eady to accept connections" in line)
                os.environ["BROKER"] = f"redis://127.0.0.1:{port}/0"
                yield
            finally:
                os.environ.pop("BROKER", None)
                redis.terminate()


def stop(what: Stop) -> Runs:
    """Stop a program under each of its inits, and return the runs.

    Args:
        what: the program.

    Raises:
        trial.FailedError: it could not be rehearsed.
    """
    beside = ("--beside", ",".join(what.inits[1:])) if what.others else ()
    return trial.rehearse_all(replace(what.case, options=(*what.case.options, *beside)))


def is_done(what: Stop, run: dict[str, Any]) -> bool:
    """Return whether the program wrote that its work is done."""
    return any(what.work in line for line in run["output"])


def complaints(what: Stop, runs: Runs) -> list[str]:
    """Return what is not as expected; an empty list if everything is.

    Args:
        what: the program.
        runs: one for each init.
    """
    found = []
    for init, verdict, run in zip(what.inits, what.verdicts, runs, strict=True):
        if not re.fullmatch(verdict, run["verdict"]):
            found.append(f"{init}: expected {verdict}, seen {run['verdict']}: {run['cause']}")
        if what.work and is_done(what, run) != (init in what.done_under):
            found.append(f"{init}: expected the work to be done under {what.done_under} only")
    return found
