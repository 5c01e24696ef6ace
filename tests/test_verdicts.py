"""What `pyinit --inspect` predicts is what the kernel does: each cell is a real process."""

import dataclasses
import itertools
import os
import subprocess

import pytest

from testkit.processes import children, status_of, until

from pyinit.later import verdicts
from pyinit.later.signal_state import look
from pyinit.later.thread_signals import bits
from pyinit.later.verdicts import (
    CONTINUES,
    DELIVERED,
    DROPPED,
    HELD,
    IGNORED,
    KILLS,
    STOPS,
    TAKEN,
    judge,
)

SIGKILL, SIGSTOP, SIGCONT = 9, 19, 18
# One of each kind: it kills, nothing keeps it from killing, it is ignored, continues, stops, stops
# by a terminal, is real-time. Where all 64 are tried no two of a kind differ.
SOME = (15, SIGKILL, 17, SIGCONT, SIGSTOP, 20, 34)
TOLD = ("got", "took", "killed", "stopped", "continued")
THROWN_AWAY = "thrown away"
PLACES = ("init", "other")
DISPOSITIONS = {  # by what is written in the tables: the words of the subject
    "default": (),
    "ignored": ("ignored",),
    "caught": ("caught",),
    "blocked": ("blocked",),
    "blocked and ignored": ("blocked", "ignored"),
    "blocked and caught": ("blocked", "caught"),
    "awaited": ("awaited",),
    "awaited and ignored": ("awaited", "ignored"),
    "awaited and caught": ("awaited", "caught"),
}


class Subject:
    """A process that does something with a signal, and the sender of it from inside."""

    def __init__(self, program: str, place: str, signum: int, words: tuple[str, ...]) -> None:
        self.signum = signum
        self.marker = 63 if signum == 64 else 64
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [program, place, str(signum), *words]
        self.told: list[str] = []
        self.process = subprocess.Popen(command, text=True, bufsize=1, **pipes)
        first, second = self.until("init", "ready"), self.until("init", "ready")
        self.init = int(max(first, second, key=len).split()[1])
        self.pid = self.init if place == "init" else children(self.init)[0]  # the elder
        if "awaited" in words:
            assert until(lambda: any(thread.waits for thread in look(self.pid).living))
        if "ended" in words:
            assert until(lambda: not look(self.pid).threads[0].is_alive)

    def until(self, *wanted: str) -> str:
        """Wait for a line that begins with one of the words; the empty one is the end."""
        for line in self.process.stdout:
            if line.split()[0] in wanted:
                return line.strip()
        return ""

    def stop(self) -> None:
        os.kill(self.pid, SIGSTOP)
        self.until("stopped")

    def send(self, *, inside: bool) -> None:
        """Send the signal; what becomes of the subject may be told before that it was sent."""
        if not inside:
            os.kill(self.pid, self.signum)
            return
        self.process.stdin.write("go\n")
        while not (line := self.until("sent", *TOLD)).startswith("sent"):
            self.told.append(line)
            if line.startswith("killed"):  # it, and the sender with it
                return

    def pending(self) -> bool:
        """Tell whether the signal is pending."""
        try:
            with open(f"/proc/{self.pid}/status") as file:
                fields = status_of(file.read())
        except OSError:
            return False
        return self.signum in bits(fields["ShdPnd"]) | bits(fields["SigPnd"])

    def fate(self) -> str:
        """Return what became of the signal, told by another that is sent after it.

        The kernel gives the lowest number first, so the marker's handler runs last.
        """
        self.kill(self.marker)
        line = self.told[0] if self.told else self.until(*TOLD)
        word, _, number = line.partition(" ")
        if int(number or 0) == self.marker:
            return HELD if self.pending() else THROWN_AWAY
        assert str(self.signum) == number, line
        return {"got": DELIVERED, "took": TAKEN, "killed": KILLS, "stopped": STOPS}[word]

    def fate_while_stopped(self) -> str:
        """Return what became of the signal for a subject that was stopped before."""
        if self.signum == SIGCONT:
            return CONTINUES if "continued" in self.told or self.until("continued") else ""
        if self.signum != SIGKILL and self.pending():  # which is pending while it kills
            return HELD
        self.kill(self.marker)
        self.kill(SIGCONT)
        line = self.told[0] if self.told else self.until("got", "killed")
        return KILLS if line == f"killed {self.signum}" else THROWN_AWAY

    def kill(self, signum: int) -> None:
        """Send a signal from outside to what may be gone by now."""
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            pass

    def end(self) -> None:
        try:
            os.kill(self.init, SIGKILL)
        except ProcessLookupError:
            pass
        self.process.communicate()


