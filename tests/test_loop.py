"""What the loop does with what it is told: whom it signals, whom it reaps, when it looks again.

The kernel is stood in for here, so that each answer of it comes at the moment that matters.
"""

import errno
import os
import posix
import signal
import sys
import typing
from types import SimpleNamespace

import pytest

from pyinit import child, processes, lifecycle, supervisor
from pyinit import init as usual
from pyinit.later import descendants, events, look, outcome, proc, steps, survivors, wait_refused
from pyinit.settings import DEBUG, ERROR, INFO, WARNING, Settings
from pyinit.supervisor import Supervisor

PID = 7
ORPHAN = 8
TERM, CONT, KILL, HUP = signal.SIGTERM, signal.SIGCONT, signal.SIGKILL, signal.SIGHUP
DRAIN = 5.0
LOOK = lifecycle.LOOK_SECONDS
BEFORE_KILL = DRAIN - lifecycle.PEEK_SECONDS
ASKED = ("everyone", (TERM, CONT), 0)
KILLED = ("everyone", (KILL,), 0)
NO_CHILDREN = ChildProcessError(errno.ECHILD, "none")


STATUSES = 0x100  # of waitpid(2), that a child leaves with a code


def refusal(number: int) -> OSError:
    """Return what a call raises that fails with this number."""
    return OSError(number, os.strerror(number))


def came(signum: int) -> SimpleNamespace:
    """Return what tells of a signal that came in."""
    return SimpleNamespace(si_signo=signum, si_code=0, si_pid=0, si_uid=0)


def next_of(answers: list):
    """Return the next answer, the last one again and again; raise what is an error."""
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, BaseException):
        raise answer
    return answer


class Notes:
    """Keeps what is told.

    Attributes:
        told: each event's level, name and keys.
    """

    def __init__(self, settings: Settings, reserve: bytes | None) -> None:
        self.verbosity, self.reserve, self.told = settings.verbosity, reserve, []
        self.kept: list[object] = []

    def tell(self, level: int, event: str, *facts: object) -> None:
        """Note an event that the verbosity wants."""
        if level <= self.verbosity:
            self.told.append((level, event, getattr(events, event)(*facts)))

    def tell_error(self, error: BaseException) -> None:
        """Note an error."""
        self.told.append((0, "internal_error", {"error": repr(error)}))

    def open(self) -> None:
        """Do nothing."""

    def expect(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def names(self) -> list[str]:
        """Return the names of the events."""
        return [name for _, name, _ in self.told]


class Kernel:
    """Answers in its stead, and keeps what was asked of it.

    Attributes:
        now: the time.
        signals: those that were sent, and to whom: a pid, a group below zero, or "everyone".
        answers: what each signal meets, one after the other; nothing where there is none left.
        dead: those to be reaped, or what is raised where one looks for them; the last one stays.
        unseen: the same for who is reaped without a look.
        orphans: what comes of reaping orphans of whom nobody asks.
        quietly: for which child, and up to how many, that was asked.
        taken: who was reaped.
        statuses: what reaping tells; None where the zombie cannot be had.
        group: that of the child.
        waits: what waiting for a signal tells.
        patience: how long it was waited for a signal.
        remaining: what was asked of those that know the survivors.
        wants_more: whether these want another look.
        wants_the_dead: whether these want to know who is dead.
    """

    def __init__(self, monkeypatch) -> None:
        self.now, self.group = 0.0, PID
        self.signals, self.answers, self.taken, self.quietly = [], [], [], []
        self.dead, self.unseen, self.orphans = [None], [None], [processes.CHILD_OR_NOBODY]
        self.statuses, self.waits, self.patience = [0x300], [None], []
        self.remaining, self.wants_more, self.wants_the_dead = [], False, False
        monkeypatch.setattr(posix, "getpgid", lambda _: self.group)
        monkeypatch.setattr(posix, "kill", self.kill)
        monkeypatch.setattr(descendants, "send", self.send)
        monkeypatch.setattr(processes, "next_dead", lambda: next_of(self.dead))
        monkeypatch.setattr(processes, "take_any", lambda: next_of(self.unseen))
        monkeypatch.setattr(processes, "reap_orphans", self.reap_orphans)
        monkeypatch.setattr(processes, "take", self.take)
        monkeypatch.setattr(processes, "take_with_usage", lambda pid: (self.take(pid), None))
        monkeypatch.setattr(survivors, "Survivors", lambda *_: Remaining(self))
        monkeypatch.setattr(supervisor, "Report", Notes)
        for module in (supervisor, outcome, steps):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(usual, "monotonic", lambda: self.now)
        monkeypatch.setattr(usual.signals, "wait", self.wait)

    def kill(self, pid: int, signum: int) -> None:
        """Send nothing, but keep it and answer."""
        self.signals.append((pid, signum))
        self._answer()

    def send(self, signums: tuple, child: int) -> None:
        """Stand in for `descendants.send`."""
        self.signals.append(("everyone", signums, child))
        self._answer()

    def _answer(self) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer

    def reap_orphans(self, child: SimpleNamespace, most: int) -> int:
        """Stand in for `processes.reap_orphans`; a status is the child's, which died meanwhile."""
        self.quietly.append((child.pid if child.status is None else 0, most))
        left = next_of(self.orphans)
        if left < STATUSES:
            return left
        child.status = left
        return processes.CHILD_OR_NOBODY

    def take(self, pid: int) -> int | None:
        """Stand in for `processes.take`."""
        self.taken.append(pid)
        return next_of(self.statuses)

    def wait(self, seconds: float | None) -> SimpleNamespace | None:
        """Stand in for `signals.wait`."""
        self.patience.append(seconds)
        return next_of(self.waits)


class Peek:
    """Stands in for a look at those that do not stop; it takes until a test says it is over."""

    made: typing.ClassVar[list] = []

    def __init__(
        self,
        pids: list[int] | None,
        asked: tuple[float, int, int],
        deadline: float,
        *,
        target: int,
        stacks: bool,
    ):
        self.asked, self.is_over = (pids, *asked, deadline, target, stacks), False
        self.before = None
        self.made.append(self)

    def keys(self, _pid: int) -> dict:
        """Return what was found out."""
        return {}


class Remaining:
    """Stands in for what knows the survivors, and has the kernel keep what is asked of it."""

    after = survivors.Survivors.after

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self.gave_up = kernel, False
        kernel.remaining.append("counted")

    def asked(self) -> None:
        """Keep it."""
        self._kernel.remaining.append("asked")

    def name_all(self, _look: object) -> None:
        """Keep it."""
        self._kernel.remaining.append("named")

    def tell_named(self) -> None:
        """Keep it."""
        self._kernel.remaining.append("told")

    def finished(self) -> None:
        """Keep it."""
        self._kernel.remaining.append("gave up" if self.gave_up else "finished")

    def look(self, _) -> bool:
        """Keep it, and say whether another look is wanted."""
        self._kernel.remaining.append("looked")
        return self._kernel.wants_more

    def wants_the_dead(self) -> bool:
        """Tell it."""
        return self._kernel.wants_the_dead

    def wants_name(self, _pid: int) -> bool:
        """Tell it."""
        return self._kernel.wants_the_dead

    def reaped(self, pid: int, _name: str | None, _status: int) -> None:
        """Keep it."""
        self._kernel.remaining.append(f"reaped {pid}")


@pytest.fixture
def kernel(monkeypatch):
    """Put something else in the kernel's place."""
    Peek.made.clear()
    monkeypatch.setattr(look, "Look", Peek)
    return Kernel(monkeypatch)


def running(*, verbosity: int = DEBUG, **settings) -> Supervisor:
    """Return the loop with a child that runs."""
    one = child.unborn()
    one.pid = PID
    chosen = Settings(
        ("true",), verbosity=verbosity, **{"drain": DRAIN, "explain_after": 0.0, **settings}
    )
    return Supervisor(chosen, one, b"")


def dead(kernel: Kernel, **settings) -> Supervisor:
    """Return the same when the child is dead, now, and those who remain are still to be asked."""
    made = running(**settings)
    kernel.dead = [(PID, 0x300), None]
    made.reap()
    kernel.taken.clear()
    kernel.quietly.clear()
    return made


def draining(kernel: Kernel, **settings) -> Supervisor:
    """Return the same when those who remain have just been asked to go."""
    made = dead(kernel, **settings)
    step_at(kernel, made, kernel.now)
    kernel.signals.clear()
    kernel.remaining.clear()
    return made


def step_at(kernel: Kernel, made: Supervisor, now: float) -> None:
    """Let that time be, and do what is due; a look before that is no step of its own here."""
    kernel.now, looks = now, len(Peek.made)
    made.take_step()
    if len(Peek.made) > looks:
        made.take_step()


def to_kill(kernel: Kernel) -> Supervisor:
    """Return the loop when it is time to kill those who remain."""
    made = draining(kernel)
    step_at(kernel, made, LOOK)
    kernel.remaining.clear()
    kernel.now = DRAIN
    made.take_step()  # the look at those that are to be killed
    return made


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, [(PID, TERM)]),
        ({"group": True}, [(-PID, TERM), (PID, 0)]),
        ({"forward_all": True}, [("everyone", (TERM,), PID)]),
    ],
    ids=["child", "group", "everyone"],
)
def test_signals_go_to_their_target(kernel, settings, sent):
    """Each target has its number."""
    running(**settings).forward(came(TERM))

    assert sent == kernel.signals


