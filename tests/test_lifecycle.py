"""What is decided, by the rules, whatever comes in and in whatever order."""

import errno
import signal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyinit import lifecycle, signals
from pyinit.before import names
from pyinit.lifecycle import CHILD, EVERYONE, GROUP, Lifecycle
from pyinit.settings import Settings

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
ASKED = (lifecycle.ASK, EVERYONE, (signal.SIGTERM, signal.SIGCONT))
EXPIRE = (lifecycle.EXPIRE, CHILD, (signal.SIGKILL,))
TIME_OUT = (lifecycle.TIME_OUT, CHILD, (signal.SIGTERM, signal.SIGCONT))
EXPLAIN = (lifecycle.EXPLAIN, CHILD, ())
LOOK = (lifecycle.LOOK, EVERYONE, ())
KILL = (lifecycle.KILL, EVERYONE, (signal.SIGKILL,))


def new(*, may_drain: bool = True, explain_after: float = 0.0, **settings) -> Lifecycle:
    """Return the rules of a command that runs; a slow stop is not explained, if not asked for."""
    chosen = Settings(("app",), explain_after=explain_after, **settings)
    return Lifecycle(chosen, may_drain=may_drain)


def due(life: Lifecycle, now: float) -> "lifecycle.Step | None":
    """Return what is due but for a PEEK, of which there is one before others."""
    step = life.due(now)
    return life.due(now) if step and step[0] == lifecycle.PEEK else step


def escalate(signum: int, target: int = CHILD) -> "lifecycle.Step":
    """Return what a step of the kill-after is."""
    return lifecycle.ESCALATE, target, (signum, signal.SIGCONT)


def taken(life: Lifecycle, *, peeks: bool = False) -> "list[tuple[float, lifecycle.Step]]":
    """Return all that is due although nothing else happens, and when, with or without each PEEK."""
    steps = []
    while (now := deadline(life)) is not None:
        steps.append((now, life.due(now)))
    return [step for step in steps if peeks or step[1][0] != lifecycle.PEEK]


def deadline(life: Lifecycle) -> float | None:
    """Return when there is something to do although nothing else happens; None if never."""
    return life.patience(0.0)


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({}, CHILD),
        ({"group": True}, GROUP),
        ({"forward_all": True}, EVERYONE),
        ({"forward_all": True, "group": True}, EVERYONE),
    ],
)
def test_signals_go_to_whom_the_options_name(settings, target):
    """While the child runs, -g and -a decide what gets a signal, and what is killed at last."""
    life = new(kill_after=1.0, **settings)

    assert (target, signal.SIGTERM) == life.receive(signal.SIGTERM, 5.0)
    assert (lifecycle.EXPIRE, target, (signal.SIGKILL,)) == due(life, 6.0)


@pytest.mark.parametrize("target", [{}, {"group": True}, {"forward_all": True}])
def test_rewriting_changes_what_is_sent(target):
    """A signal is rewritten once, not in a chain; 0 drops it; others stay what they are."""
    life = new(rewrite={15: 3, 3: 1, 1: 0, 37: 64}, **target)
    sent = [life.receive(signum, 0.0) for signum in (15, 3, 1, 37, 10)]

    assert [3, 1, None, 64, 10] == [order and order[1] for order in sent]


@pytest.mark.parametrize("signum", STOP)
def test_first_request_to_stop_starts_the_clock(signum):
    """Of several requests the first counts; other signals do not."""
    life = new(kill_after=10.0)
    life.receive(signal.SIGHUP, 1.0)
    assert deadline(life) is None
    life.receive(signum, 2.0)
    for other in STOP:
        life.receive(other, 9.0)

    assert 12.0 - lifecycle.PEEK_SECONDS == deadline(life)
    assert [None, EXPIRE, None] == [due(life, now) for now in (11.9, 12.0, 99.0)]


