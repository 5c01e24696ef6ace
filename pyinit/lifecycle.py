"""Decide which process to signal, and when it is over. Pure: no system call, no clock, no log.

These rules hold for all events, in any order:

1. The states follow each other: running, draining, done. In done, nothing is decided any more.
2. CHILD and GROUP are targets only in running. Later the child is reaped, and its pid or the number
   of its group may belong to another process.
3. EVERYONE, which means all processes that pyinit is responsible for, is the target with ``--all``,
   and in draining.
4. SIGKILL is sent when a deadline has passed: once in running, and in draining until no process is
   left. It is sent for a signal that arrives only if the user has rewritten that signal to SIGKILL.
5. Some processes do not react to SIGTERM, however long they get. So there is a LOOK soon after all
   were asked, and more, each after twice the time, if ``survivors``, which can stop them, wants it.
6. When a stop is slow, and before an EXPIRE and a KILL, there is a PEEK at processes that do not
   stop. EXPLAIN logs its result when it is there, or EXPLAIN_SECONDS later; SIGKILL does not wait
   for it. There is a PEEK before a TIME_OUT as well, unless there was a request to stop before.
7. A drain ends when no process is left, or LAST_SECONDS after its SIGKILL.
8. TIME_OUT acts as a SIGTERM that arrives: it is rewritten, has the same target, and starts the
   clocks. It is due once, ``timeout`` seconds after the child began. A request to stop that comes
   before cancels it if there is a kill-after, which ends the child just as surely.
9. The kill-after may have steps. The first begins with the first request to stop, and its signal
   is sent in place of that; 0 is the request itself. When its time is over, ESCALATE begins the
   next step and sends its signal. After the last step, EXPIRE sends SIGKILL.

Every time that pyinit waits for is here: one for each step that is still to come, and one to reap.
"""

from errno import EAGAIN, ENOENT  # builtin

from pyinit.signals import JOB_CONTROL, REQUESTS_TO_STOP, SIGCONT, SIGKILL, SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.settings import Settings

    Step = tuple[int, int, tuple[int, ...]]  # why, to which processes, which signals in order

