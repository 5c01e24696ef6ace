"""What the loop does with what it is told: whom it signals, whom it reaps, when it looks again.

The kernel is stood in for here, so that each answer of it comes at the moment that matters.
"""

import errno
import os
import posix
import signal
from types import SimpleNamespace

import pytest

from pyinit import everyone, lifecycle, reaping, supervise
from pyinit.lifecycle import (
    ASK,
    CHILD,
    EVERYONE,
    GROUP,
    KILL,
    KILL_AGAIN,
    LOOK,
    LOST_PATIENCE,
    Lifecycle,
)
from pyinit.report import Report
from pyinit.settings import DEBUG, Settings

PID = 7
ORPHAN = 8
TERM, CONT = signal.SIGTERM, signal.SIGCONT
NO_TERMINAL = SimpleNamespace(is_job=False, may_stop=False, take_back=lambda _: None)
NO_CHILDREN = ChildProcessError(errno.ECHILD, "none")


def refusal(number: int) -> OSError:
    """Return what a call raises that fails with this number."""
    return OSError(number, os.strerror(number))


class Kernel:
    """Answers in its stead, and keeps what was asked of it.

    Attributes:
        signals: those that were sent, and to whom: a pid, a group below zero, or "everyone".
        answers: what each signal meets, one after the other; nothing where there is none left.
        dead: those to be reaped, or what is raised where one looks for them; the last one stays.
        taken: who was reaped.
        group: that of the child.
    """

    def __init__(self, monkeypatch) -> None:
        self.signals, self.answers, self.dead, self.taken = [], [], [None], []
        self.cannot_be_had = False
        self.group = PID
        monkeypatch.setattr(posix, "getpgid", lambda _: self.group)
        monkeypatch.setattr(posix, "kill", self.kill)
        monkeypatch.setattr(everyone, "send", self.send)
        monkeypatch.setattr(reaping, "next_dead", self.next_dead)
        monkeypatch.setattr(reaping, "next_but_orphans", lambda *_: self.next_dead())
        monkeypatch.setattr(reaping, "take", self.take)
        monkeypatch.setattr(reaping, "take_with_usage", lambda pid: (self.take(pid), None))

    def kill(self, pid: int, signum: int) -> None:
        """Send nothing, but keep it and answer."""
        self.signals.append((pid, signum))
        self._answer()

    def send(self, signums: tuple, child: int | None) -> None:
        """Stand in for `everyone.send`."""
        self.signals.append(("everyone", signums, child))
        self._answer()

    def _answer(self) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer

    def next_dead(self) -> tuple[int, int] | None:
        """Stand in for `reaping.next_dead`."""
        answer = self.dead.pop(0) if len(self.dead) > 1 else self.dead[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def take(self, pid: int) -> int | None:
        """Stand in for `reaping.take`."""
        self.taken.append(pid)
        return None if self.cannot_be_had else 0x300


@pytest.fixture
def kernel(monkeypatch):
    """Put something else in the kernel's place."""
    return Kernel(monkeypatch)


def loop(**settings) -> supervise.Supervisor:
    """Return what supervises a child that runs."""
    chosen = Settings(("true",), verbosity=DEBUG, **settings)
    process = SimpleNamespace(pid=PID, exec_failure=lambda: None)
    life = Lifecycle(chosen, may_drain=True)
    return supervise.Supervisor(chosen, Report(chosen), life, process, NO_TERMINAL)


def draining(**settings) -> supervise.Supervisor:
    """Return the same when the child is dead and those who remain have just been asked to go."""
    made = loop(**settings)
    made._status, made._reaped = 0, True
    made._life.child_gone(0.0)
    assert ASK == made._life.due(0.0)[0]
    return made


def told(made: supervise.Supervisor) -> list[str]:
    """Return the names of the events that it told."""
    return [event for _, _, event, _ in made._report.backlog]


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (CHILD, [(PID, TERM), (PID, CONT)]),
        (GROUP, [(-PID, TERM), (PID, 0), (-PID, CONT), (PID, 0)]),
        (EVERYONE, [("everyone", (TERM, CONT), PID)]),
    ],
    ids=["child", "group", "everyone"],
)
def test_signals_go_to_their_target(kernel, target, sent):
    """Each target has its number, and all signals go there in their order."""
    assert loop()._kill(target, (TERM, CONT)) is None
    assert sent == kernel.signals


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
    handed_back = loop()._kill(GROUP, (TERM,))

    assert number == (handed_back and handed_back.errno)


