"""`make chaos` finds nothing wrong with pyinit, and does find what is wrong with others.

Each check is shown to fail: with a record that was doctored, and with inits that were broken.
"""

import dataclasses
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pyinit

from testkit.programs import ROOT_DIRECTORY, run_module, tool
from trials.chaos.check import failures
from trials.chaos.plan import Plan, Wishes, make
from trials.chaos.seen import Seen, parse
from trials.chaos.tree import LEAVES, STAYS, Node


EVENTS = """
child_started pid=2 command=actor
signal_forwarded signal=SIGUSR1 sender=null sender_pid=null sent=SIGUSR2 target="process 2"
signal_forwarded signal=SIGHUP sender="actor" sender_pid=4 target="process 2"
signal_forwarded signal=SIGRTMIN+10 sender=null sender_pid=null target="process 2"
signal_forwarded signal=SIGTERM sender=null sender_pid=null target="process 2"
child_exited pid=2 code=7 seconds=1 user_seconds=0 system_seconds=0 max_rss_kib=1
drain_started remaining=2 grace_seconds=0.5
orphan_reaped pid=3 name=actor code=0
orphan_reaped pid=4 name=actor code=3
drain_survivor pid=5 name=actor state=sleeping seconds=0.5
orphan_reaped pid=5 name=actor signal=SIGKILL core_dumped=false
drain_finished finished=2 killed=1 left=0 seconds=0.5
"""
LINES = """
A 0 2 0 0 0 1
A 1 4 0 0 0 1
A 2 5 0 0 0 1
K 1 4 1 0 0 2
S 0 2 1 0 0 3
K -1 0 10 0 0 4
S 0 2 12 0 0 5
K -1 0 44 0 0 5
S 0 2 44 0 0 5
K -1 0 15 0 0 6
S 0 2 15 0 0 7
G 0 2 1 0 7 8
S 1 4 15 0 0 9
S 2 5 15 0 0 9
G 1 4 1 0 3 10
"""
LEVELS = {
    "timed_out": "warning",
    "leftovers": "warning",
    "drain_survivor": "warning",
    "orphan_reaped": "debug",
}
WISHES = Wishes(
    verbosity=3,
    style="json",
    group=False,
    everyone=False,
    warns=False,
    kill_after=0,
    drain=0.5,
    rewrite={10: 12},
    expected=(),
)
PLAN = Plan(
    seed=1,
    kind="clinging",
    namespace=True,
    wishes=WISHES,
    words=(),
    environment={},
    nodes=(
        Node(0, -1, code=7),
        Node(1, 0, daemon=1, asked=LEAVES, code=3),
        Node(2, 0, asked=STAYS),
    ),
    guests=(),
    signals=(10, 44),
    one_by_one=True,
    early=False,
    stop=True,
    later=(),
)


def told(line: str) -> dict:
    """Return the event that a line of EVENTS is short for."""
    name, *pairs = line.replace('"process 2"', "process_2").split()
    event = {"timestamp": "", "logger": "pyinit", "level": LEVELS.get(name, "info"), "event": name}
    for key, _, value in (pair.partition("=") for pair in pairs):
        try:
            event[key] = json.loads(value)
        except ValueError:
            event[key] = value.replace("_", " ")
    if event["level"] == "warning":
        event["message"] = "A sentence."
    return event


