"""`make bench` measures what it says it does: facts are asserted here, times never.

The quick form is run. Other runs write the pages, from figures that are known.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
from xml.etree import ElementTree as ET

import pytest

from bench.tools import Tools
from testkit.programs import ROOT_DIRECTORY, run_module

PAGE = ROOT_DIRECTORY / "docs" / "performance.md"
GOALS_PAGE = ROOT_DIRECTORY / "docs" / "maintainers" / "tried.md"
LAUNCHER = os.path.exists(os.path.join(sysconfig.get_path("scripts"), "pyinit-launcher"))
PYINITS = ["pyinit", *(["pyinit-launcher"] if LAUNCHER else [])]
OPTIONS = ["pyinit-launcher, options"] if LAUNCHER else []
PEERS = ["tini", "dumb-init", "catatonit"]
INITS = [*PYINITS, *PEERS]
FLOORS = ["floor", "floor-site"]
BARE = ["bare", "bare-site"]
DELAYS = ["0", "0.5", "1", "2", "5", "10", "15", "20", "30"]
BESIDE = os.path.basename(sys.prefix)  # the same environment a second time
EMPTY = {
    name: "# A page\n"
    + "".join(f"\n<!-- bench {part}: begin -->\n<!-- bench {part}: end -->\n" for part in parts)
    + "\nIts end.\n"
    for name, parts in {
        "performance.md": ("summary", "details"),
        "maintainers/tried.md": ("goals", "instructions"),
    }.items()
}

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
    """Every init reaps all orphans, and that takes some of its time."""
    samples = measure("storm")
    few, many = of(samples, "storm", "100"), of(samples, "storm", "1000")

    assert {*INITS, *FLOORS} == set(few) == set(many)
    assert {init: [0] for init in [*INITS, *FLOORS]} == of(samples, "zombies", "1000")
    assert all(nanoseconds > 0 for taken in (few, many) for (nanoseconds,) in taken.values())


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
def docs(tmp_path):
    """Return a folder with pages that have a place for the figures."""
    for name, text in EMPTY.items():
        page = tmp_path / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
    return tmp_path


@pytest.fixture
def write(docs):
    """Return a function that writes known figures, and others, into the pages."""

    def write_with(*others: dict) -> str:
        file = docs / "figures.json"
        file.write_text(json.dumps({"machine": ["a machine"], "figures": [*FIGURES, *others]}))
        done = bench("--load", file, "--docs", docs)
        assert 0 == done.returncode, done.stderr
        return (docs / "performance.md").read_text()

    return write_with


def verdicts(text: str) -> dict[str, tuple[str, str]]:
    """Return by goal what was measured, and met or not."""
    rows = re.findall(
        r"^\| (.+?) \| .+? \| (.*?) \| (met|not met|not measured) \|$", text, re.MULTILINE
    )
    return {figure: (measured.strip(), word) for figure, measured, word in rows}


def test_goals_are_judged_by_the_figures(write, docs):
    """Each goal is met, not met or, where figures are missing, not measured."""
    write()
    found = verdicts((docs / "maintainers" / "tried.md").read_text())

    assert GOALS == len(found)
    assert ("1.18 x", "not met") == found["start, plain `pip install`"]
    assert ("1.05 x", "met") == found["start, plain `pip install` (debian)"]
    assert ("1 wake-ups, 0 ticks in 60 s", "not met") == found["idle"]
    assert ("0 of 4 lost", "met") == found["blind window, launcher, SIGTERM at 2 ms and later"]
    assert ("1 of 2 lost; tini: 0 of 2", "not met") == found[
        "blind window, launcher, SIGTERM at 0 to 1 ms"
    ]
    assert ("1.50 million", "not met") == found["own instructions before the fork, launcher"]
    assert ("`pyinit` 30.0 ms, `pyinit-launcher` 30.0 ms", "met") == found[
        "first log line, after the start of the workload"
    ]
    for missing in ("forward, p99", "first log line, private memory it adds"):
        assert ("", "not measured") == found[missing]


def test_ratios_are_to_the_floor_of_the_same_interpreter(write):
    """A row of another interpreter is beside that one's floor, and beside the one tini."""
    rows = re.findall(r"^\| `(pyinit.*?)` \| ([\d.]+ \|.*) \|$", write(), re.MULTILINE)
    started = {name: cells.split(" | ") for name, cells in rows[:2]}

    # The median, the quartiles, then x `bare`, x `floor`, x `floor-site`, x `tini`.
    assert ["-", "-", "1.18", "23.50"] == started["pyinit"][2:6]
    assert ["-", "-", "1.05", "21.00"] == started["pyinit (debian)"][2:6]


