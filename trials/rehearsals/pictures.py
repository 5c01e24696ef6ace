"""``python -m trials.rehearsals.pictures``: the pictures of docs/rehearsal.md, each a real stop."""

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

FOLDER = ROOT_DIRECTORY / "docs/pictures"
EXAMPLES = ROOT_DIRECTORY / "examples/rehearsal"
PORT = 8000  # of the servers in the pictures
CLIENT = f"{sys.executable} -IS client.py {PORT}"


@dataclass(frozen=True)
class Picture:
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


def _server(words: str) -> Plan:
    return Plan(tuple(words.split()), ready_port=PORT, load=CLIENT, beside=("tini",), after=0.5)


PICTURES = (
    Picture(
        "entrypoint",
        Plan(("./entrypoint.sh",), beside=("tini",)),
        ("tini", "pyinit"),
        (EXAMPLES / "entrypoint.sh", EXAMPLES / "helper.py"),
    ),
    Picture(
        "wrapper",
        Plan(("./wrapper.sh",), grace=5, beside=("none", "tini")),
        ("none", "tini", "pyinit"),
        (EXAMPLES / "wrapper.sh", EXAMPLES / "helper.py"),
    ),
    Picture(
        "gunicorn",
        _server(f"gunicorn -w 2 -b 127.0.0.1:{PORT} slow_page:application"),
        ("tini", "pyinit"),
        (SOURCES / "slow_page.py", SOURCES / "client.py"),
    ),
    Picture(
        "uvicorn",
        _server(f"uvicorn --port {PORT} --log-level warning stream:application"),
        ("tini", "pyinit"),
        (SOURCES / "stream.py", SOURCES / "client.py"),
    ),
    Picture(
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


def main() -> None:
    """Make those whose names are given, or all."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["SECONDS"] = "2"  # that a page of slow_page.py takes
    wanted = sys.argv[1:]
    for picture in PICTURES:
        if not wanted or picture.name in wanted:
            _make(picture)


def _make(picture: Picture) -> None:
    with tempfile.TemporaryDirectory(prefix="rehearsals-") as folder:
        for file in picture.files:
            shutil.copy(file, folder)
        os.chdir(folder)
        runs = {run.init: run for run in cli.rehearse(picture.plan, print, print)}
        os.chdir(ROOT_DIRECTORY)
    drawn = svg.render([runs[init] for init in picture.order])
    text = drawn.replace(f"{sys.prefix}/bin/", "")  # what is a path of this machine says nothing
    (FOLDER / f"{picture.name}.svg").write_text(text)


if __name__ == "__main__":
    main()
