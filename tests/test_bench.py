"""`make bench` measures what it says it does: facts are asserted here, times never.

The quick form is run; another run then writes the page from the figures that were kept.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.tools import Tools
from testkit.programs import ROOT_DIRECTORY, run_module

PAGE = ROOT_DIRECTORY / "docs" / "performance.md"
LAUNCHER = os.path.exists(os.path.join(sysconfig.get_path("scripts"), "pyinit-launcher"))
PYINITS = ["pyinit", *(["pyinit-launcher"] if LAUNCHER else [])]
OPTIONS = ["pyinit-launcher, options"] if LAUNCHER else []
PEERS = ["tini", "dumb-init", "catatonit"]
INITS = [*PYINITS, *PEERS]
FLOORS = ["floor", "floor-site"]
BARE = ["bare", "bare-site"]
DELAYS = ["0", "0.5", "1", "2", "5", "10", "15", "20", "30"]
BESIDE = os.path.basename(sys.prefix)  # the same environment a second time
EMPTY = "# A page\n\n<!-- bench: begin -->\n<!-- bench: end -->\n\nIts end.\n"

pytestmark = pytest.mark.timeout(300)


def bench(*arguments: object) -> subprocess.CompletedProcess:
    """Run the command behind `make bench`."""
    return run_module("bench", *arguments)


@pytest.fixture
def measure(tmp_path):
    """Run one measurement; return its samples by what, init and place."""

    def measure_one(name: str) -> dict[tuple[str, str, str], list[float]]:
        file = tmp_path / "figures.json"
        done = bench("--quick", "--only", name, "--save", file)
        assert 0 == done.returncode, done.stderr
        entries = json.loads(file.read_text())["figures"]
        return {(entry["what"], entry["init"], entry["at"]): entry["values"] for entry in entries}

    return measure_one


def of(samples: dict, what: str, at: str = "") -> dict[str, list[float]]:
    """Return the samples of one thing by init."""
    return {
        init: found for (name, init, place), found in samples.items() if (name, place) == (what, at)
    }


def test_start_has_everyone(measure):
    """Every init and every reference is started as often, and begins before it ends."""
    samples = measure("start")
    began, ended = of(samples, "start"), of(samples, "whole")

    assert {*INITS, *OPTIONS, *FLOORS, *BARE} == set(began) == set(ended)
    assert {3} == {len(values) for values in began.values()}
    for init, values in began.items():
        assert all(0 < first <= end for first, end in zip(values, ended[init], strict=True))


def test_blind_window_counts_add_up(measure):
    """Of two SIGTERMs at each delay each one is lost, arrives, or was sent too late to count."""
    samples = measure("blind")

    for delay in DELAYS:
        lost, late = of(samples, "lost", delay), of(samples, "late", delay)
        assert INITS == list(lost) == list(late)
        for init in INITS:
            assert 2 == len(late[init])
            assert 2 - sum(late[init]) == len(lost[init])
            assert {0, 1} >= set(lost[init])


def test_forward_answers_all_on_one_processor(measure):
    """Every signal sent to an init is answered by its workload, and both share one processor."""
    samples = measure("forward")
    forwards = of(samples, "forward")

    assert {init: [1] for init in INITS} == of(samples, "forward processors")
    assert dict.fromkeys(INITS, 100) == {init: len(found) for init, found in forwards.items()}
    assert all(time > 0 for found in forwards.values() for time in found)


# An init and its workload that are busy after each signal, and leave if another came meanwhile.
BUSY = """
import os, signal, sys, time
tell = lambda: os.write(1, time.monotonic_ns().to_bytes(8, sys.byteorder))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
child = os.fork()
if child == 0:
    tell()
while True:
    signal.sigwait({signal.SIGUSR1})
    tell() if child == 0 else os.kill(child, signal.SIGUSR1)
    end = time.process_time() + float(sys.argv[1 if child else 2])
    while time.process_time() < end:
        pass
    if signal.SIGUSR1 in signal.sigpending():
        os._exit(1)