@pytest.mark.parametrize(
    ("is_dead", "sent"),
    [(False, [(-1, TERM), (PID, 0)]), (True, [(-1, TERM), (-1, CONT)])],
)
def test_pid1_signals_everyone_at_once(kernel, monkeypatch, is_dead, sent):
    """All signals go there in their order; whether the child may be signalled is asked."""
    monkeypatch.setattr(posix, "getpid", lambda: 1)
    if is_dead:
        dead(kernel).take_step()
    else:
        running(forward_all=True).forward(came(TERM))

    assert sent == kernel.signals


def test_nobody_but_pid1_signals_all(kernel):
    """From any other process it would reach strangers."""
    processes.send_to_all(PID, TERM)

    assert [] == kernel.signals


@pytest.mark.parametrize(
    ("answers", "number"),
    [
        ([None, None], None),
        ([None, errno.EPERM], errno.EPERM),
        ([errno.EPERM, None], errno.EPERM),
    ],
    ids=["all", "not-the-child", "nobody"],
)
def test_group_is_asked_for_the_child(kernel, answers, number):
    """kill(2) succeeds where one of a group may be signalled; the child is the one that counts."""
    kernel.answers = [number and refusal(number) for number in answers]
    made = running(group=True)
    made.forward(came(TERM))
    ((_, name, keys),) = made.report.told

    assert ("forward_refused" if number else "signal_forwarded") == name
    assert (number and errno.errorcode[number]) == keys.get("error")


@pytest.mark.parametrize("group", [PID - 1, PID + 1])
@pytest.mark.parametrize("answer", [None, refusal(errno.ESRCH)], ids=["others", "nobody"])
def test_child_that_left_its_group_is_reached(kernel, answer, group):
    """It gets the signal itself, and so does whoever is left in the group."""
    kernel.group, kernel.answers = group, [answer]
    made = running(group=True)
    made.forward(came(TERM))

    assert [(-PID, TERM), (PID, TERM)] == kernel.signals
    assert ["signal_forwarded"] == made.report.names()


def test_pid_of_a_dead_child_is_nobodys(kernel):
    """Once it is dead everyone is everyone but the child."""
    draining(kernel).forward(came(TERM))

    assert [("everyone", (TERM,), 0)] == kernel.signals