@pytest.mark.parametrize("group", [PID - 1, PID + 1])
@pytest.mark.parametrize("answer", [None, refusal(errno.ESRCH)], ids=["others", "nobody"])
def test_child_that_left_its_group_is_reached(kernel, answer, group):
    """It gets the signal itself, and so does whoever is left in the group."""
    kernel.group, kernel.answers = group, [answer]

    assert loop()._kill(GROUP, (TERM,)) is None
    assert [(-PID, TERM), (PID, TERM)] == kernel.signals


def test_pid_of_a_dead_child_is_nobodys(kernel):
    """Once it is dead everyone is everyone but the child."""
    assert draining()._kill(EVERYONE, (TERM,)) is None
    assert [("everyone", (TERM,), None)] == kernel.signals


@pytest.mark.parametrize(
    ("make", "number", "is_told"),
    [
        (loop, errno.ESRCH, True),
        (loop, errno.EPERM, True),
        (draining, errno.ESRCH, False),
        (draining, errno.EPERM, True),
    ],
)
def test_refusal_is_handed_back(kernel, make, number, is_told):
    """But that nobody is there any more, once the child is dead, is none."""
    kernel.answers = [refusal(number)]
    handed_back = make()._kill(EVERYONE, (TERM,))

    assert is_told == (handed_back is not None and handed_back.errno == number)


def test_error_of_pyinits_own_is_no_refusal(kernel):
    """It is told, and all that follows goes on."""
    kernel.answers = [ImportError("gone")]
    made = loop()

    assert made._kill(EVERYONE, (TERM,)) is None
    assert ["internal_error"] == told(made)


@pytest.mark.parametrize(
    ("deadline", "retry", "least", "most"),
    [
        (None, None, None, None),
        (None, 2.0, 2.0, 2.0),
        (50.0, None, 50.0, 50.0),
        (50.0, 2.0, 2.0, 2.0),
        (1.0, 2.0, 1.0, 1.0),
        (-5.0, None, 0.0, 0.0),
        (-5.0, 2.0, 0.0, 0.0),
    ],
)
def test_patience(monkeypatch, deadline, retry, least, most):
    """It waits until the first of two times, for ever where there is none, and never backwards."""
    monkeypatch.setattr(supervise, "monotonic", lambda: 1000.0)
    made = loop()
    made._retry = retry
    made._life.deadline = None if deadline is None else 1000.0 + deadline

    assert (least, most) == (made._patience(),) * 2


def test_orphans_without_end_do_not_keep_the_loop(kernel):
    """While the child runs so many are reaped at once, and the rest without a signal's leave."""
    kernel.dead = [(ORPHAN, 0)]
    made = loop()
    made._reap()

    assert supervise.REAPED_AT_ONCE == len(kernel.taken)
    assert 0.0 == made._retry


@pytest.mark.parametrize(
    ("dead", "taken", "retry"),
    [
        ([None], 0, None),
        ([(ORPHAN, 0), (ORPHAN, 0), None], 2, None),
        ([(ORPHAN, 0), reaping.MORE, (ORPHAN, 0)], 1, 0.0),
    ],
    ids=["none", "two", "more"],
)
def test_reaping_ends_with_the_last(kernel, dead, taken, retry):
    """Where nobody is dead any more it ends; where there may be more it is begun anew at once."""
    kernel.dead = dead
    made = loop()
    made._reap()

    assert (taken, retry) == (len(kernel.taken), made._retry)