def test_page_begins_with_a_table_beside_tini(write):
    """One column is one init, with a second interpreter if there is one; no goal is in it."""
    summary, _, details = write().partition("### ")
    rows = re.findall(r"^\| ([^|]+) \| (.*) \|$", summary, re.MULTILINE)
    found = {what: cells.split(" | ") for what, cells in rows}

    assert ["-", "21.0 ms (21 x)", "1.0 ms", "-", "-"] == found[
        "your program starts after (Debian's Python)"
    ]
    assert ["-", "1", "-", "-", "-"] == found["wake-ups in 60 s while nothing happens"]
    assert 'Rows without "Debian\'s Python" are those with the first Python above.' in summary
    assert "met |" not in summary + details


LOAD = "> **The machine was busy**: its load average was 3.5 "


@pytest.mark.parametrize(("load", "is_told"), [(3.5, True), (1, False)])
def test_page_says_that_the_machine_was_busy(write, load, is_told):
    """A load average above the limit is on the page, one that is not above it is not."""
    page = write(entry("load", "", [load]), entry("highest load", "", [1]))

    assert is_told == (LOAD in page)
    assert is_told == ("was busy" in page)


# The benchmark on a machine with another load average, the first argument.
ELSEWHERE = """
import os, runpy, sys
load = float(sys.argv.pop(1))
os.getloadavg = lambda: (load, 0, 0)
runpy.run_module("bench", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def loaded(docs):
    """Return a function that runs the benchmark with another load average."""

    def measure_with(load: float, *arguments: str) -> subprocess.CompletedProcess:
        words = ("--quick", "--only", "start", "--docs", docs, *arguments)
        command = (sys.executable, "-c", ELSEWHERE, str(load), *words)
        return subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT_DIRECTORY
        )

    return measure_with


def test_busy_machine_is_refused_before_anything_is_measured(loaded, docs):
    """The message says what happened, why, and what to do; the page stays as it was."""
    done = loaded(999.5)

    assert (1, "") == (done.returncode, done.stdout)
    message = (
        r"bench: measured nothing: the load average is 999\.5, more than \d+\.\d, .*\. "
        r"Try again .* idle, or add ARGS=--loaded .*\n"
    )
    assert re.fullmatch(message, done.stderr)
    assert EMPTY == {name: (docs / name).read_text() for name in EMPTY}


@pytest.mark.parametrize(
    ("load", "arguments", "is_told"),
    [(999.5, ["--loaded"], True), (0.0, [], False)],
    ids=["--loaded", "idle"],
)
def test_page_is_written_where_it_may_be(loaded, docs, load, arguments, is_told):
    """A busy machine is measured if that is asked for, and the page says so; an idle one always."""
    done = loaded(load, *arguments)
    page = (docs / "performance.md").read_text()

    assert 0 == done.returncode, done.stderr
    assert "your program starts after" in page
    assert is_told == (f"its load average was {load:.1f} " in page)
    assert f"minutes): {load:.1f} 0.0 0.0 before, " in page


def test_busy_machine_may_print(measure):
    """A run that writes no page is for a look, and measures on any machine."""
    assert measure("start")[("load", "", "")]


def test_pages_are_written_in_place(write, docs):
    """What stands around the comments stays, and what is written again is the same, to the byte."""

    def written() -> list[bytes]:
        write()
        return [(docs / name).read_bytes() for name in (*EMPTY, "performance.svg")]

    assert written() == written()
    for name, text in EMPTY.items():
        page = (docs / name).read_text()
        assert page.startswith(text.partition("<!--")[0])
        assert page.endswith("-->\n\nIts end.\n")
    assert "- a machine\n" in (docs / "performance.md").read_text()


def test_a_page_without_the_comments_is_left_alone(docs):
    """Where there is no place for the figures nothing is written, and one line says so."""
    page = docs / "performance.md"
    page.write_text("# Another\n")
    file = docs / "figures.json"
    file.write_text(json.dumps({"machine": ["a machine"], "figures": FIGURES}))
    done = bench("--load", file, "--docs", docs)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "# Another\n" == page.read_text()
    assert not page.with_suffix(".svg").exists()


def test_picture_is_small_and_well_formed(write, docs):
    """The plot is XML of a few kilobytes, with the medians in it."""
    write()
    picture = (docs / "performance.svg").read_text()
    texts = [element.text for element in ET.fromstring(picture).iter() if element.text]

    assert len(picture) < 20_000
    assert {"time until your program starts, ms", "pyinit", "23.5"} <= set(texts)
    assert "pyinit (debian)" not in texts


def test_prose_has_no_figures():
    """No figure of the page is written by hand: outside of the comments none has a unit."""
    written = r"<!-- bench (\w+): begin -->.*?<!-- bench \1: end -->"
    prose, parts = re.subn(written, "", PAGE.read_text(), flags=re.DOTALL)

    assert 2 == parts
    assert [] == re.findall(r"\d+(?:\.\d+)? ?(?:%|x\b|[µmn]?s\b|[kMG]i?B\b)", prose)


def test_page_of_goals_has_every_goal():
    """The page in the repository has a verdict on each goal."""
    assert GOALS == len(verdicts(GOALS_PAGE.read_text()))