RUNNING, DRAINING, DONE = range(3)
CHILD, GROUP, EVERYONE = range(3)
TIME_OUT, EXPLAIN, ESCALATE, EXPIRE, ASK, ASK_AGAIN, LOOK, PEEK, KILL, KILL_AGAIN, GIVE_UP = range(
    11
)
SIGNALS = {  # those of TIME_OUT and ESCALATE come from the user
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
ASK_SECONDS = 0.1  # until processes that could not be found are asked again
LOOK_SECONDS = 0.05  # by then a process that exits at once has exited
PEEK_SECONDS = 2.0  # before a SIGKILL; half of the time until then if that is less
EXPLAIN_SECONDS = 2.0  # between PEEK and EXPLAIN, at most
LAST_SECONDS = 1.0  # for processes in D state, which SIGKILL does not end at once
AGAIN_SECONDS = 0.01  # when pyinit is not PID 1, one SIGKILL may miss a process that forks
REST_SECONDS = 0.1  # at most, between two SIGKILLs: a process that forks goes on


class Lifecycle:
    """The state of pyinit: it is told what happened, and says what to do.

    All times are seconds of one monotonic clock.

    Attributes:
        state: RUNNING, DRAINING or DONE.
        status: the status of the child, once it has exited; None before.
        stopping: whether the child was asked to stop, or has exited.
        asked: when the child was first asked to stop, and the signal that was sent; None before.
        timed_out: whether it was asked because of ``timeout``.
        reap_at: when there may be more to reap although no signal says so; None if not.
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
            may_drain: False if pyinit adopts no orphans, so that there is nothing to drain.
        """
        self._aim = EVERYONE if settings.forward_all else GROUP if settings.group else CHILD
        self._rewrite = settings.rewrite
        self._timeout = settings.timeout
        self._kill_after = settings.kill_after
        self._ladder = settings.ladder or (((0, self._kill_after),) if self._kill_after else ())
        self._explain_after = settings.explain_after
        self._drain = settings.drain if may_drain else 0.0
        self._pause = LOOK_SECONDS  # until the next look
        self._clocks: dict[int, float] = {}  # when each step is due
        self.state = RUNNING
        self.status: int | None = None
        self.stopping = False
        self.asked: tuple[float, int] | None = None
        self.timed_out = False
        self.reap_at: float | None = None

    def patience(self, now: float) -> float | None:
        """Return how long to wait for a signal, in seconds; None for without limit."""
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
        """Return target and signal for a signal that has arrived; None to drop it.

        The first request to stop starts the clock of kill-after; later ones do not restart it.
        """
        send = self._rewrite.get(signum, signum)
        if not send or self.state == DONE:
            return None
        if self.state == DRAINING:
            # ^Z would stop processes that must exit, and then they would be killed.
            return None if send in JOB_CONTROL else (EVERYONE, send)
        send = self._ask(signum, send, now)
        if EXPIRE in self._clocks:
            self._clocks.pop(TIME_OUT, None)
        return self._aim, send

    def _ask(self, signum: int, send: int, now: float) -> int:
        """Begin to stop, if this is the first request to stop; return what to send."""
        if signum not in REQUESTS_TO_STOP or self.stopping:
            return send
        if self._ladder and EXPIRE not in self._clocks:  # it is in there after an error
            send = self._climb(now) or send
        self._plan_to_explain(now)
        self.asked = now, send
        self.stopping = True
        return send

    def _climb(self, now: float) -> int:
        """Begin the next step of the kill-after; return its signal; 0 is the request itself."""
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
        """Ask the child to stop, as a SIGTERM would; return what to send; 0 is nothing."""
        self.timed_out = True
        send = self._ask(SIGTERM, self._rewrite.get(SIGTERM, SIGTERM), now)
        del self._clocks[TIME_OUT]
        self._plan_peek(now)
        return send

    def _plan_to_explain(self, now: float) -> None:
        """Plan an EXPLAIN for a slow stop, and a PEEK before it."""
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
        """Plan a PEEK before the next KILL, EXPIRE or TIME_OUT.

        But not before a planned EXPLAIN, which has a PEEK of its own.
        """
        if EXPLAIN in self._clocks:
            return
        self._clocks.pop(PEEK, None)
        step = next((each for each in PEEKED_BEFORE if each in self._clocks), None)
        if step is not None:
            at = self._clocks[step]
            peek = at - min(PEEK_SECONDS, (at - now) / 2)
            self._clocks = {PEEK: peek, **self._clocks}  # first, if two have the same time

    def until(self) -> float | None:
        """Return when the result of a PEEK is needed; None if it is not needed."""
        steps = (EXPLAIN, *PEEKED_BEFORE)
        return min((self._clocks[step] for step in steps if step in self._clocks), default=None)

    def peeked(self, now: float) -> None:
        """Note that a PEEK is over, so that EXPLAIN can log it now."""
        if EXPLAIN in self._clocks and PEEK not in self._clocks:
            self._clocks[EXPLAIN] = min(self._clocks[EXPLAIN], now)

    def child_died(self, status: int, now: float) -> None:
        """Note that the child has exited: all that is left must be asked to exit, at once.

        This may be called twice: the status from when the child is reaped counts.
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
        """Note that there are no more processes to wait for."""
        if self.state == DRAINING:
            self._finish()

    def due(self, now: float) -> "Step | None":
        """Return what is due now: the step, the target and the signals; None if nothing is due.

        A step is returned once, until an event or a step plans it again. Its clock is cleared last:
        after an error before that, the step is returned again.
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
            # SIGCONT as in a drain: a stopped process cannot handle the signal.
            return step, self._aim, (signum, SIGCONT) if signum else ()
        else:
            if step == LOOK:
                self._pause *= 2
            del self._clocks[step]
            if step == EXPLAIN:
                self._plan_peek(now)
        return step, self._aim if self.status is None else EVERYONE, SIGNALS.get(step, ())

    def sent(self, step: int, error: int, now: float) -> None:
        """Note the result of the signals of a step.

        Processes that are left get all of their time from when they were asked: to find them takes
        a while if there are very many.

        Args:
            step: as `due` returned it.
            error: an errno: ENOENT if the processes can never be found; EAGAIN if they cannot be
                found now, so that they are asked again; else 0 or the error of the last attempt.
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
        """Plan another LOOK: it may reach a process that the last one did not."""
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
        """Wait for the killed processes as long as it took to find them: then few are left.

        However late it is, SIGKILL is sent twice.
        """
        took = now - (self._clocks[KILL_AGAIN] - AGAIN_SECONDS)
        rest = min(max(took, AGAIN_SECONDS), REST_SECONDS)
        self._clocks[KILL_AGAIN] = min(now + rest, self._clocks[GIVE_UP] - AGAIN_SECONDS)

    def _finish(self) -> None:
        self.state, self._clocks = DONE, {}