def test_clock_looks_at_the_signal_received():
    """SIGTERM rewritten to something else starts the clock; what becomes SIGTERM does not."""
    life = new(kill_after=10.0, rewrite={15: 28, 10: 15})
    life.receive(signal.SIGUSR1, 1.0)
    assert deadline(life) is None
    life.receive(signal.SIGTERM, 2.0)

    assert [None, EXPIRE] == [due(life, now) for now in (11.9, 12.0)]


def test_dropped_request_starts_no_clock():
    """With SIGTERM dropped by -r, it has no effect."""
    life = new(kill_after=10.0, rewrite={15: 0})
    life.receive(signal.SIGTERM, 2.0)

    assert (None, False) == (deadline(life), life.stopping)


@pytest.mark.parametrize("word", ["TSTP", "TTIN", "TTOU"])
def test_drain_is_not_stopped_by_a_key(word):
    """^Z would stop processes that are to end; while the child runs it is for the child."""
    life, signum = new(drain=5.0), names.number(word)
    assert (CHILD, signum) == life.receive(signum, 1.0)
    life.child_died(0, 2.0)

    assert life.receive(signum, 3.0) is None


@pytest.mark.parametrize(
    ("fails", "now", "step"),
    [("_give_time", 1.0, ASKED), ("_kill", 6.0, KILL)],
    ids=["ask", "kill"],
)
def test_step_that_an_error_came_between_is_still_due(monkeypatch, fails, now, step):
    """Otherwise no process would be asked or killed any more, and the drain had no end."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    if fails == "_kill":
        assert [ASKED, LOOK] == [due(life, 1.0), due(life, 2.0)]
    with monkeypatch.context() as patch:
        patch.setattr(Lifecycle, fails, lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            due(life, now)

    assert step == due(life, now)


def test_drain_asks_then_kills_then_gives_up():
    """One way: SIGTERM and SIGCONT at once, SIGKILL at the deadline and on, then the end."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    assert (lifecycle.DRAINING, True) == (life.state, life.stopping)
    assert [ASKED, None, LOOK] == [due(life, now) for now in (1.0, 1.04, 1.06)]
    assert [None, KILL] == [due(life, now) for now in (5.9, 6.0)]
    assert [lifecycle.KILL_AGAIN, None] == [
        step and step[0] for step in (due(life, 6.5), due(life, 6.5))
    ]
    due(life, 7.0)

    assert (lifecycle.GIVE_UP, EVERYONE, ()) == due(life, 8.0)
    assert (lifecycle.DONE, None) == (life.state, deadline(life))


def test_time_of_a_drain_begins_when_they_were_asked():
    """What it takes to find those that remain is not taken from their time."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    due(life, 1.0)
    life.sent(lifecycle.ASK, 0, 4.0)
    assert [None, LOOK] == [due(life, now) for now in (4.04, 4.06)]
    life.sent(lifecycle.ASK, 0, 5.0)
    assert [None, LOOK] == [due(life, now) for now in (5.04, 5.06)]
    assert [None, KILL] == [due(life, now) for now in (9.9, 10.0)]
    life.sent(lifecycle.ASK, 0, 10.0)

    assert 10.0 + lifecycle.AGAIN_SECONDS == deadline(life)


@pytest.mark.parametrize(
    ("took", "again"),
    [(0.0, 0.01), (0.004, 0.014), (0.06, 0.12), (0.3, 0.4), (0.95, 0.99), (7.0, 0.99)],
)
def test_those_that_were_killed_may_end(took, again):
    """Before they are looked for again, as long as that took; and twice, however long that was."""
    life = new(drain=1.0)
    life.child_died(0, 0.0)
    assert [ASKED, LOOK, KILL] == [due(life, now) for now in (0.0, 0.06, 1.0)]
    life.sent(lifecycle.KILL, 0, 1.0 + took)

    assert 1.0 + again == pytest.approx(deadline(life))
    assert lifecycle.KILL_AGAIN == due(life, 8.0)[0]
    life.sent(lifecycle.KILL_AGAIN, 0, 8.0)
    assert lifecycle.GIVE_UP == due(life, 8.0)[0]


def test_looks_become_rare():
    """Another look comes after twice as long each time, and none after the deadline."""
    life = new(drain=1.0)
    life.child_died(0, 0.0)
    due(life, 0.0)
    looks = []
    while (step := life.due(now := deadline(life))) != KILL:
        if step == LOOK:
            looks.append(now)
            life.look_again(now)

    assert [0.05, 0.15, 0.35, 0.75] == [pytest.approx(now) for now in looks]
    life.look_again(1.0)
    assert lifecycle.KILL_AGAIN == due(life, 2.0)[0]


def test_look_comes_late_in_the_life_of_a_machine_too():
    """Its clock counts from the boot, so a time is large beside what is added to it."""
    life = new(drain=5.0)
    life.child_died(0, 1e6)
    assert [ASKED, LOOK] == [due(life, now) for now in (1e6, 1e6 + 0.1)]
    life.look_again(1e6 + 0.1)

    assert [None, LOOK] == [due(life, 1e6 + seconds) for seconds in (0.15, 0.21)]


@pytest.mark.parametrize("error", [0, errno.EPERM, errno.ENOSYS])
def test_those_that_may_not_be_asked_get_their_time(error):
    """Nothing would be different if they were asked again."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    due(life, 1.0)
    life.sent(lifecycle.ASK, error, 3.0)

    assert [LOOK, None, KILL] == [due(life, now) for now in (3.1, 7.9, 8.0)]


