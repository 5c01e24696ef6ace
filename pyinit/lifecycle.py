"""Decide: which process to signal, and when it is over. Pure: no system call, no clock, no log.

Rules, whatever comes in and in whatever order:

1. One way through the states: running, draining, done. In done nothing is decided any more.
2. CHILD and GROUP are aimed at while running only. Later the child is reaped, and its pid or its
   group may be another's.
3. EVERYONE is aimed at with ``--all``, and while draining: all that pyinit answers for.
4. SIGKILL is decided on when a deadline has passed, and never for a signal that came in unless the
   user had it rewritten so: once while running, and while draining until nobody is left.
5. Some that remain do not hear a SIGTERM, whatever time they get. So there is a LOOK at what is
   left soon after all were asked, and again, each time after twice as long, if ``survivors``, which
   knows how to reach these, wants another one.
6. When a stop is slow, and before an EXPIRE and a KILL, there is a PEEK at those that do not stop.
   EXPLAIN tells what it has found, as soon as it is over or EXPLAIN_SECONDS later. SIGKILL does
   not wait for it. There is one before a TIME_OUT, too, where nobody asked to stop before.
7. A drain ends: when nobody is left, or LAST_SECONDS after its SIGKILL.
8. TIME_OUT is a SIGTERM that nobody has sent: rewritten, aimed, and starting the clocks as one that
   came in. It is due once, ``timeout`` seconds after the child began. A request to stop that came
   before takes its place where there is a kill-after, which ends the child as surely.
9. The kill-after may have steps. The first begins with the first request to stop, and its signal is
   sent in place of that; 0 is the request itself. Each step has all of its time from when it
   begins, then ESCALATE sends the next one's signal, and after the last EXPIRE sends SIGKILL.

Every time that pyinit waits for is here: one for each step that is still to come, and one to reap.
"""

from errno import EAGAIN, ENOENT  # builtin

from pyinit.signals import JOB_CONTROL, REQUESTS_TO_STOP, SIGCONT, SIGKILL, SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.settings import Settings

    Step = tuple[int, int, tuple[int, ...]]  # why, to whom, which signals in which order

RUNNING, DRAINING, DONE = range(3)
CHILD, GROUP, EVERYONE = range(3)
TIME_OUT, EXPLAIN, ESCALATE, EXPIRE, ASK, ASK_AGAIN, LOOK, PEEK, KILL, KILL_AGAIN, GIVE_UP = range(
    11
)
SIGNALS = {  # of TIME_OUT and ESCALATE they are the user's
    EXPIRE: (SIGKILL,),
    ASK: (SIGTERM, SIGCONT),
    ASK_AGAIN: (SIGTERM, SIGCONT),
    KILL: (SIGKILL,),
    KILL_AGAIN: (SIGKILL,),
}
ASKING = frozenset({ASK, ASK_AGAIN})
OF_SLOW_STOPS = frozenset({PEEK, TIME_OUT, EXPLAIN, ESCALATE, EXPIRE})  # see later/steps
PEEKED_BEFORE = (KILL, EXPIRE, TIME_OUT)
REPEATED = frozenset({ASK_AGAIN, KILL_AGAIN})
ASK_SECONDS = 0.1  # until those are asked that could not be found when it was time
LOOK_SECONDS = 0.05  # by then a process that ends at once has ended
PEEK_SECONDS = 2.0  # for it, before a SIGKILL; half of the time where that is less
EXPLAIN_SECONDS = 2.0  # for it, before what is known is told; likewise
LAST_SECONDS = 1.0  # for what SIGKILL should have ended; D-state processes live on (signal(7))
AGAIN_SECONDS = 0.01  # when not PID 1 a process that forks all the time is not hit at once
REST_SECONDS = 0.1  # at most, from one SIGKILL to the next: what forks is not to be left alone