@dataclasses.dataclass
class Record:
    """A run that went well, to be doctored."""

    seen: Seen
    events: list[dict]

    def drop(self, name: str, **keys: object) -> None:
        """Take an event out."""
        self.events.remove(self.find(name, **keys))

    def find(self, name: str, **keys: object) -> dict:
        """Return the first event of that name."""
        return next(e for e in self.events if e["event"] == name and keys.items() <= e.items())

    def edit(self, name: str, **keys: object) -> None:
        """Change the first event of that name."""
        self.find(name).update(keys)

    def repeat(self, name: str) -> None:
        """Tell an event twice."""
        event = self.find(name)
        self.events.insert(self.events.index(event), event)

    def add(self, line: str) -> None:
        """Tell of something more."""
        self.events.append(told(line))

    def wish(self, **changes: object) -> None:
        """Have had other wishes."""
        wishes = dataclasses.replace(self.seen.plan.wishes, **changes)
        self.plan(wishes=wishes)

    def show(self, line: str) -> None:
        """Have told so on a console."""
        self.wish(style="console")
        self.seen.stderr = f"07:00:01 {line}"

    def plan(self, **changes: object) -> None:
        """Have had another plan."""
        self.seen.plan = dataclasses.replace(self.seen.plan, **changes)

    def forget(self, line: str) -> None:
        """Take out what a process told."""
        self.seen.lines.remove(parse(line))

    def judge(self) -> list[str]:
        """Return what is wrong."""
        if not self.seen.stderr:
            self.seen.stderr = "".join(json.dumps(event) + "\n" for event in self.events)
        return failures(self.seen)


@pytest.fixture
def record():
    """Return a record in which nothing is wrong."""
    lines = [parse(line) for line in LINES.strip().split("\n")]
    return Record(
        Seen(PLAN, lines, code=7, ended=600),
        [told(line) for line in EVENTS.strip().split("\n")],
    )


def test_nothing_is_wrong_with_a_good_record(record):
    """What is doctored below passes as it is."""
    assert [] == record.judge()


@pytest.mark.parametrize(
    "line",
    ["[info   ] child_started    pid=2", "[warning] actor (pid 5) did not end\n    app.py:3 f"],
)
def test_nothing_is_wrong_with_a_console(record, line):
    """Names and keys, a sentence, a stack below it."""
    record.show(line)

    assert [] == record.judge()


def test_nothing_is_wrong_with_a_signal_of_a_step(record):
    """The kernel dropped what was sent to pyinit, and the root got the same from a step."""
    record.drop("signal_forwarded", signal="SIGRTMIN+10")
    record.wish(ladder=((0, 0.1), (44, 0.1)), kill_after=0.2)

    assert [] == record.judge()


def test_nothing_is_wrong_with_limits(record):
    """A command that is late, is asked in two steps, and leaves a process behind."""
    record.wish(timeout=0.1, ladder=((12, 0.1), (2, 0.1)), kill_after=0.2, leftovers=99)
    record.find("signal_forwarded", signal="SIGTERM").update(sent="SIGUSR2")
    for line in (LATE, STEP):
        record.add(line)
    record.seen.code = 124
    assert [] == record.judge()

    record.seen.stderr = ""
    record.wish(expected=(7,))
    record.drop("timed_out")
    record.add(LEFT)
    record.seen.code = 99
    assert [] == record.judge()