def test_short_drain_looks_before_it_kills():
    """Where there is less time than until a look, it comes right before the end."""
    life = new(drain=0.01)
    life.child_died(0, 1.0)

    assert [ASKED, LOOK, KILL] == [due(life, now) for now in (1.0, 1.01, 1.01)]


def test_time_of_a_drain_does_not_begin_at_any_other_time():
    """Before they were asked, and when all are gone, there is no time to begin."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    life.sent(lifecycle.ASK, 0, 2.0)
    assert ASKED == due(life, 2.0)
    life.nobody_left()
    life.sent(lifecycle.ASK, 0, 3.0)

    assert (lifecycle.DONE, None) == (life.state, deadline(life))


def test_who_is_alone_with_its_child_goes_on():
    """That only the child is there is not the end while it runs."""
    life = new()
    life.nobody_left()

    assert lifecycle.RUNNING == life.state


def test_signals_go_to_those_that_remain():
    """While draining everyone gets what comes in, rewritten as ever."""
    life = new(group=True, rewrite={1: 0, 2: 15})
    life.child_died(0, 1.0)
    sent = [life.receive(signum, 2.0) for signum in (15, 1, 2)]

    assert [(EVERYONE, 15), None, (EVERYONE, 15)] == sent


@pytest.mark.parametrize("how", [{"drain": 0.0}, {"may_drain": False}])
def test_without_a_drain_the_child_takes_all_with_it(how):
    """With -d 0, and without orphans to adopt, the end of the child is the end."""
    life = new(**how)
    life.child_died(0, 1.0)

    assert (lifecycle.DONE, None) == (life.state, due(life, 99.0))


def test_patience_with_the_child_ends_with_it():
    """The clock of kill-after does not run on while draining."""
    life = new(kill_after=3.0, drain=5.0)
    life.receive(signal.SIGTERM, 1.0)
    life.child_died(0, 2.0)
    due(life, 2.0)
    due(life, 3.0)

    assert [None, KILL] == [due(life, now) for now in (6.9, 7.0)]


def test_those_that_cannot_be_found_just_now_are_asked_again():
    """Their time runs from the first moment on, and anew once they were asked."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    due(life, 1.0)
    life.sent(lifecycle.ASK, errno.EAGAIN, 1.0)
    assert [None, LOOK[0], lifecycle.ASK_AGAIN] == [
        step and step[0] for step in [due(life, now) for now in (1.04, 1.06, 1.1)]
    ]
    life.sent(lifecycle.ASK_AGAIN, 0, 3.0)

    assert [LOOK, None, KILL] == [due(life, now) for now in (3.1, 7.9, 8.0)]


