"""The programs of docs/frameworks: `make frameworks` stops all of them, these tests a few."""

import json
import re

import pytest

from pyinit.rehearse.model import GRACEFUL, LOST, VERDICTS
from testkit.programs import ROOT_DIRECTORY
from trials.frameworks import trial
from trials.frameworks.catalogue import CELERY, FASTAPI, FLASK, INITS, PAGES, STOPS

FOLDER = ROOT_DIRECTORY / "docs" / "frameworks"
README = (FOLDER / "README.md").read_text()
TABLE = README[README.index("<!-- frameworks: begin") : README.index("<!-- frameworks: end")]
ROWS = re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (.*?) \| .*? \| SIG(\w+) \|", TABLE, re.MULTILINE)
each = pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.case.name)
# Packages that only `make frameworks` installs are not here.
CHOSEN = [
    FASTAPI[0],  # uvicorn with a request
    FLASK[3],  # gunicorn, SIGINT
    CELERY[1],  # with -g, which loses a task that the verdict does not show
]


def signal_of(stop) -> str:
    options = stop.case.options
    return options[options.index("--signal") + 1] if "--signal" in options else "TERM"


@pytest.mark.parametrize("stop", CHOSEN, ids=lambda stop: stop.case.name)
def test_stop_ends_as_the_page_says(stop):
    with trial.broker():
        runs = trial.stop(stop)

    assert [] == trial.complaints(stop, runs), json.dumps(runs, indent=1)


def test_other_ends_are_noticed():
    """A complaint follows another verdict, lost work, and work that should have been lost."""
    stop = CELERY[0]
    done = {"verdict": GRACEFUL, "cause": "", "output": [f"x {stop.work}"]}
    lost = {**done, "output": []}

    assert [] == trial.complaints(stop, [done] * len(INITS))
    assert 1 == len(trial.complaints(stop, [done, lost, done]))
    assert 1 == len(trial.complaints(stop, [done, done, {**done, "verdict": LOST}]))
    assert 1 == len(trial.complaints(CELERY[1], [done]))


@each
def test_stop_is_well_formed(stop):
    """Its verdicts exist, and it is tried under all inits unless it has options of pyinit."""
    assert all({*verdict.split("|")} <= set(VERDICTS) for verdict in stop.verdicts)
    assert stop.inits in (INITS, INITS[:1])
    assert (stop.inits == INITS) == (stop.case.command[0] != "pyinit")
    assert set(stop.done_under) <= set(INITS)


def test_table_of_the_page_has_every_stop():
    """`make frameworks` has written it from this catalogue."""
    catalogue = [
        (page, stop.case.name, signal_of(stop)) for page, stops in PAGES.items() for stop in stops
    ]

    assert catalogue == ROWS


def test_every_page_is_in_the_index():
    """Every page whose programs are stopped exists."""
    pages = {path.stem for path in FOLDER.glob("*.md")} - {"README"}
    index = README[: README.index("## What was seen")]

    assert pages == set(re.findall(r"^\| \[[^]]+\]\((\w+)\.md\) \|", index, re.MULTILINE))
    assert set(PAGES) <= pages