LATE = 'timed_out pid=2 name=x state=x seconds=1 signal=SIGTERM target="process 2"'
STEP = 'stop_escalated pid=2 name=x state=x seconds=1 signal=SIGINT target="process 2"'
LEFT = "leftovers code=99 count=1 processes=[]"
DOCTORED = {
    "code": (lambda r: setattr(r.seen, "code", 8), "expected code [7], seen 8"),
    "code is not made 0": (lambda r: r.wish(expected=(7,)), "expected code [0], seen 7"),
    "pyinit was killed": (lambda r: setattr(r.seen, "code", -11), "seen -11"),
    "hangs": (lambda r: setattr(r.seen, "hung", "the end"), "did not come in time: the end"),
    "survivor": (lambda r: setattr(r.seen, "left", ["9 (S)"]), "left behind: 9 (S)"),
    "hidden survivor": (lambda r: setattr(r.seen, "holders", True), "still holds the pipe"),
    "zombie": (lambda r: setattr(r.seen, "zombies", [9]), "zombies that were not reaped: [9]"),
    "late": (lambda r: setattr(r.seen, "ended", 20008), "it took 20.0 s, expected 1.5 s"),
    "actor": (lambda r: r.seen.lines.append(parse("F 1 4 1 11 0 1")), "could not fork"),
    "SIGTERM": (lambda r: r.forget("S 1 4 15 0 0 9"), "node 1 (pid 4) was killed and saw no"),
    "work": (lambda r: r.forget("G 1 4 1 0 3 10"), "could not finish its work"),
    "no JSON": (lambda r: setattr(r.seen, "stderr", "Traceback"), "not JSON"),
    "console": (
        lambda r: (r.wish(style="console"), setattr(r.seen, "stderr", "Traceback")),
        "not an expected event: 'Traceback'",
    ),
    "console's error": (
        lambda r: r.show("[error  ] the actor cannot be run: no"),
        "not an expected event",
    ),
    "console's trouble": (
        lambda r: r.show("[warning] pyinit could not forward SIGTERM to process 2: no"),
        "not an expected event",
    ),
    "console's unknown event": (lambda r: r.show("[info   ] child pid=2"), "not an expected event"),
    "no message": (lambda r: r.find("drain_survivor").pop("message"), "a message is for warnings"),
    "unknown key": (lambda r: r.edit("child_exited", x=1), "keys of"),
    "missing key": (lambda r: r.find("drain_started").pop("remaining"), "keys of"),
    "unknown event": (lambda r: r.edit("child_exited", event="x"), "keys of"),
    "too much": (lambda r: r.wish(verbosity=2), "logged at verbosity 2"),
    "trouble": (
        lambda r: r.edit("drain_survivor", event="internal_error"),
        "trouble: ",
    ),
    "not PID 1": (lambda r: r.plan(namespace=False), "logged not_pid1: []"),
    "no start": (lambda r: r.drop("child_started"), "expected the start of 2 once"),
    "two starts": (lambda r: r.repeat("child_started"), "expected the start of 2 once"),
    "start is not first": (
        lambda r: r.events.insert(1, r.events.pop(0)),
        "expected the start of 2 once and first",
    ),
    "no end": (lambda r: r.drop("child_exited"), "expected one child_exited, seen []"),
    "two ends": (lambda r: r.repeat("child_exited"), "expected one child_exited"),
    "another end": (lambda r: r.edit("child_exited", code=8), "expected a child that ended with"),
    "another child": (lambda r: r.edit("child_exited", pid=9), "expected the end of 2"),
    "killed untold": (
        lambda r: (
            r.forget("G 0 2 1 0 7 8"),
            r.find("child_exited").pop("code"),
            r.edit("child_exited", signal="SIGKILL", core_dumped=False),
        ),
        "killed without kill_after_expired",
    ),
    "patience": (
        lambda r: r.add("kill_after_expired pid=2 name=x state=x seconds=1 target=x"),
        "logged a time of -k that was not over",
    ),
    "late too early": (
        lambda r: (r.wish(timeout=50), r.add(LATE)),
        "logged a time of -t that was not over",
    ),
    "late without a limit": (lambda r: r.add(LATE), "logged a time of -t that was not over"),
    "late twice": (
        lambda r: (r.wish(timeout=0.1), r.add(LATE), r.add(LATE)),
        "logged a time of -t that was not over",
    ),
    "late with another code": (
        lambda r: (r.wish(timeout=0.1), r.add(LATE)),
        "late, but exited with 7",
    ),
    "late untold": (
        lambda r: (r.wish(timeout=0.1), setattr(r.seen, "code", 124)),
        "nothing is logged about why the code is 124",
    ),
    "late and 0": (
        lambda r: (r.wish(timeout=50, expected=(124,)), setattr(r.seen, "code", 0)),
        "expected code [7], seen 0",
    ),
    "steps that are not there": (lambda r: r.add(STEP), "expected the steps of (), seen [2]"),
    "steps in another order": (
        lambda r: (r.wish(ladder=((0, 0.1), (3, 0.1), (2, 0.1)), kill_after=0.3), r.add(STEP)),
        "seen [2]",
    ),
    "first step that is not there": (
        lambda r: (r.wish(ladder=((2, 0.1),)), r.edit("signal_forwarded", sent="SIGINT")),
        "expected to be forwarded as 12",
    ),
    "leftovers unasked": (lambda r: r.add(LEFT), "logged leftovers, but exited with 7"),
    "leftovers of another code": (
        lambda r: (r.wish(leftovers=99, expected=(7,)), r.add(LEFT), setattr(r.seen, "code", 9)),
        "expected code [99], seen 9",
    ),
    "leftovers and 0": (
        lambda r: (r.wish(leftovers=99, expected=(7,)), setattr(r.seen, "code", 0)),
        "expected code [99], seen 0",
    ),
    "leftovers untold": (
        lambda r: (r.wish(leftovers=99, expected=(7,)), setattr(r.seen, "code", 99)),
        "nothing is logged about why the code is 99",
    ),
    "forward of nothing": (lambda r: r.repeat("signal_forwarded"), "sent 1 times, logged 2"),
    "forward untold": (
        lambda r: r.drop("signal_forwarded", signal="SIGRTMIN+10"),
        "nothing is logged about signal 44",
    ),
    "not rewritten": (lambda r: r.find("signal_forwarded").pop("sent"), "be forwarded as 12"),
    "wrong target": (
        lambda r: r.edit("signal_forwarded", target="every process"),
        "expected the target process 2",
    ),
    "old target": (
        lambda r: r.events.append(r.events.pop(4)),
        "expected the target every process",
    ),
    "wrong sender": (
        lambda r: r.find("signal_forwarded", signal="SIGHUP").update(sender_pid=5),
        "expected to be sent by one of {4}",
    ),
    "dropped": (
        lambda r: (
            r.find("signal_forwarded").pop("target"),
            r.find("signal_forwarded").pop("sent"),
            r.edit("signal_forwarded", event="signal_dropped"),
        ),
        "dropped: ",
    ),
    "no drain": (
        lambda r: (r.drop("drain_started"), r.drop("drain_finished")),
        "expected 2 to be drained, seen [] and []",
    ),
    "drain without end": (lambda r: r.drop("drain_finished"), "expected 2 to be drained"),
    "drain in spite of -d 0": (lambda r: r.plan(kind="at once"), "a drain although -d is 0"),
    "too few remain": (lambda r: r.edit("drain_started", remaining=1), "expected 2 to 4 to remain"),
    "too many remain": (lambda r: r.edit("drain_started", remaining=9), "expected 2 to 4"),
    "some are left": (lambda r: r.edit("drain_finished", left=1), "do not add up"),
    "some are missing": (lambda r: r.edit("drain_finished", finished=0), "do not add up"),
    "killed and not counted": (lambda r: r.edit("drain_finished", killed=0), "1 survivors were"),
    "drain too short": (lambda r: r.edit("drain_finished", seconds=0.1), "killed too early"),
    "killed too early": (lambda r: r.edit("drain_survivor", seconds=0.1), "killed too early"),
    "killed but not logged": (lambda r: r.drop("drain_survivor"), "not logged: nodes [2]"),
    "named twice": (lambda r: r.repeat("drain_survivor"), "logged twice"),
    "named and gone": (lambda r: r.edit("drain_survivor", pid=4), "had exited by itself"),
    "killed in peace": (lambda r: r.plan(kind="calm"), "every process exits by itself, but"),
    "reaped twice": (lambda r: r.repeat("orphan_reaped"), "logged twice"),
    "child an orphan": (lambda r: r.edit("orphan_reaped", pid=2), "logged twice"),
    "orphan's code": (
        lambda r: r.find("orphan_reaped", pid=4).update(code=4),
        "expected its end to be",
    ),
    "orphan's silent end": (
        lambda r: r.find("orphan_reaped", pid=5).update(signal="SIGTERM"),
        "cannot have ended this way",
    ),
    "orphan lost": (
        lambda r: r.drop("orphan_reaped", pid=4),
        "nothing is logged about the orphan 4",
    ),
}


