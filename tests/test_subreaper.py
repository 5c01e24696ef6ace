"""Off PID 1 pyinit is a subreaper, through python-prctl, and makes no noise about it."""

import subprocess

import pytest

from testkit.refusals import refusing
from testkit.running import import_that_exits

ORPHAN = ["sh", "-c", "(sh -c 'exit 6' &); read x"]


@pytest.fixture
def without_libcap(tmp_path):
    """Return what makes python-prctl impossible to import: its C library is not there."""
    (tmp_path / "libcap.so.2").write_bytes(b"")
    return ["env", f"LD_LIBRARY_PATH={tmp_path}"]


def off_pid1(start, options=(), wrap=()):
    """Run a pyinit that is not PID 1 with one orphan below it."""
    return start(options, ORPHAN, wrap=wrap, namespace=False, stdin=subprocess.PIPE)


@pytest.mark.parametrize(
    ("options", "wrap"),
    [
        ([], []),
        (["-s"], []),
        ([], ["env", "PYINIT_SUBREAPER=1"]),
        ([], ["env", "TINI_SUBREAPER="]),
    ],
    ids=["by-itself", "-s", "PYINIT_SUBREAPER", "TINI_SUBREAPER"],
)
def test_orphans_are_adopted_off_pid1(start, options, wrap):
    """pyinit that is not PID 1 reaps the orphans of its workload, asked to or not."""
    run = off_pid1(start, [*options, "-w"], wrap)
    event = run.event("orphan_reaped")

    assert 6 == event["code"]


def test_nothing_is_said_of_it(run):
    """Becoming a subreaper is no news at the default verbosity."""
    assert "" == run(namespace=False).err


def test_with_v_it_is_told(run):
    """-v tells that pyinit is not PID 1 and whether it is a subreaper."""
    (event,) = run(["-v"], namespace=False).named("not_pid1")

    assert event["subreaper"] is True


@pytest.mark.parametrize("options", [[], ["-s"]], ids=["by-itself", "-s"])
def test_refusal_costs_one_warning(run, options):
    """A kernel that refuses costs one line, and the child runs."""
    result = run(
        options, ["sh", "-c", "exit 4"], wrap=refusing("prctl:error=EPERM"), namespace=False
    )
    (event,) = result.events

    assert 4 == result.code
    assert ("subreaper_refused", "warning") == (event["event"], event["level"])
    assert "the kernel refused: Operation not permitted" in event["reason"]


def test_missing_libcap_costs_one_warning(run, without_libcap):
    """A python-prctl that cannot be imported costs one line that names the library."""
    result = run(command=["sh", "-c", "exit 4"], wrap=without_libcap, namespace=False)
    (event,) = result.events

    assert 4 == result.code
    assert "subreaper_refused" == event["event"]
    assert "libcap.so.2" in event["reason"]


BROKEN = {
    "foreign": "import sys, types; sys.modules['prctl'] = types.ModuleType('prctl')\n",
    "half-way": "import sys; sys.modules['_prctl'] = None\n",
    "exits": import_that_exits("_prctl"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_prctl_costs_one_warning(run, sabotage, how):
    """A module that is only called prctl, or ends half-way, is as good as none."""
    wrap = sabotage(BROKEN[how])
    result = run(command=["sh", "-c", "exit 4"], wrap=wrap, namespace=False)

    assert (4, ["subreaper_refused"]) == (result.code, [e["event"] for e in result.events])


@pytest.mark.parametrize("options", [[], ["-s"]], ids=["by-itself", "-s"])
def test_pid1_needs_no_prctl(run, without_libcap, options):
    """As PID 1 pyinit never asks for python-prctl, so nothing is missed."""
    result = run(options, ["sh", "-c", "exit 4"], wrap=without_libcap)

    assert (4, "") == (result.code, result.err)


def test_pid1_with_s_says_why_it_does_nothing(run):
    """-s is accepted as PID 1, which adopts every orphan anyway."""
    assert 1 == len(run(["-s", "-vv"]).named("subreaper_needless"))