"""


@pytest.mark.parametrize("seconds", [("0.02", "0"), ("0", "0.02")], ids=["init", "workload"])
def test_forward_waits_until_both_sleep(tmp_path, seconds):
    """No signal is sent while the init or its workload has something to do."""
    tools = Tools(tmp_path)
    tools.compile()
    _, *times = tools.measure(("forward", 5), (sys.executable, "-IS", "-c", BUSY, *seconds))

    assert 5 == len(times)


def test_storm_leaves_no_zombie(measure):
    """Every init reaps all orphans, and more of them take more of its time."""
    samples = measure("storm")
    few, many = of(samples, "storm", "100"), of(samples, "storm", "1000")

    assert {*INITS, *FLOORS} == set(few) == set(many)
    assert {init: [0] for init in [*INITS, *FLOORS]} == of(samples, "zombies", "1000")
    assert all(few[init] < many[init] for init in few)


def test_stop_lets_helpers_finish_under_pyinit_alone(measure):
    """Under pyinit N of N helpers finish, under the others 0 of N."""
    samples = measure("stop")

    for count in (10, 100):
        expected = {init: [count if init in PYINITS else 0] for init in INITS}
        assert expected == of(samples, "finished", str(count))
        assert PYINITS == list(of(samples, "gone", str(count)))


def test_idle_pyinit_does_not_wake(measure):
    """An idle pyinit neither wakes nor uses the processor."""
    samples = measure("idle")

    for init in PYINITS:
        assert [[0]] * 3 == [of(samples, what)[init] for what in ("wakeups", "ticks", "idle cpu")]
    assert {*INITS, *FLOORS} == set(of(samples, "wakeups"))


def test_memory_is_that_of_each(measure):
    """Python's private memory is more than tini's, and the log adds to it."""
    samples = measure("memory")
    rest, logged = (of(samples, "Private_Dirty", when) for when in ("rest", "logged"))

    assert {*INITS, *FLOORS, *BARE} == set(rest)
    assert PYINITS == list(logged)
    assert all(rest[init] < logged[init] for init in PYINITS)
    assert all(rest[peer] < rest["bare"] for peer in PEERS)


def test_log_comes_after_the_workload(measure):
    """The first line comes after the workload began, and forwards go on until it is there."""
    samples = measure("log")

    for init in PYINITS:
        assert of(samples, "first with log")[init] < of(samples, "first line")[init]
        assert of(samples, "forward meanwhile")[init]


def test_instructions_are_counted(measure):
    """Python takes more than any peer, pyinit more than the floor; it forks after the boot."""
    samples = measure("instructions")
    counts, forked, boot = (of(samples, what) for what in ("instructions", "before fork", "boot"))

    assert {*INITS, *OPTIONS, *FLOORS, *BARE} == set(counts)
    assert {*PYINITS, *OPTIONS} == set(forked) == set(boot)
    assert all([0] < boot[init] < forked[init] < counts[init] for init in forked)
    assert max(counts[peer] for peer in PEERS) < counts["floor"] < counts["pyinit"]


def test_an_interpreter_beside_has_rows_of_its_own(tmp_path):
    """It is measured where the goals are for it, and named with its version and its build."""
    file = tmp_path / "figures.json"
    only = [word for name in ("start", "forward", "storm", "memory") for word in ("--only", name)]
    done = bench("--quick", *only, "--beside", sys.prefix, "--save", file)
    assert 0 == done.returncode, done.stderr
    kept = json.loads(file.read_text())
    samples = {(one["what"], one["init"], one["at"]): one["values"] for one in kept["figures"]}

    def labelled(what: str, at: str = "") -> set[str]:
        ends = [(init, init.removesuffix(f" ({BESIDE})")) for init in of(samples, what, at)]
        return {name for init, name in ends if init != name}

    assert {*PYINITS, *OPTIONS, *FLOORS, *BARE} == labelled("start")
    assert {*PYINITS} == labelled("forward") == labelled("Private_Dirty", "logged")
    assert {*PYINITS, *FLOORS, *BARE} == labelled("Private_Dirty", "rest")
    assert set() == labelled("storm", "100")
    judged = {
        figure for figure, (_, word) in verdicts(done.stdout).items() if word in ("met", "not met")
    }
    assert {f"forward, p99 ({BESIDE})", f"start, plain `pip install` ({BESIDE})"} <= judged
    first, beside = (line for line in kept["machine"] if "structlog" in line)
    assert f"{BESIDE}: {first}" == beside
    assert re.match(r"\w+ 3\.\d+\.\S+, (not )?optimised, pyinit ", first)


def test_no_interpreter_beside_is_one_line(tmp_path):
    """A folder that is no environment with pyinit ends the command before anything is measured."""
    done = bench("--quick", "--beside", tmp_path)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert f"{tmp_path} is no environment with pyinit" in done.stderr


def entry(what: str, init: str, values: list[float], at: str = "") -> dict:
    return {"what": what, "init": init, "at": at, "values": values}


FIGURES = [
    entry("start", "pyinit", [23e6, 24e6]),
    entry("start", "tini", [1e6, 1e6]),
    entry("start", "floor-site", [20e6, 20e6]),
    entry("start", "pyinit (debian)", [21e6]),
    entry("start", "floor-site (debian)", [20e6]),
    entry("before fork", "pyinit-launcher", [22.5e6]),
    entry("boot", "pyinit-launcher", [21e6]),
    *(entry("first line", init, [80e6]) for init in ("pyinit", "pyinit-launcher")),
    *(entry("first with log", init, [50e6]) for init in ("pyinit", "pyinit-launcher")),
    *(entry("Private_Dirty", "pyinit", [size], at) for at, size in (("rest", 10), ("logged", 20))),
    entry("wakeups", "pyinit", [1]),
    entry("ticks", "pyinit", [0]),
    entry("idle seconds", "", [60]),
    *(entry("lost", "pyinit-launcher", [delay < 2, 0], str(delay)) for delay in (0, 2, 30)),
    *(entry("lost", "tini", [0, 0], str(delay)) for delay in (0, 2, 30)),
]
GOALS = 25  # with the eight of the interpreter beside


@pytest.fixture
def written(tmp_path):
    """Write known figures into a page; return how, and the page."""
    file, page = tmp_path / "figures.json", tmp_path / "page.md"
    file.write_text(json.dumps({"machine": ["a machine"], "figures": FIGURES}))
    page.write_text(EMPTY)

    def write() -> Path:
        done = bench("--load", file, "--page", page)
        assert 0 == done.returncode, done.stderr
        return page

    return write


def verdicts(text: str) -> dict[str, tuple[str, str]]:
    """Return by goal what was measured, and met or not."""
    rows = re.findall(
        r"^\| (.+?) \| .+? \| (.*?) \| (met|not met|not measured) \|$", text, re.MULTILINE
    )
    return {figure: (measured.strip(), word) for figure, measured, word in rows}


def test_goals_are_judged_by_the_figures(written):
    """Each goal is met, not met or, where figures are missing, not measured."""
    found = verdicts(written().read_text())

    assert GOALS == len(found)
    assert ("1.18 x", "not met") == found["start, plain `pip install`"]
    assert ("1.05 x", "met") == found["start, plain `pip install` (debian)"]
    assert ("1 wake-ups, 0 ticks in 60 s", "not met") == found["idle"]
    assert ("0 of 4 lost", "met") == found["blind window, launcher, SIGTERM at 2 ms and later"]
    assert ("1 of 2 lost, of tini's 0 of 2", "not met") == found[
        "blind window, launcher, SIGTERM at 0 to 1 ms"
    ]
    assert ("1.50 million", "not met") == found["instructions before the fork, launcher"]
    assert ("`pyinit` 30.0 ms, `pyinit-launcher` 30.0 ms", "met") == found[
        "first log line, from the start of the workload"
    ]
    for missing in ("forward, p99", "first log line, private dirty that it adds"):
        assert ("", "not measured") == found[missing]


def test_ratios_are_to_the_floor_of_the_same_interpreter(written):
    """A row of another interpreter is beside that one's floor, and beside the one tini."""
    rows = re.findall(r"^\| `(pyinit.*?)` \| (.*) \|$", written().read_text(), re.MULTILINE)
    started = {name: cells.split(" | ") for name, cells in rows[:2]}

    # The median, the quartiles, then x `bare`, x `floor`, x `floor-site`, x `tini`.
    assert ["-", "-", "1.18", "23.50"] == started["pyinit"][2:6]
    assert ["-", "-", "1.05", "21.00"] == started["pyinit (debian)"][2:6]


