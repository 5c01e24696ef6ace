"""What a round does to pyinit: one thing after the other, and each is waited for."""

import os
import random
import signal
from typing import TYPE_CHECKING

from testkit.processes import children, state, until
from testkit.signalsets import FORWARDED
from trials.soak.subject import PATIENCE, SoakError, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

# Forwarded as another signal, or dropped.
REWRITE: dict[int, int] = {
    signal.SIGUSR1: signal.SIGUSR2,
    signal.SIGHUP: signal.SIGRTMIN + 1,
    signal.SIGWINCH: 0,
    signal.SIGPWR: 0,
}
RULES = "USR1:USR2,HUP:RTMIN+1,WINCH:0,PWR:0"
# Not those that ask to stop, after which pyinit logs more.
STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
SENT = sorted(set(FORWARDED) - STOP)
MARK = signal.SIGRTMAX


class Rounds:
    """The rounds: the same for the same seed.

    Attributes:
        done: how many rounds there were.
        orphans: how many orphans were made.
        signals: how many signals were sent to pyinit, with the dropped ones.
        forwarded: how many of them must arrive.
    """

    def __init__(self, subject: Subject, seed: int) -> None:
        """Begin."""
        self._subject = subject
        self._chance = random.Random(seed)
        self.done = self.orphans = self.signals = self.forwarded = 0

    def turn(self) -> None:
        """Do each thing once, in a random order."""
        things: list[Callable[[], None]] = [
            self._orphans,
            self._signals,
            self._burst,
            self._guests,
            self._stop_children,
            self._stop_workload,
        ]
        self._chance.shuffle(things)
        for thing in things:
            thing()
        self.done += 1

    def settle(self) -> None:
        """Wait until pyinit and its log have nothing left to do.

        An orphan closes its pipe just before it has ended, and that of a guest may just have begun.
        When all are reaped, a signal comes after everything that pyinit logs about them.
        """
        until(lambda: children(self._subject.init) == [self._subject.workload])
        self._send(MARK)
        self._subject.wait_for("signal_forwarded", self.forwarded)

    def _orphans(self) -> None:
        count = self._chance.randint(1, 300)
        self._subject.do("orphans", count)
        self.orphans += count

    def _stop_children(self) -> None:
        self._subject.do("children", self._chance.randint(1, 3))
        count = self._chance.randint(1, 3)
        self._subject.do("stops", count)
        self.orphans += count

    def _signals(self) -> None:
        for signum in self._chance.sample(SENT, 10):
            self._send(signum)

    def _send(self, signum: int) -> None:
        """Send a signal and wait for it; if it is dropped, send another one and wait for that."""
        self._subject.send(signum)
        self.signals += 1
        arriving = REWRITE.get(signum, signum)
        if arriving:
            self._arrive(int(arriving))
        else:
            self._send(MARK)

    def _arrive(self, signum: int) -> None:
        self.forwarded += 1
        self._subject.expect(f"got {signum}")

    def _burst(self) -> None:
        """Send many real-time signals at once, which queue."""
        count = self._chance.randint(2, 50)
        for _ in range(count):
            self._subject.send(MARK)
        for _ in range(count):
            self._arrive(MARK)
        self.signals += count

    def _guests(self) -> None:
        """Let guests enter, signal PID 1 and leave, each with an orphan."""
        count = self._chance.randint(1, 3)
        script = f"(true &); kill -{int(MARK)} 1"
        guests = [self._subject.guest(script) for _ in range(count)]
        for guest in guests:
            if guest.wait(PATIENCE):
                message = f"a guest exited with {guest.returncode}"
                raise SoakError(message)
        for _ in guests:
            self._arrive(MARK)
        self.signals += count
        self.orphans += count

    def _stop_workload(self) -> None:
        """Stop the child, send a signal that stays pending, continue the child through pyinit."""
        pid = self._subject.workload
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state(pid) == "T")
        self._subject.send(MARK)
        self._subject.send(signal.SIGCONT)
        self.signals += 2
        # It takes the two in any order.
        answers = {self._subject.line(), self._subject.line()}
        if answers != {f"got {int(MARK)}", f"got {int(signal.SIGCONT)}"}:
            message = f"after a stop the workload got {answers}"
            raise SoakError(message)
        self.forwarded += 2