@pytest.mark.parametrize(
    ("is_dead", "number", "event"),
    [
        (False, errno.ESRCH, "forward_refused"),
        (False, errno.EPERM, "forward_refused"),
        (True, errno.ESRCH, "signal_forwarded"),
        (True, errno.EPERM, "forward_refused"),
    ],
)
def test_refusal_is_told(kernel, is_dead, number, event):
    """But that nobody is there any more, once the child is dead, is none."""
    made = draining(kernel) if is_dead else running(forward_all=True)
    kernel.answers = [refusal(number)]
    made.forward(came(TERM))

    assert [event] == made.report.names()


def test_error_of_pyinits_own_is_no_refusal(kernel):
    """It is told, and all that follows goes on."""
    kernel.answers = [ImportError("gone")]
    made = dead(kernel)
    made.take_step()

    assert (["internal_error"], ["counted", "asked"]) == (made.report.names(), kernel.remaining)


@pytest.mark.parametrize("is_dead", [False, True])
def test_where_nobody_can_be_looked_for_the_child_is_signalled(kernel, monkeypatch, is_dead):
    """As long as it runs, and what is missing is told."""
    made = draining(kernel) if is_dead else running(forward_all=True)
    monkeypatch.delattr("pyinit.later.descendants")
    monkeypatch.setitem(sys.modules, "pyinit.later.descendants", None)
    made.forward(came(TERM))

    assert ([] if is_dead else [(PID, TERM)]) == kernel.signals
    assert ["internal_error", "signal_forwarded"] == made.report.names()