def test_dead_who_cannot_be_had_are_not_tried_at_once_again(kernel):
    """That would be a turn at full speed."""
    kernel.dead, kernel.cannot_be_had = [(ORPHAN, 0)], True
    made = loop()
    made._reap()

    assert ([ORPHAN], None) == (kernel.taken, made._retry)


@pytest.mark.parametrize(("seconds", "taken"), [(0.01, 200), (0.05, 65), (1.0, 65)])
def test_at_the_end_reaping_has_a_time(kernel, monkeypatch, seconds, taken):
    """Once the child is dead it may go on for a while: there is nobody to keep signals for."""
    kernel.dead = [(ORPHAN, 0)] * 200 + [None]
    made = draining()
    clock = iter([0.0, 0.0])  # when it begins, and after as many as there are at once
    monkeypatch.setattr(supervise, "monotonic", lambda: next(clock, seconds))
    made._reap()

    assert taken == len(kernel.taken)


def test_nobody_is_left(kernel, monkeypatch):
    """When waitpid knows nobody and nobody else is here, the drain is over."""
    monkeypatch.setattr(everyone, "any_without_parent_here", lambda: False)
    kernel.dead = [NO_CHILDREN]
    made = draining()
    made._reap()

    assert (lifecycle.DONE, None) == (made._life.state, made._retry)


def test_who_was_brought_in_is_waited_for(kernel, monkeypatch):
    """Their end is no signal, so it is looked again soon."""
    monkeypatch.setattr(everyone, "any_without_parent_here", lambda: True)
    kernel.dead = [NO_CHILDREN]
    made = draining()
    made._reap()

    assert lifecycle.DRAINING == made._life.state
    assert supervise.LOOK_AGAIN_SECONDS == made._retry


def test_no_children_while_there_is_one_is_an_error(kernel):
    """The child is there, so what the kernel says cannot be."""
    kernel.dead = [NO_CHILDREN]
    made = loop()
    with pytest.raises(ChildProcessError):
        made._reap()

    assert lifecycle.RUNNING == made._life.state


@pytest.mark.parametrize(("cannot_be_had", "status"), [(False, 0x300), (True, 0x200)])
def test_status_of_the_child_is_kept(kernel, cannot_be_had, status):
    """The one of waitpid counts; where the zombie cannot be had there is the one seen before."""
    kernel.cannot_be_had = cannot_be_had
    made = loop()

    assert cannot_be_had != made._take(PID, 0x200)
    assert (status, not cannot_be_had) == (made._status, made._reaped)
    assert lifecycle.DRAINING == made._life.state


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("pid", [PID - 1, PID + 1])
def test_whoever_else_is_dead_is_an_orphan(pid):
    """Whatever its number is: pids begin anew at the end of their range."""
    made = loop()

    assert made._take(pid, 0x500)
    assert (None, lifecycle.RUNNING, ["orphan_reaped"]) == (
        made._status,
        made._life.state,
        told(made),
    )


@pytest.mark.usefixtures("kernel")
def test_pid_of_the_reaped_child_is_an_orphans():
    """Once the child is reaped its pid may come again."""
    made = draining(drain=5.0)
    status = made._status

    assert made._take(PID, 0x500)
    assert (status, ["orphan_reaped"]) == (made._status, told(made))


@pytest.mark.parametrize("make", [loop, draining])
def test_signal_is_passed_on_and_told(kernel, make):
    """To the child, or to all of those who remain."""
    made = make()
    made._pass_on(SimpleNamespace(si_signo=signal.SIGHUP, si_code=0, si_pid=0, si_uid=0))
    to_all = ("everyone", (signal.SIGHUP,), None)

    assert [to_all if make is draining else (PID, signal.SIGHUP)] == kernel.signals
    assert ["signal_forwarded"] == told(made)