class Lifecycle:
    """What pyinit is at; told what happened, it says what to do.

    All times are seconds of one monotonic clock.

    Attributes:
        state: RUNNING, DRAINING or DONE.
        status: the child's, once it is dead; None before.
        stopping: whether the end has begun: the child was asked to stop, or is dead.
        asked: when the child was first asked to stop, and the signal that was sent; None before.
        timed_out: whether it was asked because it had run for as long as it may.
        reap_at: when there may be more to reap although no signal will tell; None if not.
    """

    __slots__ = (
        "_aim",
        "_clocks",
        "_drain",
        "_explain_after",
        "_kill_after",
        "_ladder",
        "_pause",
        "_rewrite",
        "_timeout",
        "asked",
        "reap_at",
        "state",
        "status",
        "stopping",
        "timed_out",
    )

    def __init__(self, settings: "Settings", *, may_drain: bool) -> None:
        """Begin to run.

        Args:
            settings: what the user asked for.
            may_drain: False where pyinit adopts nobody, so that the child leaves it nobody.
        """
        self._aim = EVERYONE if settings.forward_all else GROUP if settings.group else CHILD
        self._rewrite = settings.rewrite
        self._timeout = settings.timeout
        self._kill_after = settings.kill_after
        self._ladder = settings.ladder or (((0, self._kill_after),) if self._kill_after else ())
        self._explain_after = settings.explain_after
        self._drain = settings.drain if may_drain else 0.0
        self._pause = LOOK_SECONDS  # until the next look
        self._clocks: dict[int, float] = {}  # when which step is due
        self.state = RUNNING
        self.status: int | None = None
        self.stopping = False
        self.asked: tuple[float, int] | None = None
        self.timed_out = False
        self.reap_at: float | None = None

    def patience(self, now: float) -> float | None:
        """Return how long to wait for a signal, in seconds; None for as long as it takes."""
        times = list(self._clocks.values())
        if self.reap_at is not None:
            times.append(self.reap_at)
        return max(0.0, min(times) - now) if times else None

    def child_began(self, now: float) -> None:
        """Note that the child runs: its time begins."""
        if self._timeout and not self.stopping:
            self._clocks[TIME_OUT] = now + self._timeout
            self._plan_peek(now)

    def receive(self, signum: int, now: float) -> "tuple[int, int] | None":
        """Return target and signal for a signal that came in; None to drop it.

        The first that asks to stop starts the clock of kill-after; later ones do not restart it.
        """
        send = self._rewrite.get(signum, signum)
        if not send or self.state == DONE:
            return None
        if self.state == DRAINING:
            # ^Z would stop those that are to end, and they would be killed for it.
            return None if send in JOB_CONTROL else (EVERYONE, send)
        send = self._ask(signum, send, now)
        if EXPIRE in self._clocks:
            self._clocks.pop(TIME_OUT, None)
        return self._aim, send

    def _ask(self, signum: int, send: int, now: float) -> int:
        """Begin to stop, if a signal asks for that first; return what to send."""
        if signum not in REQUESTS_TO_STOP or self.stopping:
            return send
        if self._ladder and EXPIRE not in self._clocks:  # it is where an error came between
            send = self._climb(now) or send
        self._plan_to_explain(now)
        self.asked = now, send
        self.stopping = True
        return send

    def _climb(self, now: float) -> int:
        """Begin the next step of the kill-after; return its signal, 0 for the request itself."""
        (signum, seconds), *rest = self._ladder
        clocks = {**self._clocks, EXPIRE: now + seconds + sum(each for _, each in rest)}
        clocks.pop(ESCALATE, None)
        if rest:
            clocks[ESCALATE] = now + seconds
        self._ladder, self._clocks = tuple(rest), clocks
        return signum

    def _escalate(self, now: float) -> int:
        """Begin the next step; return its signal."""
        signum = self._climb(now)
        self._plan_peek(now)
        return signum

    def _time_out(self, now: float) -> int:
        """Ask the child to stop as a SIGTERM does; return what to send, 0 for nothing."""
        self.timed_out = True
        send = self._ask(SIGTERM, self._rewrite.get(SIGTERM, SIGTERM), now)
        del self._clocks[TIME_OUT]
        self._plan_peek(now)
        return send

    def _plan_to_explain(self, now: float) -> None:
        """Have it told if the stop is slow, and a PEEK before."""
        self._clocks.pop(PEEK, None)
        if self._explain_after:
            wait, most = self._explain_after, EXPLAIN_SECONDS
            if self._kill_after:
                wait = min(wait, self._kill_after / 2)
                most = min(most, self._kill_after / 4)
            self._clocks = {PEEK: now + wait, EXPLAIN: now + wait + most, **self._clocks}
        else:
            self._plan_peek(now)

    def _plan_peek(self, now: float) -> None:
        """Have a PEEK before the KILL, EXPIRE or TIME_OUT that is to come.

        Not yet where there is an EXPLAIN to come, which has one of its own.
        """
        if EXPLAIN in self._clocks:
            return
        self._clocks.pop(PEEK, None)
        step = next((each for each in PEEKED_BEFORE if each in self._clocks), None)
        if step is not None:
            at = self._clocks[step]
            peek = at - min(PEEK_SECONDS, (at - now) / 2)
            self._clocks = {PEEK: peek, **self._clocks}  # of two at one time the first

    def until(self) -> float | None:
        """Return when what is found in a PEEK is wanted; None where nothing wants it."""
        steps = (EXPLAIN, *PEEKED_BEFORE)
        return min((self._clocks[step] for step in steps if step in self._clocks), default=None)

    def peeked(self, now: float) -> None:
        """Note that a PEEK is over, so that there is nothing more to wait for before it is told."""
        if EXPLAIN in self._clocks and PEEK not in self._clocks:
            self._clocks[EXPLAIN] = min(self._clocks[EXPLAIN], now)

    def child_died(self, status: int, now: float) -> None:
        """Note that the child is dead: whoever is left is to be asked to go, at once.

        It may be told twice: what is known when the child is reaped counts.
        """
        self.status = status
        if self.state != RUNNING:
            return
        self.stopping = True
        if self._drain:
            self.state, self._clocks = DRAINING, {ASK: now}
        else:
            self._finish()

    def nobody_left(self) -> None:
        """Note that there is no process left to wait for."""
        if self.state == DRAINING:
            self._finish()

    def due(self, now: float) -> "Step | None":
        """Return what is due by now: why, to whom, which signals. None if nothing is.

        A step is returned once, until something that happened or the step itself calls for it anew.
        Its clock is cleared last: an error before that has it returned again.
        """
        step = min(self._clocks, key=self._clocks.__getitem__, default=None)
        if step is None or now < self._clocks[step]:
            return None
        if step == ASK:
            self._give_time(now)
        elif step in {KILL, KILL_AGAIN}:
            self._kill(step, now)
        elif step == GIVE_UP:
            self._finish()
        elif step in {TIME_OUT, ESCALATE}:
            signum = self._time_out(now) if step == TIME_OUT else self._escalate(now)
            # As in a drain: one that is stopped could do nothing about the signal.
            return step, self._aim, (signum, SIGCONT) if signum else ()
        else:
            if step == LOOK:
                self._pause *= 2
            del self._clocks[step]
            if step == EXPLAIN:
                self._plan_peek(now)
        return step, self._aim if self.status is None else EVERYONE, SIGNALS.get(step, ())

    def sent(self, step: int, error: int, now: float) -> None:
        """Note what came of a step's signals.

        Those who remain get all of their time from when they were asked: to find and count them
        takes a while where there are very many processes.

        Args:
            step: as `due` returned it.
            error: an errno: ENOENT where they can never be found, EAGAIN where they can not just
                now, so that they are asked again; 0 or any other where all was done that can be.
            now: the time.
        """
        if KILL_AGAIN in self._clocks:
            self._rest(now)
        if step not in ASKING or KILL not in self._clocks:
            return
        if error == ENOENT:
            self.nobody_left()
        elif error == EAGAIN:
            self._clocks[ASK_AGAIN] = now + ASK_SECONDS
        else:
            self._give_time(now)

    def look_again(self, now: float) -> None:
        """Note that another look may reach a process that the last one did not."""
        if now + self._pause < self._clocks.get(KILL, now):
            self._clocks[LOOK] = now + self._pause

    def _give_time(self, now: float) -> None:
        self._pause = LOOK_SECONDS
        first = now + min(self._pause, self._drain)
        self._clocks = {LOOK: first, KILL: now + self._drain}
        self._plan_peek(now)

    def _kill(self, step: int, now: float) -> None:
        end = now + LAST_SECONDS if step == KILL else self._clocks[GIVE_UP]
        again = now + AGAIN_SECONDS
        self._clocks = {GIVE_UP: end, KILL_AGAIN: again} if again < end else {GIVE_UP: end}

    def _rest(self, now: float) -> None:
        """Let those that were killed end, for as long as it took to find them: then they are few.

        However late it is by now, SIGKILL is sent twice.
        """
        took = now - (self._clocks[KILL_AGAIN] - AGAIN_SECONDS)
        rest = min(max(took, AGAIN_SECONDS), REST_SECONDS)
        self._clocks[KILL_AGAIN] = min(now + rest, self._clocks[GIVE_UP] - AGAIN_SECONDS)

    def _finish(self) -> None:
        self.state, self._clocks = DONE, {}
