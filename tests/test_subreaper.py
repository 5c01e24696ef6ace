"""When not PID 1, pyinit is a subreaper, through python-prctl or ctypes, without any message."""

import re
import subprocess

import pytest

from testkit.refusals import refusing
from testkit.running import import_that_exits

ORPHAN = ["sh", "-c", "(sh -c 'exit 6' &); read x"]


# What keeps python-prctl from being loaded, as lines that Python runs before pyinit does.
WITHOUT_PRCTL = {
    "absent": "import sys; sys.modules['prctl'] = None\n",
    "foreign": "import sys, types; sys.modules['prctl'] = types.ModuleType('prctl')\n",
    "half-way": "import sys; sys.modules['_prctl'] = None\n",
    "exits": import_that_exits("_prctl"),
}
WITHOUT_CTYPES = "import sys; sys.modules['_ctypes'] = None\n"


@pytest.fixture
def without_libcap(tmp_path):
    """Return what makes python-prctl impossible to import: its C library is not there."""
    (tmp_path / "libcap.so.2").write_bytes(b"")
    return ["env", f"LD_LIBRARY_PATH={tmp_path}"]


@pytest.fixture(params=[*WITHOUT_PRCTL, "no-library"])
def without_prctl(request, sabotage, without_libcap):
    """Return what keeps python-prctl from being loaded, one way after the other."""
    lines = WITHOUT_PRCTL.get(request.param)
    return without_libcap if lines is None else sabotage(lines)


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


def test_without_prctl_orphans_are_adopted(start, without_prctl):
    """Where python-prctl cannot be loaded ctypes does, and orphans are pyinit's all the same."""
    event = off_pid1(start, ["-w"], without_prctl).event("orphan_reaped")

    assert 6 == event["code"]


def test_without_prctl_there_is_no_warning(run, without_prctl):
    """It is no news but at -vv, which tells the cause."""
    assert "" == run(wrap=without_prctl, namespace=False).err
    told = run(["-vv"], wrap=without_prctl, namespace=False)
    (event,) = told.named("python_prctl_unavailable")

    assert ("debug", True) == (
        event["level"],
        "Error" in event["error"] or "Exit" in event["error"],
    )
    assert [True] == [event["subreaper"] for event in told.named("not_pid1")]


def test_without_either_there_is_one_warning(run, sabotage):
    """With neither python-prctl nor ctypes the warning names both, and the child runs."""
    wrap = sabotage(WITHOUT_PRCTL["half-way"] + WITHOUT_CTYPES)
    result = run(command=["sh", "-c", "exit 4"], wrap=wrap, namespace=False)
    (event,) = result.events

    assert (4, "subreaper_refused") == (result.code, event["event"])
    assert {"_prctl", "_ctypes"} <= set(re.findall(r"\w+", event["reason"]))


def test_refusal_without_prctl_is_told_alike(run, without_prctl):
    """A kernel that refuses ctypes costs the same line as one that refuses python-prctl."""
    wrap = [*refusing("prctl:error=EPERM"), *without_prctl]
    (event,) = run(wrap=wrap, namespace=False).events

    assert "subreaper_refused" == event["event"]
    assert event["reason"].startswith("the kernel refused: Operation not permitted;")


@pytest.mark.parametrize("options", [[], ["-s"]], ids=["by-itself", "-s"])
def test_pid1_needs_no_prctl(run, without_libcap, options):
    """As PID 1 pyinit never asks for python-prctl, so nothing is missed."""
    result = run(options, ["sh", "-c", "exit 4"], wrap=without_libcap)

    assert (4, "") == (result.code, result.err)


def test_pid1_with_s_says_why_it_does_nothing(run):
    """-s is accepted as PID 1, which adopts every orphan anyway."""
    assert 1 == len(run(["-s", "-vv"]).named("subreaper_needless"))
