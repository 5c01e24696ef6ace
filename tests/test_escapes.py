"""No process outlives a limit: the ways of `make escapes`, which tries each of them many times."""

import tempfile
from pathlib import Path

import pytest

from testkit.namespaces import ROOT
from trials.escapes.catalogue import TOOLS, WAYS
from trials.escapes.trial import Stage

BY_NAME = {way.name: way for way in WAYS}
STORM = "relays"  # it would keep the machine from the tests beside it
TRIED = [way for way in WAYS if way.name not in {"user", STORM}]
PYINIT, AS_PID1 = (tool for tool in TOOLS if tool.is_ours)
OTHERS = {tool.name.strip("`"): tool for tool in TOOLS if not tool.is_ours}
USERS = pytest.mark.parametrize(
    "as_nobody", [False, *([True] if ROOT else [])], ids=["own-user", "nobody"][: 1 + ROOT]
)


@pytest.fixture(scope="module")
def stage():
    """Return a place for attempts, which every user may enter."""
    with tempfile.TemporaryDirectory(prefix="escapes-") as name:
        yield Stage(Path(name))


def attempt(stage, way, tool, *, as_nobody=False):
    if missing := stage.missing(way, as_nobody=as_nobody):
        pytest.skip(f"it takes {missing}")
    return stage.attempt(way, tool, as_nobody=as_nobody)


@USERS
@pytest.mark.parametrize("way", TRIED, ids=lambda way: way.name)
def test_nobody_escapes(stage, way, as_nobody):
    """When pyinit is not PID 1 no process is left when it exits; twice, because some have luck."""
    for _ in range(2):
        seen = attempt(stage, way, PYINIT, as_nobody=as_nobody)

        assert (0, []) == (seen.survivors, seen.names), seen
        assert seen.code is not None


@pytest.mark.parametrize("name", ["relay", "bomb", "guards", "pid-namespace"])
def test_nobody_escapes_from_pid1(stage, name):
    """As PID 1 the kernel helps, and pyinit exits in time."""
    seen = attempt(stage, BY_NAME[name], AS_PID1)

    assert (0, []) == (seen.survivors, seen.names), seen


def test_one_that_may_not_be_killed_is_told(stage):
    """A process that has become root cannot be killed; pyinit says that it is left."""
    seen = attempt(stage, BY_NAME["user"], PYINIT, as_nobody=True)

    assert (1, ["helper"]) == (seen.survivors, seen.names)
    assert '"event": "kill_refused"' in seen.told
    assert '"left": 1' in seen.told


def test_root_kills_it(stage):
    """As root, pyinit may kill it."""
    assert 0 == attempt(stage, BY_NAME["user"], PYINIT).survivors


@pytest.mark.parametrize("name", ["timeout -k", "tini -s -g", "subprocess.run"])
def test_one_that_gets_away_is_noticed(stage, name):
    """Other tools leave a daemon behind, so it is not the trial that ends it."""
    seen = attempt(stage, BY_NAME["daemon"], OTHERS[name])

    assert (1, ["ways"]) == (seen.survivors, seen.names)
    assert seen.quiet is None


def test_ways_are_known():
    """Each way of the catalogue is one of the program, and the other way round."""
    source = Path(__file__).parent.parent / "trials" / "escapes" / "ways.c"
    listed = source.read_text().partition("WAYS[] = {")[2].partition("};")[0]
    names = [line.split('"')[1] for line in listed.strip().splitlines()]

    assert [way.name for way in WAYS] == names