def test_what_cannot_be_told_of_a_step_is_no_reason_not_to_take_it(kernel, monkeypatch):
    """They are killed although they cannot be named."""
    monkeypatch.setattr(Remaining, "name_all", lambda _: 1 // 0)
    made = to_kill(kernel)
    kernel.signals.clear()
    made.take_step()

    assert ([KILLED], ["internal_error"]) == (kernel.signals, made.report.names())


def test_orphan_without_a_name_is_told(kernel, monkeypatch):
    """Where its name cannot be read."""
    monkeypatch.setattr(proc, "name", lambda _: 1 // 0)
    kernel.dead = [(ORPHAN, 0x500), None]
    made = running()
    made.reap()
    ((_, name, keys),) = made.report.told

    assert ("orphan_reaped", ORPHAN, 3) == (name, keys["pid"], keys["code"])


def test_orphans_without_end_do_not_keep_the_loop(kernel):
    """While the child runs so many are reaped at once, and the rest without a signal's leave."""
    kernel.dead = [(ORPHAN, 0)]
    made = running()
    made.reap()

    assert [ORPHAN] * supervisor.BATCH == kernel.taken
    assert 0.0 == made.lifecycle.patience(kernel.now)


@pytest.mark.parametrize(
    ("orphans", "patience"), [(processes.NONE, None), (processes.MORE, 0.0)], ids=["none", "more"]
)
def test_orphans_of_whom_nobody_asks_are_but_reaped(kernel, orphans, patience):
    """Up to the child, and only so many: more may be dead."""
    kernel.orphans = [orphans]
    made = running(verbosity=WARNING)
    made.reap()

    assert ([(PID, supervisor.BATCH)], []) == (kernel.quietly, kernel.taken)
    assert patience == made.lifecycle.patience(kernel.now)


def test_who_is_no_orphan_is_looked_at(kernel):
    """Where orphans are not told it is the child, or what cannot be had."""
    kernel.dead = [(PID, 0), None]
    made = running(verbosity=WARNING)
    made.reap()

    assert ([PID], 0x300) == (kernel.taken, made.lifecycle.status)


def test_reaped_child_is_no_more_left_out(kernel):
    """Its pid may be an orphan's."""
    made = draining(kernel, verbosity=WARNING)
    kernel.orphans = [processes.NONE]
    made.reap()

    assert [(0, supervisor.BATCH)] == kernel.quietly


@pytest.mark.parametrize(("wants", "quietly"), [(True, 0), (False, 1)])
def test_who_counts_the_dead_gets_to_know_them(kernel, wants, quietly):
    """Although nothing is told of them."""
    made = draining(kernel, verbosity=WARNING)
    kernel.orphans, kernel.wants_the_dead = [processes.NONE], wants
    kernel.dead = [(ORPHAN, 0), None]
    made.reap()

    assert quietly == len(kernel.quietly)
    assert ([f"reaped {ORPHAN}"] if wants else []) == kernel.remaining


@pytest.mark.parametrize(
    ("found", "taken"), [([None], 0), ([(ORPHAN, 0), (ORPHAN, 0), None], 2)], ids=["none", "two"]
)
def test_reaping_ends_with_the_last(kernel, found, taken):
    """Where nobody is dead any more it ends."""
    kernel.dead = found
    made = running()
    made.reap()

    assert (taken, None) == (len(kernel.taken), made.lifecycle.patience(kernel.now))


def test_dead_who_cannot_be_had_are_not_tried_at_once_again(kernel):
    """That would be a turn at full speed."""
    kernel.dead, kernel.statuses = [(ORPHAN, 0)], [None]
    made = running()
    made.reap()

    assert ([ORPHAN], supervisor.RETRY_SECONDS) == (
        kernel.taken,
        made.lifecycle.patience(kernel.now),
    )


@pytest.mark.parametrize(("seconds", "taken"), [(0.01, 200), (0.05, 64), (1.0, 64)])
def test_at_the_end_reaping_has_a_time(kernel, monkeypatch, seconds, taken):
    """Once the child is dead it may go on for a while: there is nobody to keep signals for."""
    made = draining(kernel)
    kernel.dead = [(ORPHAN, 0)] * 200 + [None]
    clock = iter([0.0])  # when it begins
    monkeypatch.setattr(supervisor, "monotonic", lambda: next(clock, seconds))
    made.reap()

    assert taken == len(kernel.taken)


@pytest.mark.parametrize(
    ("is_anybody", "are_zombies"), [(False, False), (True, True)], ids=["nobody", "zombies"]
)
def test_nobody_is_left(kernel, monkeypatch, is_anybody, are_zombies):
    """When waitpid knows nobody and nobody else is here alive, the drain is over."""
    monkeypatch.setattr(processes, "is_anybody_here", lambda: is_anybody)
    monkeypatch.setattr(survivors, "are_zombies", lambda: are_zombies)
    made = draining(kernel)
    kernel.dead = [NO_CHILDREN]
    made.reap()

    assert made.is_over()


@pytest.mark.parametrize("look", [lambda: False, lambda: 1 // 0], ids=["alive", "not-to-be-seen"])
def test_who_was_brought_in_is_waited_for(kernel, monkeypatch, look):
    """Their end is no signal, so it is looked again soon."""
    monkeypatch.setattr(processes, "is_anybody_here", lambda: True)
    monkeypatch.setattr(survivors, "are_zombies", look)
    made = draining(kernel)
    kernel.dead = [NO_CHILDREN]
    made.reap()

    assert lifecycle.DRAINING == made.lifecycle.state
    assert supervisor.LOOK_AGAIN_SECONDS == made.lifecycle.patience(kernel.now)


def test_no_children_while_there_is_one_is_an_error(kernel):
    """The child is there, so what the kernel says cannot be; it is asked again later."""
    kernel.dead = [NO_CHILDREN]
    made = running()
    with pytest.raises(ChildProcessError):
        made.reap()

    assert lifecycle.RUNNING == made.lifecycle.state
    assert [(PID, 0)] == kernel.signals


def test_child_that_is_gone_unseen_has_a_code_all_the_same(kernel):
    """An error came after it was reaped and before its status was noted: that is lost."""
    kernel.dead = [NO_CHILDREN]
    kernel.answers = [refusal(errno.ESRCH)]
    made = running(drain=0.0)
    made.reap()
    made.settle()

    assert (True, supervisor.UNKNOWN_CODE) == (made.is_over(), made.leave())
    assert ["child_exited"] == made.report.names()


def test_child_that_may_not_be_asked_for_is_there(kernel):
    """EPERM is an answer."""
    kernel.dead = [NO_CHILDREN]
    kernel.answers = [refusal(errno.EPERM)]
    with pytest.raises(ChildProcessError):
        running().reap()


@pytest.mark.parametrize(("taken", "status"), [(0x300, 0x300), (None, 0x200)])
@pytest.mark.parametrize("verbosity", [WARNING, DEBUG])
def test_status_of_the_child_is_kept(kernel, taken, status, verbosity):
    """The one of waitpid counts; where the zombie cannot be had there is the one seen before."""
    kernel.dead, kernel.statuses = [(PID, 0x200), None], [taken]
    made = running(verbosity=verbosity)
    made.reap()

    assert (status, lifecycle.DRAINING) == (made.lifecycle.status, made.lifecycle.state)
    left_out = kernel.quietly[-1:]
    kernel.orphans = [processes.NONE]
    made.reap()
    again = [] if verbosity == DEBUG else [(PID if taken is None else 0, supervisor.BATCH)]
    assert again == kernel.quietly[-1:]
    assert bool(left_out) == bool(again)


@pytest.mark.parametrize("pid", [PID - 1, PID + 1])
def test_whoever_else_is_dead_is_an_orphan(kernel, pid):
    """Whatever its number is: pids begin anew at the end of their range."""
    kernel.dead = [(pid, 0x500), None]
    made = running()
    made.reap()

    assert (None, lifecycle.RUNNING) == (made.lifecycle.status, made.lifecycle.state)
    assert ["orphan_reaped"] == made.report.names()


def test_pid_of_the_reaped_child_is_an_orphans(kernel):
    """Once the child is reaped its pid may come again."""
    made = draining(kernel)
    kernel.dead, kernel.statuses = [(PID, 0x500), None], [0x500]
    made.reap()

    assert (0x300, ["orphan_reaped"]) == (made.lifecycle.status, made.report.names())


@pytest.mark.parametrize(
    ("unseen", "status", "told", "patience"),
    [
        ([None], None, [], None),
        ([(ORPHAN, 0x500), None], None, ["orphan_reaped"], None),
        ([(PID, 0x500), None], 0x500, [], 0.0),
        ([(ORPHAN, 0)], None, ["orphan_reaped"] * supervisor.BATCH, 0.0),
    ],
    ids=["nobody", "orphan", "child", "without-end"],
)
def test_who_cannot_be_looked_at_is_reaped_unseen(kernel, unseen, status, told, patience):
    """It is told which call the kernel refuses, and of each orphan."""
    kernel.dead, kernel.unseen = [refusal(errno.EPERM)], unseen
    made = running()
    made.reap()

    assert (status, ["internal_error", *told]) == (made.lifecycle.status, made.report.names())
    assert patience == made.lifecycle.patience(kernel.now)


@pytest.mark.parametrize("is_dead", [True, False])
def test_signal_is_passed_on_and_told(kernel, is_dead):
    """To the child, or to all of those who remain."""
    made = draining(kernel) if is_dead else running()
    made.forward(came(HUP))

    assert [("everyone", (HUP,), 0) if is_dead else (PID, HUP)] == kernel.signals
    assert ["signal_forwarded"] == made.report.names()


def test_signal_that_is_refused_is_told(kernel):
    """As what it is, and not as forwarded."""
    kernel.answers = [refusal(errno.EPERM)]
    made = running()
    made.forward(came(HUP))

    assert ["forward_refused"] == made.report.names()


def test_signal_that_is_dropped_goes_nowhere(kernel):
    """And this is told."""
    made = running(rewrite={HUP: 0})
    made.forward(came(HUP))

    assert ([], ["signal_dropped"]) == (kernel.signals, made.report.names())


def test_refused_kill_after_is_told(kernel):
    """What was to be done, and that it could not be."""
    made = running(kill_after=1.0)
    made.forward(came(TERM))
    kernel.answers = [refusal(errno.EPERM)]
    step_at(kernel, made, 1.0)

    assert [(PID, TERM), (PID, KILL)] == kernel.signals
    assert ["signal_forwarded", "kill_after_expired", "kill_refused"] == made.report.names()


def test_slow_stop_is_told_as_soon_as_the_look_is_over(kernel):
    """Which begins when the stop is slow; the child alone is looked at, for the signal it got."""
    made = running(explain_after=3.0, rewrite={TERM: HUP}, stacks=False)
    made.forward(came(TERM))
    step_at(kernel, made, 2.9)
    assert [] == Peek.made
    step_at(kernel, made, 3.0)
    (peek,) = Peek.made
    until = 3.0 + lifecycle.EXPLAIN_SECONDS
    assert ([PID], 0.0, HUP, TERM, until, lifecycle.CHILD, False) == peek.asked
    step_at(kernel, made, 3.1)
    assert ["signal_forwarded"] == made.report.names()
    peek.is_over = True
    step_at(kernel, made, 3.2)

    assert ["signal_forwarded", "stop_is_slow"] == made.report.names()
    step_at(kernel, made, 99.0)
    assert (1, ["signal_forwarded", "stop_is_slow"]) == (len(Peek.made), made.report.names())


def test_slow_stop_is_told_although_the_look_takes_long(kernel):
    """What hangs is told, if not why."""
    made = running(explain_after=3.0)
    made.forward(came(TERM))
    step_at(kernel, made, 3.0)
    step_at(kernel, made, 3.0 + lifecycle.EXPLAIN_SECONDS)

    assert ["signal_forwarded", "stop_is_slow"] == made.report.names()


def test_slow_stop_is_told_where_there_is_no_thread_for_a_look(kernel, monkeypatch):
    """A container may have so many processes and threads only: that is no error of pyinit's."""

    def refuse(*_: object, **__: object) -> typing.NoReturn:
        raise RuntimeError

    monkeypatch.setattr(look, "Look", refuse)
    made = running(explain_after=3.0)
    made.forward(came(TERM))
    step_at(kernel, made, 3.0)
    step_at(kernel, made, 3.0 + lifecycle.EXPLAIN_SECONDS)

    assert ["signal_forwarded", "stop_is_slow"] == made.report.names()


def test_what_an_earlier_look_has_found_is_told_too(kernel):
    """Where there was no time for the last one."""
    made = running(explain_after=1.0, kill_after=9.0)
    made.forward(came(TERM))
    for now in (1.0, 4.0, 8.5):
        step_at(kernel, made, now)
    first, second = Peek.made

    assert (None, first) == (first.before, second.before)


def test_who_wants_no_warning_has_nobody_looked_at(kernel):
    """Nothing of it would be told."""
    made = running(explain_after=3.0, verbosity=ERROR)
    made.forward(came(TERM))
    step_at(kernel, made, 99.0)

    assert [] == Peek.made


def test_those_that_remain_are_looked_at_before_they_are_killed(kernel):
    """All of them, for SIGTERM, which a drain sends."""
    made = draining(kernel)
    step_at(kernel, made, LOOK)
    step_at(kernel, made, BEFORE_KILL)

    everyone = lifecycle.EVERYONE
    assert [(None, float("inf"), TERM, TERM, DRAIN, everyone, True)] == [
        peek.asked for peek in Peek.made
    ]


def test_refused_kill_is_told_once(kernel):
    """And not each time that it is tried again."""
    made = to_kill(kernel)
    kernel.signals.clear()
    kernel.answers = [refusal(errno.EPERM)] * 2
    made.take_step()
    step_at(kernel, made, DRAIN + lifecycle.AGAIN_SECONDS)

    assert ([KILLED] * 2, ["kill_refused"]) == (kernel.signals, made.report.names())


def test_survivors_are_named_once(kernel):
    """Right before they are killed; they are told of when that is tried again."""
    made = to_kill(kernel)
    made.take_step()
    step_at(kernel, made, DRAIN + lifecycle.AGAIN_SECONDS)
    step_at(kernel, made, DRAIN + lifecycle.LAST_SECONDS - lifecycle.AGAIN_SECONDS)

    assert (["named", "told", "told"], [KILLED] * 3) == (kernel.remaining, kernel.signals)


@pytest.mark.parametrize("seconds", [0.5, lifecycle.LAST_SECONDS])
def test_whether_it_was_given_up(kernel, seconds):
    """The last step alone says so, and sends nothing."""
    made = to_kill(kernel)
    made.take_step()
    step_at(kernel, made, DRAIN + seconds - lifecycle.AGAIN_SECONDS)
    kernel.signals.clear()
    if seconds == lifecycle.LAST_SECONDS:
        step_at(kernel, made, DRAIN + seconds)
    gave_up = made.is_over()
    kernel.remaining.clear()

    assert 3 == made.leave()
    assert (seconds == lifecycle.LAST_SECONDS, []) == (gave_up, kernel.signals)
    assert ["gave up" if gave_up else "finished"] == kernel.remaining


@pytest.mark.parametrize("wants_more", [False, True])
def test_look_sends_nothing_to_all(kernel, wants_more):
    """A step of its own; another follows if it is wanted."""
    made = draining(kernel)
    kernel.wants_more = wants_more
    step_at(kernel, made, 1.0)

    assert ([], ["looked"]) == (kernel.signals, kernel.remaining)
    assert (2 * LOOK if wants_more else BEFORE_KILL - 1.0) == pytest.approx(
        made.lifecycle.patience(1.0)
    )


def test_refusal_names_the_first_signal(kernel):
    """SIGCONT is there for the sake of SIGTERM only."""
    made = dead(kernel)
    kernel.answers = [refusal(errno.EPERM)]
    made.take_step()
    ((_, name, keys),) = made.report.told

    assert ("kill_refused", "SIGTERM") == (name, keys["signal"])


@pytest.mark.parametrize(
    ("number", "told"), [(None, []), (errno.EPERM, ["kill_refused"]), (errno.ESRCH, [])]
)
def test_those_who_remain_are_asked_once(kernel, number, told):
    """What could be done is done, and their time begins."""
    kernel.now = 1000.0
    made = dead(kernel)
    kernel.answers = [number and refusal(number)]
    made.take_step()

    assert ([ASKED], ["counted", "asked"]) == (kernel.signals, kernel.remaining)
    assert (told, LOOK) == (made.report.names(), pytest.approx(made.lifecycle.patience(1000.0)))
    step_at(kernel, made, 1000.0 + DRAIN / 2)
    assert [ASKED] == kernel.signals
    assert BEFORE_KILL - DRAIN / 2 == pytest.approx(made.lifecycle.patience(kernel.now))


def test_where_nobody_can_ever_be_found_it_is_over(kernel):
    """There is nobody to wait for, and nothing to tell of their end."""
    made = dead(kernel)
    kernel.answers = [refusal(errno.ENOENT)]
    made.take_step()

    assert (True, ["kill_refused"]) == (made.is_over(), made.report.names())
    assert (3, ["counted"]) == (made.leave(), kernel.remaining)


def test_who_could_not_be_found_is_asked_again(kernel):
    """Until it can be, soon each time; it is told once, and their time begins then."""
    made = dead(kernel)
    kernel.answers = [refusal(errno.EAGAIN)] * 2
    for now in (0.0, 0.05, 0.1, 0.2):
        step_at(kernel, made, now)

    assert ([ASKED] * 3, ["kill_refused"]) == (kernel.signals, made.report.names())
    assert ["counted", "asked", "looked"] == kernel.remaining
    assert LOOK == pytest.approx(made.lifecycle.patience(0.2))
    step_at(kernel, made, 0.2 + LOOK)
    assert BEFORE_KILL - LOOK == pytest.approx(made.lifecycle.patience(0.2 + LOOK))


def test_it_waits_for_that_no_longer_than_it_must(kernel):
    """Each time 0.1 s go by."""
    made = dead(kernel)
    kernel.answers = [refusal(errno.EAGAIN)] * 2
    made.take_step()
    step_at(kernel, made, LOOK)

    assert lifecycle.ASK_SECONDS - LOOK == pytest.approx(made.lifecycle.patience(LOOK))
    step_at(kernel, made, lifecycle.ASK_SECONDS)
    assert lifecycle.ASK_SECONDS == pytest.approx(made.lifecycle.patience(kernel.now))


@pytest.mark.parametrize(("number", "is_over"), [(errno.EPERM, False), (errno.ENOENT, True)])
def test_who_may_not_be_asked_is_not_asked_again(kernel, number, is_over):
    """Nothing would change."""
    made = dead(kernel)
    kernel.answers = [refusal(errno.EAGAIN), refusal(number)]
    for now in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4):
        step_at(kernel, made, now)

    assert ([ASKED] * 2, is_over) == (kernel.signals, made.is_over())


def test_end_of_the_child_is_told_once(kernel):
    """When it is dead, and not before."""
    made = running()
    made.settle()
    assert [] == made.report.names()
    kernel.dead = [(PID, 0x300), None]
    made.reap()
    made.settle()
    made.settle()

    assert (["child_exited"], 3) == (made.report.names(), made.leave())


@pytest.mark.usefixtures("kernel")
def test_start_is_told_late_rather_than_never():
    """Where an error came between it is told in the next turn, once; until then nothing is."""
    one = child.unborn()
    made = Supervisor(Settings(("true",), verbosity=DEBUG), one, b"")
    one.pid = PID
    for _ in range(2):
        made.settle()

    assert ["child_started"] == made.report.names()


def test_child_whose_end_nobody_knows_has_a_code_all_the_same(kernel):
    """It is that of an error."""
    assert ([], supervisor.UNKNOWN_CODE) == (kernel.taken, running().leave())


def new(**settings) -> usual.Init:
    """Return the usual case with a child that runs."""
    made = usual.ready(("true",), Settings(("true",), **{"drain": 0.0, **settings}))
    made.child.pid = PID
    return made


@pytest.fixture
def without_rest(monkeypatch):
    """Have the rest be gone, as where the package is replaced."""
    monkeypatch.setitem(sys.modules, "pyinit.supervisor", None)


def test_usual_signal_goes_to_the_child_as_it_is(kernel):
    """Nothing else is loaded for it; the child's end is its code."""
    kernel.waits = [came(HUP), came(signal.SIGUSR1), came(signal.SIGCHLD)]
    kernel.orphans, kernel.dead = [processes.CHILD_OR_NOBODY], [(PID, 0), None]
    made = new()

    assert 3 == usual._live(made)
    assert [(PID, HUP), (PID, signal.SIGUSR1)] == kernel.signals


def test_refused_signal_goes_the_long_way(kernel):
    """Which tries again, and says why."""
    kernel.answers = [refusal(errno.EPERM)] * 2
    made = new()
    usual.guard(made, usual._forward, made, came(HUP))

    assert [(PID, HUP)] * 2 == kernel.signals
    assert ["forward_refused"] == made.supervisor.report.names()


def test_signals_without_end_do_not_keep_it_from_reaping(kernel):
    """So many in a row, and then the dead are looked for although no SIGCHLD came."""
    kernel.waits, kernel.dead = [came(HUP)], [(PID, 0), None]

    assert 3 == usual._live(new())
    assert [(PID, HUP)] * usual.IN_A_ROW == kernel.signals


@pytest.mark.parametrize(
    ("orphans", "patience"), [(processes.NONE, None), (processes.MORE, 0.0)], ids=["none", "more"]
)
def test_usual_patience(kernel, orphans, patience):
    """As long as it takes, or not at all where more may be dead."""
    kernel.orphans = [orphans]
    made = new()
    usual._reap(made)

    assert ([(PID, usual.BATCH)], patience) == (kernel.quietly, made.patience)


@pytest.mark.parametrize("has_supervisor", [False, True])
@pytest.mark.parametrize(
    ("patience", "seconds"),
    [(None, 1.0), (5.0, 1.0), (0.5, 0.5), (0.0, usual.PAUSE_SECONDS)],
    ids=["no-end", "long", "short", "none"],
)
def test_dead_that_were_not_looked_for_to_the_end_are_looked_for_soon(
    kernel, patience, seconds, has_supervisor
):
    """An error came between, and took SIGCHLD with it: nothing else will tell. But not at once."""
    made = new()
    made.has_looked, made.patience = False, patience
    if has_supervisor:
        usual._supervisor(made).lifecycle.reap_at = patience
    usual._wait(made)

    assert [seconds] == kernel.patience


@pytest.mark.parametrize("fails", ["reap", "monotonic", "_reap"])
def test_error_at_the_childs_death_does_not_keep_it_from_leaving(kernel, monkeypatch, fails):
    """Whatever fails, it fails once: the dead are looked for again within a second."""
    errors = [MemoryError()]

    def fail_once(real):
        def act(*arguments):
            if errors:
                raise errors.pop()
            return real(*arguments)

        return act

    module = {"reap": Supervisor, "monotonic": supervisor, "_reap": usual}[fails]
    monkeypatch.setattr(module, fails, fail_once(getattr(module, fails)))
    kernel.waits = [came(signal.SIGCHLD), None]
    kernel.orphans, kernel.dead = [processes.CHILD_OR_NOBODY] * 2, [(PID, 0), NO_CHILDREN]

    assert 3 == usual._live(new())
    assert [None, usual.RETRY_SECONDS] == kernel.patience


@pytest.mark.parametrize("times", [1, 2], ids=["once", "again"])
def test_look_that_is_refused_is_told_although_all_is_as_usual(kernel, times):
    """One refusal is told, and the dead are looked for all the same, by the long way."""
    kernel.orphans = [*[refusal(errno.EPERM)] * times, processes.NONE]
    made = new()

    usual.guard(made, usual._reap, made)

    assert made.has_looked
    assert ["internal_error"] * times == made.supervisor.report.names()
    assert [(PID, usual.BATCH)] * 2 == kernel.quietly


def test_child_that_is_reaped_with_orphans_ends_it(kernel):
    """Its status is kept with it, and is what pyinit leaves with."""
    kernel.orphans, kernel.dead = [0x700], [NO_CHILDREN]

    assert (7, []) == (usual._live(new()), kernel.taken)


@pytest.mark.usefixtures("without_rest")
def test_child_that_is_reaped_with_orphans_has_its_code_without_the_rest(kernel):
    """It is not reaped again."""
    kernel.orphans = [0x700]

    assert (7, []) == (usual._live(new()), kernel.taken)


def test_child_that_is_reaped_with_orphans_is_not_forgotten(kernel, monkeypatch):
    """The supervisor cannot be had at first: it is asked again, and no stranger is signalled."""
    errors, real = [MemoryError(), MemoryError()], usual._supervisor

    def supervisor_of(made: usual.Init) -> Supervisor:
        if errors:
            raise errors.pop()
        return real(made)

    monkeypatch.setattr(usual, "_supervisor", supervisor_of)
    kernel.waits = [came(signal.SIGCHLD), came(HUP), came(signal.SIGCHLD)]
    kernel.orphans, kernel.dead = [0x700, processes.NONE], [NO_CHILDREN]

    assert 7 == usual._live(new())
    assert ([], []) == (kernel.signals, kernel.taken)


def test_tries_are_counted_in_a_row(kernel, monkeypatch):
    """Errors of long ago are no reason to leave without the supervisor."""
    few, real = usual.TRIES - 1, usual._reap
    looks = iter([True] * few + [False] + [True] * few)

    def reap(made: usual.Init) -> None:
        if next(looks, False):
            raise MemoryError
        real(made)

    monkeypatch.setattr(usual, "_reap", reap)
    monkeypatch.setattr(usual, "_tell_error", lambda *_: None)
    kernel.orphans, kernel.dead = [processes.NONE, processes.CHILD_OR_NOBODY], [(PID, 0), None]
    made = new()

    assert 3 == usual._live(made)
    assert made.supervisor is not None


def test_child_that_is_reaped_with_orphans_while_more_is_known(kernel):
    """With a signal rewritten, say, nothing is different."""
    kernel.orphans, kernel.dead = [0x700, processes.NONE], [NO_CHILDREN]
    made = running(verbosity=WARNING, drain=0.0)
    made.reap()
    made.settle()

    assert (True, 7) == (made.is_over(), made.leave())


def test_with_v_the_child_is_never_reaped_unseen(kernel):
    """What it used is told."""
    kernel.dead = [(PID, 0x300), NO_CHILDREN]
    running(verbosity=INFO, drain=0.0).reap()

    assert ([], [PID]) == (kernel.quietly, kernel.taken)


def test_rest_is_asked_for_once(kernel):
    """It gets the reserve, and decides from then on."""
    made = new(rewrite={HUP: 0}, verbosity=DEBUG)
    made.reserve = b"reserve"
    usual.guard(made, usual._reap, made)
    rest = made.supervisor
    usual.guard(made, usual._forward, made, came(HUP))

    assert (rest, []) == (made.supervisor, kernel.signals)
    assert (b"reserve", None) == (rest.report.reserve, made.reserve)
    assert ["signal_dropped"] == rest.report.names()


@pytest.mark.usefixtures("without_rest")
@pytest.mark.parametrize(
    ("statuses", "code", "times"),
    [
        ([0x300], 3, 1),
        ([None, None, 0x9], 137, 3),
        ([None, NO_CHILDREN], usual.UNKNOWN_CODE, 2),
    ],
    ids=["dead", "alive-at-first", "unknown"],
)
def test_without_the_rest_it_leaves_with_the_child(kernel, statuses, code, times):
    """What there would be to do cannot be loaded, at no try; until the child is dead it goes on."""
    kernel.statuses = statuses

    assert code == usual._live(new())
    assert [PID] * times == kernel.taken
    assert [usual.RETRY_SECONDS] * (usual.TRIES + times - 2) == kernel.patience[1:]


@pytest.mark.parametrize("is_alive", [False, True])
def test_where_nothing_can_be_done_any_more_it_leaves_with_the_child(kernel, monkeypatch, is_alive):
    """Each turn fails, as without any memory: it is calm meanwhile, and goes when the child has."""
    monkeypatch.setattr(Supervisor, "take_step", lambda _: 1 // 0)
    kernel.orphans, kernel.dead = [processes.CHILD_OR_NOBODY], [None] * 999
    kernel.statuses = [None, None, 0x300] if is_alive else [0x300]
    made = new()
    usual._supervisor(made).lifecycle.reap_at = 0.0  # overdue

    assert 3 == usual._live(made)
    assert usual.MANY + (2 if is_alive else 0) == len(kernel.patience)
    assert {usual.PAUSE_SECONDS, usual.RETRY_SECONDS} >= set(kernel.patience[1:])


@pytest.mark.usefixtures("without_rest")
def test_after_a_refusal_and_without_the_rest_signals_are_lost_but_not_the_code(kernel):
    """There is nobody to tell."""
    kernel.waits, kernel.answers = [came(HUP), None], [refusal(errno.EPERM)]

    assert 3 == usual._live(new())
    assert [(PID, HUP)] == kernel.signals


@pytest.mark.parametrize("pending", [came(HUP), None, OSError()], ids=["one", "none", "refused"])
def test_where_waiting_is_refused_it_looks_for_what_is_pending(kernel, monkeypatch, pending):
    """It never turns at full speed, and tells of it."""
    pauses = []
    monkeypatch.setattr(wait_refused, "take_pending", lambda: next_of([pending]))
    monkeypatch.setattr(usual, "sleep", pauses.append)
    kernel.waits = [refusal(errno.EPERM)]
    made = new()
    is_one = isinstance(pending, SimpleNamespace)

    assert (pending if is_one else None) == usual._wait(made)
    assert ([] if is_one else [usual.PAUSE_SECONDS]) == pauses
    assert ["internal_error"] == made.supervisor.report.names()


def test_rest_says_how_long_to_wait(kernel):
    """Once it is there."""
    made = new()
    usual.guard(made, usual._reap, made)
    made.supervisor.lifecycle.reap_at = 2.0
    usual._wait(made)

    assert [2.0] == kernel.patience


@pytest.mark.parametrize("error", [MemoryError, ValueError])
def test_error_costs_the_reserve_where_there_is_no_memory(kernel, error):
    """Only there it is of use."""

    def fail() -> None:
        raise error

    made = new()
    made.reserve = b"reserve"

    usual.guard(made, fail)

    assert (b"reserve" if error is ValueError else None) == made.supervisor.report.reserve
    assert (["internal_error"], []) == (made.supervisor.report.names(), kernel.signals)


@pytest.fixture
def started(kernel, monkeypatch):
    """Stand in for the fork, and for what PID 1 does to itself after it."""
    monkeypatch.setattr(posix, "getpid", lambda: 1)
    monkeypatch.setattr(child, "has_terminal", lambda: False)
    monkeypatch.setattr(child, "spawn", lambda one, *_: setattr(one, "pid", PID))
    monkeypatch.setattr(child, "let_go", lambda: None)
    monkeypatch.setattr(usual, "sleep", lambda _: None)
    monkeypatch.setattr(processes, "is_anybody_here", lambda: False)
    kernel.dead = [(PID, 0), NO_CHILDREN]
    return kernel


@pytest.mark.parametrize("settings", [None, Settings(("true",), verbosity=0)], ids=["no", "yes"])
def test_run_leaves_with_the_code_of_the_child(started, settings):
    """With options and without."""
    assert 3 == usual.run(("true",), settings, set())
    assert PID == started.taken[0]


@pytest.mark.usefixtures("without_rest")
def test_run_without_the_rest_leaves_with_the_code_of_the_child(started):
    """What the rest would have done is not done."""
    assert (3, [PID]) == (usual.run(("true",), None, set()), started.taken)


@pytest.mark.parametrize("sleep", [lambda _: None, lambda _: 1 // 0], ids=["pause", "refused"])
def test_run_goes_on_where_even_a_guard_fails(started, monkeypatch, sleep):
    """It pauses, if it may, and begins but once."""
    live, errors, begun = usual._live, [MemoryError, MemoryError], []

    def fail_at_first(made: usual.Init) -> int:
        if errors:
            raise errors.pop()
        return live(made)

    monkeypatch.setattr(usual, "_live", fail_at_first)
    monkeypatch.setattr(usual, "sleep", sleep)
    monkeypatch.setattr(child, "let_go", lambda: begun.append("let go"))

    assert 3 == usual.run(("true",), None, set())
    assert (["let go"], PID) == (begun, started.taken[0])


def test_run_goes_on_where_nothing_can_be_let_go(started, monkeypatch):
    """The rest of the beginning is done all the same."""
    counted = []
    monkeypatch.setattr(child, "let_go", lambda: 1 // 0)
    monkeypatch.setattr(outcome, "oom_kills", lambda: counted.append("counted"))

    assert 3 == usual.run(("true",), None, set())
    assert ["counted"] == counted[:1]
    assert PID == started.taken[0]