@pytest.mark.parametrize(("doctor", "failure"), DOCTORED.values(), ids=DOCTORED)
def test_what_is_wrong_is_noticed(record, doctor, failure):
    """Each check fails where what it looks for is there."""
    doctor(record)

    assert failure in "\n".join(record.judge())


def chaos(*words: object) -> subprocess.CompletedProcess:
    """Run the command behind `make chaos`."""
    return run_module("trials.chaos", *words)


@pytest.mark.parametrize("seed", [1, secrets.randbelow(10**9)], ids=["fixed", "random"])
def test_nothing_is_wrong_with_pyinit(seed):
    """Random trees, signals and options, a few of them; `make chaos` has more."""
    done = chaos("--seed", seed, "--runs", 4)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "failures: 0" in done.stdout


def broken(folder: Path, module: str, right: str, wrong: str) -> Path:
    """Return a pyinit that does one thing otherwise."""
    source = Path(pyinit.__file__).parent
    shutil.copytree(source, folder / "pyinit", ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "pyinit" / module).read_text()
    assert right in text
    (folder / "pyinit" / module).write_text(text.replace(right, wrong))
    command = folder / "broken"
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(folder)!r})\n{MAIN}"
    )
    command.chmod(0o755)
    return command


SEED = 837  # one that has time to ask, and whose child leaves with a code of its own
LATE_SEED, STEPS_SEED, LEAK_SEED = 357, 337, 1773  # a limit, steps, and a code for leftovers
MAIN = """
from pyinit import signals
mask = signals.block_all()
from pyinit import init
init.main(mask)
"""
BREAKS = {
    "asks no process": (
        ("lifecycle.py", "(SIGTERM, SIGCONT)", "(SIGCONT,)"),
        "saw no SIGTERM",
        SEED,
    ),
    "drains no process": (
        ("lifecycle.py", "settings.drain if may_drain else 0.0", "0.0"),
        "saw no SIGTERM",
        SEED,
    ),
    "loses codes": (
        ("child.py", "code if code >= 0 else 128 - code", "1"),
        "expected code",
        SEED,
    ),
    "exits with the code of a late child": (
        ("supervisor.py", "TIMED_OUT_CODE = 124", "TIMED_OUT_CODE = 125"),
        "expected code",
        LATE_SEED,
    ),
    "takes the steps in another order": (
        (
            "lifecycle.py",
            "(signum, seconds), *rest = self._ladder",
            "*rest, (signum, seconds) = self._ladder",
        ),
        "expected the steps",
        STEPS_SEED,
    ),
    "looks for no leftovers": (
        ("later/leftovers.py", "return self.count != 0", "return False"),
        "expected code",
        LEAK_SEED,
    ),
}