def test_signal_that_is_refused_is_told(kernel):
    """As what it is, and not as forwarded."""
    kernel.answers = [refusal(errno.EPERM)]
    made = loop()
    made._pass_on(SimpleNamespace(si_signo=signal.SIGHUP, si_code=0, si_pid=0, si_uid=0))

    assert ["forward_refused"] == told(made)


def test_signal_that_is_dropped_goes_nowhere(kernel):
    """And this is told."""
    made = loop(rewrite={signal.SIGHUP: 0})
    made._pass_on(SimpleNamespace(si_signo=signal.SIGHUP, si_code=0, si_pid=0, si_uid=0))

    assert ([], ["signal_dropped"]) == (kernel.signals, told(made))


@pytest.mark.parametrize(
    ("step", "events"),
    [
        (LOST_PATIENCE, ["kill_after_expired", "kill_refused"]),
        (KILL, ["kill_refused"]),
        (KILL_AGAIN, []),
    ],
)
def test_refused_step_is_told(kernel, step, events):
    """But not each time that it is tried again."""
    kernel.answers = [refusal(errno.EPERM)]
    made = loop()
    made._owed = (TERM,)
    made._take_step(step, CHILD, (signal.SIGKILL,))

    assert ([(PID, signal.SIGKILL)], events) == (kernel.signals, told(made))
    assert () == made._owed  # who is killed is not asked


@pytest.mark.parametrize("step", [LOST_PATIENCE, ASK, KILL, KILL_AGAIN, lifecycle.GIVE_UP])
def test_whether_it_was_given_up(kernel, step):
    """The last step alone says so, and sends nothing."""
    made = draining()
    made._take_step(step, EVERYONE, () if step == lifecycle.GIVE_UP else (TERM,))

    assert (step == lifecycle.GIVE_UP) == made._gave_up
    assert (step != lifecycle.GIVE_UP) == bool(kernel.signals)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("step", [LOST_PATIENCE, KILL, KILL_AGAIN, lifecycle.GIVE_UP])
def test_survivors_are_named_once(step):
    """When they are killed, and not each time that it is tried again; they are asked before."""
    calls = []
    made = draining()
    made._drain = SimpleNamespace(
        lost_patience=lambda: calls.append("named"), started=lambda: calls.append("asked")
    )
    made._take_step(step, EVERYONE, (signal.SIGKILL,))

    assert (["named"] if step == KILL else []) == calls


@pytest.mark.parametrize("wants_more", [None, False, True])
def test_look_sends_nothing_to_all(kernel, monkeypatch, wants_more):
    """A step of its own, which leaves alone what is still owed; another follows if it is wanted."""
    monkeypatch.setattr(supervise, "monotonic", lambda: 1.0)
    made = draining(drain=5.0)
    made._life.due(0.05)
    made._owed = (TERM,)
    made._drain = wants_more if wants_more is None else SimpleNamespace(look=lambda _: wants_more)
    made._take_step(LOOK, EVERYONE, ())

    assert ([], (TERM,)) == (kernel.signals, made._owed)
    assert (1.0 + 2 * lifecycle.LOOK_SECONDS if wants_more else 5.0) == made._life.deadline


def test_refusal_names_the_first_signal(kernel):
    """SIGCONT is there for the sake of SIGTERM only."""
    kernel.answers = [refusal(errno.EPERM)]
    made = draining()
    made._take_step(ASK, EVERYONE, (TERM, CONT))
    (refused,) = (keys for _, _, event, keys in made._report.backlog if event == "kill_refused")

    assert "SIGTERM" == refused["signal"]


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (None, ((), 1000.0 + lifecycle.LOOK_SECONDS, ["drain_started"])),
        (errno.EPERM, ((), 1000.0 + lifecycle.LOOK_SECONDS, ["kill_refused", "drain_started"])),
        (
            errno.EAGAIN,
            ((TERM, CONT), 1000.0 + lifecycle.LOOK_SECONDS, ["kill_refused", "drain_started"]),
        ),
        (errno.ENOENT, ((), None, ["kill_refused"])),
    ],
)
def test_those_who_remain_are_asked(kernel, monkeypatch, number, wanted):
    """Who cannot be found just now is owed the signals; where nobody can ever be it is over."""
    monkeypatch.setattr(supervise, "monotonic", lambda: 1000.0)
    kernel.answers = [None if number is None else refusal(number)]
    made = draining(drain=5.0)
    made._take_step(ASK, EVERYONE, (TERM, CONT))

    assert wanted == (made._owed, made._life.deadline, told(made))
    assert (number == errno.ENOENT) == (made._life.state == lifecycle.DONE)