def test_those_that_can_never_be_found_are_not_waited_for():
    """If /proc does not show which processes are left, there is nothing to drain."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    due(life, 1.0)
    life.sent(lifecycle.ASK, errno.ENOENT, 1.0)

    assert (lifecycle.DONE, None) == (life.state, deadline(life))


def test_what_is_to_be_reaped_is_waited_for():
    """The time to reap counts as well, and what is overdue is due now."""
    life = new(kill_after=3.0)
    life.reap_at = 2.0
    assert 1.5 == life.patience(0.5)
    life.receive(signal.SIGTERM, 0.0)
    life.reap_at = None

    assert [1.0, 0.0] == [pytest.approx(life.patience(now)) for now in (0.5, 9.0)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"explain_after": 5.0}, 7.0),
        ({"explain_after": 5.0, "kill_after": 60.0}, 7.0),
        ({"explain_after": 5.0, "kill_after": 4.0}, 4.0),
        ({"explain_after": 5.0, "kill_after": 0.4}, 2.2),
        ({"explain_after": 0.0, "kill_after": 4.0}, None),
        ({"explain_after": 0.0}, None),
    ],
)
def test_slow_stop_is_told_once(settings, told):
    """Some seconds after the first request, at half of -k where that is less; with 0 never."""
    life = new(**settings)
    life.receive(signal.SIGTERM, 2.0)
    life.receive(signal.SIGTERM, 2.5)
    times = []
    while (now := deadline(life)) is not None:
        step = life.due(now)
        if step == EXPLAIN:
            times.append(now)
        elif step[0] == lifecycle.PEEK:
            life.peeked(now)

    assert times == ([] if told is None else [told])


def test_slow_stop_is_told_before_long():
    """Also where it takes long to find out why; but then what was found is told."""
    life = new(explain_after=5.0)
    life.receive(signal.SIGTERM, 2.0)
    life.peeked(3.0)
    assert [None, (lifecycle.PEEK, CHILD, ())] == [life.due(now) for now in (6.9, 7.0)]
    assert 7.0 + lifecycle.EXPLAIN_SECONDS == deadline(life) == life.until()
    life.peeked(7.5)

    assert [None, EXPLAIN, None] == [life.due(now) for now in (7.4, 7.5, 99.0)]
    assert life.until() is None


def test_look_comes_before_each_thing_that_it_is_for():
    """Before the slow stop is told, before the child is killed, and before the rest is."""
    life = new(explain_after=1.0, kill_after=4.0, drain=5.0)
    life.receive(signal.SIGTERM, 10.0)
    peek = (lifecycle.PEEK, CHILD, ())
    taken = []
    while (now := deadline(life)) is not None:
        taken.append((now, life.due(now)))
    assert [(11.0, peek), (12.0, EXPLAIN), (13.0, peek), (14.0, EXPIRE)] == taken
    life.child_died(9, 14.1)

    assert [ASKED, LOOK] == [life.due(now) for now in (14.1, 14.2)]
    peek = (lifecycle.PEEK, EVERYONE, ())
    assert [None, peek, None, KILL] == [life.due(now) for now in (17.0, 17.11, 18.95, 19.1)]


def test_look_at_who_has_little_time_takes_half_of_it():
    """A process that is killed at once was asked at least a moment before that."""
    life = new(kill_after=0.1)
    life.receive(signal.SIGTERM, 1.0)

    peek = (lifecycle.PEEK, CHILD, ())
    assert [None, peek, None, EXPIRE] == [life.due(now) for now in (1.04, 1.05, 1.09, 1.1)]


def test_look_ends_with_the_child():
    """Nothing is told of a stop that is over."""
    life = new(explain_after=1.0, drain=0.0)
    life.receive(signal.SIGTERM, 1.0)
    life.child_died(0, 1.5)

    assert (lifecycle.DONE, None) == (life.state, deadline(life))


def test_time_is_over_once():
    """The child is asked as by SIGTERM, with a look before it, and then the kill-after follows."""
    life = new(timeout=5.0, kill_after=3.0)
    assert deadline(life) is None
    life.child_began(10.0)
    peek = (lifecycle.PEEK, CHILD, ())
    look = 15.0 - lifecycle.PEEK_SECONDS
    assert [None, peek] == [life.due(now) for now in (look - 0.1, look)]
    assert (15.0, False, None) == (life.until(), life.timed_out, life.asked)
    assert [None, TIME_OUT, None] == [life.due(now) for now in (14.9, 15.0, 15.0)]

    assert (True, True, (15.0, signal.SIGTERM)) == (life.timed_out, life.stopping, life.asked)
    assert [(18.0, EXPIRE)] == taken(life)


def test_little_time_is_half_for_the_look():
    """Whatever it finds by then is told; to ask does not wait for it."""
    life = new(timeout=0.2)
    life.child_began(1.0)

    assert [(1.1, lifecycle.PEEK), (1.2, lifecycle.TIME_OUT)] == [
        (pytest.approx(now), step[0]) for now, step in taken(life, peeks=True)
    ]


@pytest.mark.parametrize(
    ("settings", "target", "sent"),
    [
        ({"group": True}, GROUP, 15),
        ({"forward_all": True}, EVERYONE, 15),
        ({"rewrite": {15: 3}}, CHILD, 3),
        ({"rewrite": {15: 0}}, CHILD, 0),
        ({"rewrite": {15: 0}, "ladder": ((2, 4.0),), "kill_after": 4.0}, CHILD, 2),
        ({"ladder": ((0, 4.0),), "kill_after": 4.0}, CHILD, 15),
    ],
)
def test_end_of_time_is_aimed_and_rewritten(settings, target, sent):
    """As a SIGTERM that came in; where that is dropped only the clock of kill-after starts."""
    life = new(timeout=5.0, **{"kill_after": 4.0, **settings})
    life.child_began(0.0)
    signums = (sent, signal.SIGCONT) if sent else ()

    assert (lifecycle.TIME_OUT, target, signums) == due(life, 5.0)
    assert [(9.0, (lifecycle.EXPIRE, target, (signal.SIGKILL,)))] == taken(life)


def test_request_to_stop_takes_the_place_of_the_end_of_time():
    """Where there is a kill-after: it ends the child as surely, and asks it but once."""
    life = new(timeout=5.0, kill_after=3.0)
    life.child_began(0.0)
    life.receive(signal.SIGHUP, 1.0)
    assert 5.0 - lifecycle.PEEK_SECONDS == deadline(life)
    life.receive(signal.SIGTERM, 4.5)

    assert [(7.5, EXPIRE)] == taken(life)
    assert not life.timed_out


@pytest.mark.parametrize("explain_after", [0.0, 0.5, 9.0])
def test_time_ends_without_a_kill_after(explain_after):
    """It is all that bounds a child then, which may have gone on after a SIGINT."""
    life = new(timeout=5.0, explain_after=explain_after)
    life.child_began(0.0)
    life.receive(signal.SIGINT, 1.0)
    steps = taken(life)

    assert (5.0, TIME_OUT) in steps
    assert {TIME_OUT, *([EXPLAIN] if explain_after else [])} == {step for _, step in steps}
    assert life.asked == (1.0, signal.SIGINT)


def test_time_ends_with_the_child():
    """A child that ended in time has not timed out, and a drain has no such clock."""
    life = new(timeout=5.0, drain=9.0)
    life.child_began(0.0)
    life.child_died(0, 4.0)

    assert lifecycle.TIME_OUT not in {step[0] for _, step in taken(life)}
    assert not life.timed_out


@pytest.mark.parametrize("begin", [lambda life: life.receive(15, 1.0), Lifecycle.nobody_left])
def test_time_begins_late_where_an_error_came_between(begin):
    """But not for a child that is asked to stop already."""
    life = new(timeout=5.0, kill_after=3.0)
    begin(life)
    life.child_began(0.0)

    assert life.stopping == (lifecycle.TIME_OUT not in {step[0] for _, step in taken(life)})


def test_end_of_time_that_an_error_came_between_is_still_due(monkeypatch):
    """Then the child is asked, with the clock that was started."""
    life = new(timeout=5.0, ladder=((2, 1.0), (3, 1.0)), kill_after=2.0)
    life.child_began(0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Lifecycle, "_plan_to_explain", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            due(life, 5.0)

    assert TIME_OUT == due(life, 5.0)
    assert [escalate(3), EXPIRE] == [step for _, step in taken(life)]


LADDER = {"ladder": ((2, 5.0), (15, 4.0), (6, 2.0)), "kill_after": 11.0}


@pytest.mark.parametrize(
    ("settings", "target"), [({}, CHILD), ({"group": True}, GROUP), ({"forward_all": True}, 2)]
)
def test_steps_follow_each_other(settings, target):
    """The first signal is sent in place of the request; the last is SIGKILL; all to one target."""
    life = new(**LADDER, **settings)
    assert (target, signal.SIGINT) == life.receive(signal.SIGTERM, 1.0)
    assert (1.0, signal.SIGINT) == life.asked
    assert (target, signal.SIGTERM) == life.receive(signal.SIGTERM, 2.0)  # that is forwarded

    assert [
        (6.0, escalate(15, target)),
        (10.0, escalate(6, target)),
        (12.0, (lifecycle.EXPIRE, target, (signal.SIGKILL,))),
    ] == taken(life)


def test_first_step_may_be_the_request_itself():
    """A number without a signal leaves it as it came, or as it was rewritten."""
    life = new(ladder=((0, 5.0), (6, 2.0)), kill_after=7.0, rewrite={15: 3})

    assert (CHILD, signal.SIGQUIT) == life.receive(signal.SIGTERM, 1.0)
    assert [(6.0, escalate(6)), (8.0, EXPIRE)] == taken(life)


def test_first_step_counts_more_than_rewriting():
    """What is dropped begins nothing, though."""
    life = new(**LADDER, rewrite={15: 3, 3: 0})

    assert life.receive(signal.SIGQUIT, 1.0) is None
    assert (CHILD, signal.SIGINT) == life.receive(signal.SIGTERM, 1.0)


def test_each_step_has_all_of_its_time():
    """Where pyinit is late with one, as after ^Z, the next ones are as late."""
    life = new(**LADDER)
    life.receive(signal.SIGTERM, 1.0)
    assert escalate(15) == due(life, 9.0)

    assert [(13.0, escalate(6)), (15.0, EXPIRE)] == taken(life)


@pytest.mark.parametrize("explain_after", [0.0, 1.0, 6.0])
def test_look_comes_before_the_kill_behind_steps(explain_after):
    """Whatever is told in between, the look before SIGKILL comes after the last step."""
    life = new(**LADDER, explain_after=explain_after)
    life.receive(signal.SIGTERM, 0.0)
    steps = [step[0] for _, step in taken(life, peeks=True)]

    assert [lifecycle.ESCALATE, lifecycle.PEEK, lifecycle.EXPIRE] == steps[-3:]
    assert (lifecycle.EXPLAIN in steps) == bool(explain_after)


def test_steps_end_with_the_child():
    """What it left gets SIGTERM, whatever signal it died of."""
    life = new(**LADDER, drain=5.0)
    life.receive(signal.SIGTERM, 0.0)
    assert escalate(15) == due(life, 5.0)
    life.child_died(15, 6.0)

    assert [ASKED, LOOK, KILL] == [step for _, step in taken(life)][:3]


def test_status_that_is_known_better_counts():
    """What is told when the child is reaped replaces what was told before."""
    life = new(drain=5.0)
    life.child_died(0, 1.0)
    due(life, 1.0)
    life.child_died(9, 2.0)

    assert (9, lifecycle.DRAINING) == (life.status, life.state)


SECONDS = st.floats(0.001, 20) | st.sampled_from([0.0, 1.0])
SIGNALS = st.integers(1, 64)
OF_STEPS = SIGNALS.filter(lambda signum: signum != signal.SIGKILL)
STEPS = st.lists(st.tuples(OF_STEPS, st.floats(0.1, 9)), max_size=3)
# The first may be the request itself.
LADDERS = st.tuples(STEPS, st.booleans()).map(
    lambda made: tuple(
        (0 if made[1] and not at else each[0], each[1]) for at, each in enumerate(made[0])
    )
)


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens, in any order, the rules at the head of the module hold."""

    @initialize(
        group=st.booleans(),
        forward_all=st.booleans(),
        drain=SECONDS,
        timeout=SECONDS,
        kill_after=SECONDS,
        ladder=LADDERS,
        explain_after=SECONDS,
        rewrite=st.dictionaries(SIGNALS, st.integers(0, 64)),
        may_drain=st.booleans(),
    )
    def begin(self, *, may_drain, **settings):
        if settings["ladder"]:
            settings["kill_after"] = sum(seconds for _, seconds in settings["ladder"])
        self.life = new(may_drain=may_drain, **settings)
        self.now = 100.0
        self.gone = None  # since when the child is
        self.asked = None  # since when those that remain are
        self.request = None  # since when it was asked to stop
        self.killed = None  # since when those that remain are
        self.steps = []
        self.states = [self.life.state]
        self.settings = settings
        self.life.child_began(self.now)

    @rule(signum=SIGNALS)
    def signal_comes(self, signum):
        sent = self.settings["rewrite"].get(signum, signum)
        if signum in STOP and sent and self.request is None and self.life.state == 0:
            self.request = self.now
            sent = self.first_step() or sent
        order = self.life.receive(signum, self.now)
        if order is None:
            is_dropped = {lifecycle.DONE: True, lifecycle.DRAINING: sent in signals.JOB_CONTROL}
            assert not sent or is_dropped[self.life.state]
        else:
            assert sent == order[1]
            self.check_target(order[0])

    def first_step(self):
        return self.settings["ladder"][0][0] if self.settings["ladder"] else 0

    @rule()
    def child_goes(self):
        self.life.child_died(0, self.now)
        self.gone = self.now if self.gone is None else self.gone

    @precondition(lambda self: lifecycle.ASK in self.steps)
    @rule(step=st.sampled_from(sorted(lifecycle.ASKING)))
    def all_are_asked(self, step):
        self.life.sent(step, 0, self.now)
        self.asked = self.now if lifecycle.KILL not in self.steps else self.asked

    @precondition(lambda self: lifecycle.ASK in self.steps)
    @rule(step=st.sampled_from(sorted(lifecycle.ASKING)))
    def they_cannot_be_found_just_now(self, step):
        before = deadline(self.life)
        self.life.sent(step, errno.EAGAIN, self.now)
        assert (before is None) == (deadline(self.life) is None)

    @precondition(lambda self: lifecycle.ASK in self.steps)
    @rule(step=st.sampled_from(sorted(lifecycle.ASKING)))
    def they_can_never_be_found(self, step):
        is_late = lifecycle.KILL in self.steps
        before = self.life.state
        self.life.sent(step, errno.ENOENT, self.now)
        assert (before if is_late else lifecycle.DONE) == self.life.state

    @rule(
        step=st.sampled_from(
            [lifecycle.EXPIRE, lifecycle.LOOK, lifecycle.KILL, lifecycle.KILL_AGAIN]
        )
    )
    def other_steps_are_taken(self, step):
        before = self.life.state, deadline(self.life)
        self.life.sent(step, errno.ENOENT, self.now)
        assert before == (self.life.state, deadline(self.life))

    @rule()
    def another_look_is_wanted(self):
        self.life.look_again(self.now)

    @precondition(lambda self: self.gone is not None)
    @rule()
    def last_one_goes(self):
        self.life.nobody_left()
        assert lifecycle.DONE == self.life.state

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.now += seconds
        self.look()

    @rule()
    def deadline_comes(self):
        if deadline(self.life) is not None:
            self.now = max(self.now, deadline(self.life))
            self.look(expected=True)

    @rule()
    def look_is_over(self):
        self.life.peeked(self.now)

    def look(self, *, expected=False):
        before = self.life.state
        step = self.life.due(self.now)
        assert step is not None or not expected
        if step is None:
            assert deadline(self.life) is None or self.now < deadline(self.life)
            return
        why, target, signums = step
        assert before != lifecycle.DONE
        self.check_target(target)
        self.steps.append(why)
        if why == lifecycle.TIME_OUT:
            self.check_end_of_time(signums)
        if why == lifecycle.ESCALATE:
            nth = self.steps.count(lifecycle.ESCALATE)
            assert (self.settings["ladder"][nth][0], signal.SIGCONT) == signums
            before = sum(seconds for _, seconds in self.settings["ladder"][:nth])
            assert self.now >= self.request + before - 1e-9
        if why == lifecycle.EXPLAIN:
            assert self.now >= self.request + min(
                self.settings["explain_after"], self.settings["kill_after"] / 2 or 99.0
            )
        if why in {lifecycle.EXPLAIN, lifecycle.EXPIRE, lifecycle.KILL}:
            assert lifecycle.PEEK in self.steps
        if why == lifecycle.EXPIRE:
            assert self.now >= self.request + self.settings["kill_after"] - 1e-9
            assert self.steps.count(lifecycle.ESCALATE) == len(self.settings["ladder"][1:])
        if why == lifecycle.KILL:
            assert self.now >= (self.asked or self.gone) + self.settings["drain"]
            assert lifecycle.LOOK in self.steps
            self.killed = self.now
        kills = {lifecycle.EXPIRE, lifecycle.KILL, lifecycle.KILL_AGAIN}
        if self.settings["rewrite"].get(signal.SIGTERM) == signal.SIGKILL:
            kills |= {lifecycle.TIME_OUT} - {why} if signal.SIGKILL not in signums else {why}
        assert (signal.SIGKILL in signums) == (why in kills)

    def check_end_of_time(self, signums):
        assert self.now >= 100.0 + self.settings["timeout"]
        assert self.life.timed_out
        sent = self.settings["rewrite"].get(signal.SIGTERM, signal.SIGTERM)
        if self.request is None:
            assert lifecycle.PEEK in self.steps
            self.request = self.now
            sent = self.first_step() or sent
        else:
            assert not self.settings["kill_after"]
        assert signums == ((sent, signal.SIGCONT) if sent else ())

    def check_target(self, target):
        if target in {CHILD, GROUP}:
            assert self.gone is None
            assert (target == GROUP) == self.settings["group"]
        else:
            assert self.gone is not None or self.settings["forward_all"]

    @invariant()
    def one_way(self):
        self.states.append(self.life.state)
        assert self.states == sorted(self.states)
        first_kill = [*self.steps, lifecycle.KILL].index(lifecycle.KILL)
        assert (
            lifecycle.ASK_AGAIN not in self.steps[first_kill:]
        )  # before that it may follow a look
        at_any_time = {lifecycle.ASK_AGAIN, lifecycle.PEEK}
        at_any_time |= {lifecycle.TIME_OUT, lifecycle.ESCALATE}
        in_order = [step for step in self.steps if step not in at_any_time]
        assert in_order == sorted(in_order)
        often = {*at_any_time, lifecycle.LOOK, lifecycle.KILL_AGAIN} - {lifecycle.TIME_OUT}
        once = [step for step in self.steps if step not in often]
        assert len(once) == len(set(once))

    @invariant()
    def comes_to_an_end(self):
        if self.life.state == lifecycle.DRAINING:
            assert deadline(self.life) is not None
        if self.life.state == lifecycle.DRAINING and self.killed is not None:
            assert deadline(self.life) <= self.killed + lifecycle.LAST_SECONDS
        if self.life.state == lifecycle.DONE:
            assert deadline(self.life) is None

    @invariant()
    def state_follows_the_child(self):
        assert (self.life.state == lifecycle.RUNNING) == (self.gone is None)


TestAnyOrder = AnyOrder.TestCase
