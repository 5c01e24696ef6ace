"""Stops of a program under several inits, each a real stop, drawn by `pyinit-rehearse`."""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pyinit.rehearse import cli
from pyinit.rehearse.model import Plan
from pyinit.rehearse.reports import svg
from testkit.programs import ROOT_DIRECTORY
from trials.hung.program import SOURCES as HUNG
from trials.rehearsals.case import SOURCES

EXAMPLES = ROOT_DIRECTORY / "examples/rehearsal"
FIRST = ROOT_DIRECTORY / "examples/first"
PORT = 8000  # of the servers in the pictures
CLIENT = f"{sys.executable} -IS client.py {PORT}"


@dataclass(frozen=True)
class Stop:
    """A picture of the stop of a program under several inits.

    Attributes:
        name: of its file.
        plan: what is rehearsed.
        order: the inits, from top to bottom.
        files: what the program consists of; each is copied to the folder that it is run in.
    """

    name: str
    plan: Plan
    order: tuple[str, ...]
    files: tuple[Path, ...]

    def picture(self) -> str:
        """Stop the program under each of the inits and return the picture."""
        with tempfile.TemporaryDirectory(prefix="rehearsals-") as folder:
            for file in self.files:
                shutil.copy(file, folder)
            os.chdir(folder)
            runs = {run.init: run for run in cli.rehearse(self.plan, print, print)}
            os.chdir(ROOT_DIRECTORY)
        drawn = svg.render([runs[init] for init in self.order])
        # What is a path of this machine says nothing.
        return drawn.replace(f"{sys.prefix}/bin/", "")


def _server(words: str) -> Plan:
    return Plan(tuple(words.split()), ready_port=PORT, load=CLIENT, beside=("tini",), after=0.5)


STOPS = (
    Stop(
        "first",
        Plan(("./start.sh",), grace=6, beside=("none", "tini")),
        ("none", "tini", "pyinit"),
        (FIRST / "start.sh", FIRST / "app.py"),
    ),
    Stop(
        "entrypoint",
        Plan(("./entrypoint.sh",), beside=("tini",)),
        ("tini", "pyinit"),
        (EXAMPLES / "entrypoint.sh", EXAMPLES / "helper.py"),
    ),
    Stop(
        "wrapper",
        Plan(("./wrapper.sh",), grace=5, beside=("none", "tini")),
        ("none", "tini", "pyinit"),
        (EXAMPLES / "wrapper.sh", EXAMPLES / "helper.py"),
    ),
    Stop(
        "gunicorn",
        _server(f"gunicorn -w 2 -b 127.0.0.1:{PORT} slow_page:application"),
        ("tini", "pyinit"),
        (SOURCES / "slow_page.py", SOURCES / "client.py"),
    ),
    Stop(
        "uvicorn",
        _server(f"uvicorn --port {PORT} --log-level warning stream:application"),
        ("tini", "pyinit"),
        (SOURCES / "stream.py", SOURCES / "client.py"),
    ),
    Stop(
        "celery",
        Plan(
            ("python", "celery_task.py", ".", "2"),
            grace=30,
            ready_when="ready",
            beside=("tini",),
        ),
        ("tini", "pyinit"),
        (HUNG / "celery_task.py",),
    ),
)