@pytest.mark.parametrize(("change", "failure", "seed"), BREAKS.values(), ids=BREAKS)
def test_what_is_wrong_with_pyinit_is_found(folder, change, failure, seed):
    """A pyinit that was broken fails within a few runs, and it is told which and how to see it."""
    done = chaos("--jobs", 1, "--runs", 1, "--seed", seed, "--init", broken(folder, *change))

    assert 1 == done.returncode
    assert failure in done.stdout
    assert "again: python -m trials.chaos --runs 1 --seed" in done.stdout


def test_init_without_a_drain_is_found(folder):
    """tini fails: a process that is left when its child exits is killed."""
    init = folder / "init"
    skip = 'while [ "$1" != -- ]; do shift; done'
    init.write_text(f'#!/bin/sh\n{skip}\nexec {tool("tini")} -s "$@"\n')
    init.chmod(0o755)
    done = chaos("--jobs", 1, "--runs", 1, "--seed", SEED, "--init", init)

    assert (1, True) == (done.returncode, "saw no SIGTERM" in done.stdout)


def test_plan_is_that_of_its_seed():
    """Another process draws the same for the same seed."""
    words = "from trials.chaos.plan import make; print([make(seed) for seed in range(50)])"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", words]
    other = subprocess.check_output(command, cwd=ROOT_DIRECTORY, env=environment, text=True)

    assert str([make(seed) for seed in range(50)]) == other.strip()