@pytest.fixture
def subject(compiled):
    """Start subjects, one at a time."""
    program = compiled("subject")
    started = []

    def start(*how) -> Subject:
        while started:
            started.pop().end()
        started.append(Subject(program, *how))
        return started[0]

    yield start
    for one in started:
        one.end()


def predict(subject: Subject, *, inside: bool) -> str:
    """Return what the code behind `--inspect` says of a subject, which it must be sure of.

    It is not while threads that have a processor coming are on their way to where they wait.
    """
    verdicts = []

    def is_sure() -> bool:
        verdicts.append(judge(look(subject.pid), subject.signum, inside=inside))
        return verdicts[-1].is_sure

    assert until(is_sure)
    return verdicts[-1].word


def seen(word: str) -> str:
    """Return what is to be seen of a verdict: of both of these, nothing."""
    return THROWN_AWAY if word in {IGNORED, DROPPED} else word


@dataclasses.dataclass
class Count:
    """How many cells there were, and those that differ."""

    cells: int = 0
    wrong: list = dataclasses.field(default_factory=list)

    def compare(self, cell: tuple, predicted: str, found: str) -> None:
        self.cells += 1
        if seen(predicted) != found:
            self.wrong.append((*cell, predicted, found))

    def check(self, record_property) -> None:
        """Note how many agreed, for the summary of the run; none may differ."""
        record_property("predictions", self.cells)
        record_property("predictions that came true", self.cells - len(self.wrong))
        assert [] == self.wrong


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_every_prediction_comes_true(subject, disposition, record_property):
    """All signals, sent from inside and outside, to PID 1 and to another: no cell differs.

    Dropped, in addition, is only what does something to another process.
    """
    count = Count()
    for signum, inside in itertools.product(verdicts.ALL, (True, False)):
        words, found = {}, {}
        for place in PLACES:
            one = subject(place, signum, DISPOSITIONS[disposition])
            words[place] = predict(one, inside=inside)
            one.send(inside=inside)
            found[place] = one.fate()
            count.compare((disposition, place, signum, inside), words[place], found[place])
        is_dropped = found["init"] == THROWN_AWAY != found["other"]
        assert (words["init"] == DROPPED) == is_dropped, (signum, inside)

    count.check(record_property)
    assert 256 == count.cells


THREADS = [
    words
    for masks in (["blocked", "thread"], ["blocked-thread"], ["blocked", "blocked-thread"])
    for disposition in ([], ["ignored"], ["caught"])
    if (words := (*masks, *disposition))
]

ENDED = [
    ["ended", *masks, *disposition]
    for masks in ([], ["blocked"], ["blocked-thread"], ["awaited"])
    for disposition in ([], ["ignored"], ["caught"])
]


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_predictions_for_who_is_stopped_come_true(subject, disposition, record_property):
    """A stopped process gets SIGKILL and SIGCONT, and keeps the rest."""
    count = Count()
    for signum, inside, place in itertools.product(SOME, (True, False), PLACES):
        one = subject(place, signum, DISPOSITIONS[disposition])
        one.stop()
        predicted = predict(one, inside=inside)
        one.send(inside=inside)
        count.compare((place, signum, inside), predicted, one.fate_while_stopped())

    count.check(record_property)
    assert 4 * len(SOME) == count.cells


def test_predictions_for_an_orphaned_group_come_true(subject, record_property):
    """No process would continue one in an orphaned group, so no terminal stops it."""
    count = Count()
    for signum, inside in itertools.product(SOME, (True, False)):
        one = subject("alone", signum, ())
        predicted = predict(one, inside=inside)
        one.send(inside=inside)
        count.compare((signum, inside), predicted, one.fate())

    count.check(record_property)
    assert 2 * len(SOME) == count.cells


@pytest.mark.parametrize("words", THREADS + ENDED, ids="+".join)
def test_predictions_for_two_threads_come_true(subject, words, record_property):
    """What one thread blocks and another does not, too, and where the first one has ended."""
    count = Count()
    for signum, inside, place in itertools.product(SOME, (True, False), PLACES):
        one = subject(place, signum, words)
        predicted = predict(one, inside=inside)
        one.send(inside=inside)
        count.compare((words, place, signum, inside), predicted, one.fate())

    count.check(record_property)
    assert 4 * len(SOME) == count.cells
