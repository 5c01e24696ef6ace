"""Decide: whom to signal, and when it is over. Pure: no system call, no clock, no log.

Rules, whatever comes in and in whatever order:

1. One way through the states: running, draining, done. In done nothing is decided any more.
2. CHILD and GROUP are aimed at while running only. Later the child is reaped, and its pid or its
   group may be somebody else's.
3. EVERYONE is aimed at with ``--all``, and while draining. Whom that reaches is for ``everyone`` to
   know: kill(-1) is its alone, and there only as PID 1.
4. SIGKILL is decided on when a deadline has passed, and never for a signal that came in unless the
   user had it rewritten so: once while running, and while draining until nobody is left.
5. Some that remain do not hear a SIGTERM, whatever time they get. So there is a LOOK at what is
   left soon after all were asked, and again, each time after twice as long, if ``drain``, which
   knows how to reach these, wants another one.
6. A drain ends: when nobody is left, or LAST_SECONDS after its SIGKILL.
"""

from pyinit import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.settings import Settings

    Step = tuple[int, int, tuple[int, ...]]  # why, to whom, which signals in which order

RUNNING, DRAINING, DONE = range(3)
CHILD, GROUP, EVERYONE = range(3)
LOST_PATIENCE, ASK, LOOK, KILL, KILL_AGAIN, GIVE_UP = range(6)
LOOK_SECONDS = 0.05  # by then a process that ends at once has ended
LAST_SECONDS = 1.0  # for what SIGKILL should have ended; D-state processes live on (signal(7))
AGAIN_SECONDS = 0.01  # off PID 1 a process that forks all the time is not hit at once


class Lifecycle:
    """What pyinit is at; told what happened, it says what to do.

    All times are seconds of one monotonic clock.

    Attributes:
        state: RUNNING, DRAINING or DONE.
        deadline: when `due` has something to do, if nothing else happens until then; None if never.
        stopping: whether the end has begun: the child was asked to stop, or is gone.
    """

    __slots__ = (
        "_aim",
        "_drain",
        "_last",
        "_next",
        "_patience",
        "_pause",
        "_rewrite",
        "deadline",
        "state",
        "stopping",
    )

    def __init__(self, settings: "Settings", *, may_drain: bool) -> None:
        """Begin to run.

        Args:
            settings: what the user asked for.
            may_drain: False where pyinit adopts nobody, so that the child leaves it nobody.
        """
        self._aim = GROUP if settings.group else CHILD
        if settings.forward_all:
            self._aim = EVERYONE
        self._rewrite = settings.rewrite
        self._patience = settings.kill_after
        self._drain = settings.drain if may_drain else 0.0
        self._next = LOST_PATIENCE
        self._pause = LOOK_SECONDS  # until the next look
        self._last: float  # when those that remain are killed; after that, when a drain ends
        self.state = RUNNING
        self.deadline: float | None = None
        self.stopping = False

    def receive(self, signum: int, now: float) -> "tuple[int, int] | None":
        """Return target and signal for a signal that came in; None to drop it.

        The first that asks to stop starts the clock of kill-after; later ones do not restart it.
        """
        send = self._rewrite.get(signum, signum)
        if not send or self.state == DONE:
            return None
        if self.state == DRAINING:
            # ^Z would stop those who are to end, and they would be killed for it.
            return None if send in signals.JOB_CONTROL else (EVERYONE, send)
        if signum in signals.REQUESTS_TO_STOP and not self.stopping:
            self.stopping = True
            if self._patience:
                self.deadline = now + self._patience
        return self._aim, send

    def child_gone(self, now: float) -> None:
        """Note that the child is dead: whoever is left is to be asked to go, at once."""
        if self.state != RUNNING:
            return
        self.stopping = True
        if self._drain:
            self.state, self._next, self.deadline = DRAINING, ASK, now
        else:
            self._finish()

    def nobody_left(self) -> None:
        """Note that there is no process left to wait for."""
        if self.state == DRAINING:
            self._finish()

    def due(self, now: float) -> "Step | None":
        """Return what is due by now: why, to whom, which signals. None if nothing is.

        Each step is returned once, but for LOOK and KILL_AGAIN.
        """
        if self.deadline is None or now < self.deadline:
            return None
        step = self._next
        if step == LOST_PATIENCE:
            self.deadline = None
            return step, self._aim, (signals.SIGKILL,)
        if step == ASK:
            self._give_time(now)
            return step, EVERYONE, (signals.SIGTERM, signals.SIGCONT)
        if step == LOOK:
            self._next, self.deadline = KILL, self._last
            self._pause *= 2
            return step, EVERYONE, ()
        if step in {KILL, KILL_AGAIN}:
            return self._kill(step, now)
        self._finish()
        return step, EVERYONE, ()

    def asked(self, now: float) -> None:
        """Note that those who remain have been asked by now, and give them all of their time.

        To find and count them takes a while where there are very many processes.
        """
        if self.state == DRAINING and self._next in {LOOK, KILL}:
            self._give_time(now)

    def look_again(self, now: float) -> None:
        """Note that another look may reach a process that the last one did not."""
        if self.state == DRAINING and self._next == KILL and now + self._pause < self._last:
            self._next, self.deadline = LOOK, now + self._pause

    def _give_time(self, now: float) -> None:
        self._last, self._pause = now + self._drain, LOOK_SECONDS
        self._next, self.deadline = LOOK, now + min(self._pause, self._drain)

    def _kill(self, step: int, now: float) -> "Step":
        if step == KILL:
            self._last = now + LAST_SECONDS
        self.deadline = min(now + AGAIN_SECONDS, self._last)
        self._next = KILL_AGAIN if self.deadline < self._last else GIVE_UP
        return step, EVERYONE, (signals.SIGKILL,)

    def _finish(self) -> None:
        self.state, self.deadline = DONE, None