@pytest.mark.parametrize(("retry", "then"), [(None, 0.1), (0.02, 0.02)])
def test_who_could_not_be_found_is_asked_again(kernel, monkeypatch, retry, then):
    """Until it can be, soon each time; what is left of its time begins then."""
    monkeypatch.setattr(supervise, "monotonic", lambda: 1000.0)
    kernel.answers = [refusal(errno.EAGAIN)]
    made = draining(drain=5.0)
    made._owed, made._retry = (TERM, CONT), retry

    made._ask_again()
    soon = lifecycle.LOOK_SECONDS
    assert ((TERM, CONT), then, soon) == (made._owed, made._retry, made._life.deadline)
    made._ask_again()
    assert ((), 1000.0 + lifecycle.LOOK_SECONDS) == (made._owed, made._life.deadline)
    made._ask_again()
    assert [("everyone", (TERM, CONT), None)] * 2 == kernel.signals


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOENT])
def test_who_may_not_be_asked_is_not_asked_again(kernel, number):
    """Nothing would change."""
    kernel.answers = [refusal(number)]
    made = draining()
    made._owed = (TERM,)
    made._ask_again()

    assert () == made._owed


@pytest.fixture
def turned(kernel, monkeypatch):
    """Return what has a loop take one turn, in which a signal comes in."""

    def turn(made: supervise.Supervisor, signum: int | None) -> list:
        came = SimpleNamespace(si_signo=signum, si_code=0, si_pid=0, si_uid=0)
        monkeypatch.setattr(supervise.signals, "wait", lambda _: came if signum else None)
        made._turn()
        return kernel.signals

    return turn


@pytest.mark.parametrize(
    ("signum", "sent"),
    [(signal.SIGCHLD, []), (None, []), (signal.SIGHUP, [(PID, signal.SIGHUP)])],
)
def test_turn_passes_on_all_but_sigchld(turned, signum, sent):
    """SIGCHLD is init's own."""
    assert sent == turned(loop(), signum)


@pytest.mark.parametrize(
    ("dead", "retry"), [(None, None), (OSError(1, "no"), supervise.RETRY_SECONDS)]
)
def test_turn_in_which_nobody_could_be_reaped(kernel, monkeypatch, turned, dead, retry):
    """There may be dead ones left, of whom no signal comes any more; otherwise nothing is to do."""
    monkeypatch.setattr(reaping, "next_unseen", kernel.next_dead)
    kernel.dead = [dead]
    made = loop()
    made._retry = 3.0
    turned(made, signal.SIGCHLD)

    assert retry == made._retry


@pytest.mark.parametrize(("number", "retry"), [(None, None), (errno.EAGAIN, 0.1)])
def test_turn_in_which_somebody_could_not_be_found(kernel, turned, number, retry):
    """It is soon time for the next."""
    kernel.answers = [None if number is None else refusal(number)]
    made = loop()
    made._status, made._reaped, made._code = 0, True, 0
    made._life.child_gone(0.0)
    turned(made, None)

    assert (retry, bool(retry)) == (made._retry, bool(made._owed))


def test_end_of_the_child_is_told_once(monkeypatch):
    """When it is dead, and not before."""
    made = loop()
    monkeypatch.setattr(made._ending, "_report", made._report)
    for status in (None, 0x300, 0x300):
        made._status = status
        made._note_end()

    assert (3, ["child_exited"]) == (made._code, told(made))