def test_page_is_written_in_place(written):
    """What stands around the comments stays, and what is written again is the same, to the byte."""
    first = written().read_bytes(), written().with_suffix(".svg").read_bytes()
    page = written()

    assert first == (page.read_bytes(), page.with_suffix(".svg").read_bytes())
    assert page.read_text().startswith("# A page\n\n<!-- bench: begin -->\n")
    assert page.read_text().endswith("<!-- bench: end -->\n\nIts end.\n")
    assert "- a machine\n" in page.read_text()


def test_a_page_without_the_comments_is_left_alone(written, tmp_path):
    """Where there is no place for the figures nothing is written, and one line says so."""
    page = tmp_path / "other.md"
    page.write_text("# Another\n")
    written()
    done = bench("--load", tmp_path / "figures.json", "--page", page)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "# Another\n" == page.read_text()
    assert not page.with_suffix(".svg").exists()


def test_picture_is_small_and_well_formed(written):
    """The plot is XML of a few kilobytes, with the medians in it."""
    picture = written().with_suffix(".svg").read_text()
    texts = [element.text for element in ET.fromstring(picture).iter() if element.text]

    assert len(picture) < 20_000
    assert {"start, ms", "pyinit", "23.5"} <= set(texts)
    assert "pyinit (debian)" not in texts


def test_prose_has_no_figures():
    """No figure of the page is written by hand: outside of the comments none has a unit."""
    before, _, rest = PAGE.read_text().partition("<!-- bench: begin -->")
    _, _, after = rest.partition("<!-- bench: end -->")

    assert after
    assert [] == re.findall(r"\d+(?:\.\d+)? ?(?:%|x\b|[µmn]?s\b|[kMG]i?B\b)", before + after)


def test_page_has_every_goal():
    """The page in the repository has a verdict on each goal."""
    assert GOALS == len(verdicts(PAGE.read_text()))
