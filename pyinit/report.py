"""Log events, in one call that neither raises nor blocks.

``later/events.py`` makes the keys of an event, and ``later/writer.py`` writes it. Both are loaded
when the first event is written, never before the child runs.
"""

from time import time as wall_clock  # a builtin module; only events' timestamps come from it

from pyinit.settings import ERROR, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.later.writer import Writer
    from pyinit.settings import Event, Settings

BACKLOG = 256
MOST_ERRORS = 32
KEPT = frozenset(  # for the summary in the termination log
    {"exec_failed", "timed_out", "kill_after_expired", "drain_survivor", "leftovers"}
)
MOST_KEPT = 32
SHORTAGE = "memory ran out: from now on, pyinit logs only warnings and errors"


class Report:
    """The log of pyinit.

    Events from before :meth:`open` wait until then: nothing is loaded before the child runs.

    Attributes:
        verbosity: the highest level that is logged; callers need not prepare other events.
        backlog: the newest BACKLOG events that no writer has taken yet.
        kept: name and keys of the events for the summary at the end, the first MOST_KEPT.
        not_kept: how many more there were.
    """

    __slots__ = (
        "_early",
        "_errors",
        "_format",
        "_is_open",
        "_lost",
        "_reserve",
        "_told_shortage",
        "_writer",
        "backlog",
        "kept",
        "not_kept",
        "verbosity",
    )

    def __init__(self, settings: "Settings", reserve: bytes | None) -> None:
        """Note how much to log, and in which format.

        Args:
            settings: what the user asked for.
            reserve: memory to give up when there is none left; None if it is used up.
        """
        self.verbosity = settings.verbosity
        self.backlog: list[Event] = []
        self.kept: list[tuple[str, dict[str, object]]] = []
        self.not_kept = 0
        self._early: list[tuple[int, float, str, tuple[object, ...]]] = []  # from before open()
        self._format = settings.log_format
        self._is_open = False
        self._writer: Writer | None = None
        self._lost = 0
        self._errors: set[str] = set()
        self._reserve = reserve
        self._told_shortage = False
        if reserve is None:
            self.use_reserve()

    def tell(self, level: int, event: str, *facts: object) -> None:
        """Log one event, if the verbosity includes its level.

        Args:
            level: ERROR to DEBUG.
            event: the name of a function of ``later.events``, which makes the keys of the event.
                Only errors of this class itself have no function there.
            facts: the arguments of that function.
        """
        if level > self.verbosity and event not in KEPT:
            return
        if self._is_open:
            self._note(level, wall_clock(), event, facts)
        else:
            self._early.append((level, wall_clock(), event, facts))

    def _note(self, level: int, clock: float, event: str, facts: tuple[object, ...]) -> None:
        try:
            from pyinit.later import events

            keys = getattr(events, event)(*facts)
        except MemoryError:
            self._lost += 1
            self.use_reserve()
            self._pass_on()
        except BaseException:  # noqa: BLE001 - for example a module that cannot be loaded
            self._lost += 1
            self._pass_on()
        else:
            if event in KEPT:
                self._keep(event, keys)
            if level <= self.verbosity:
                self._put(level, clock, event, keys)

    def _keep(self, event: str, keys: dict[str, object]) -> None:
        if len(self.kept) < MOST_KEPT:
            self.kept.append((event, keys))
        else:
            self.not_kept += 1

    def _put(self, level: int, clock: float, event: str, keys: dict[str, object]) -> None:
        self.backlog.append((level, clock, event, keys))
        self._pass_on()

    def tell_error(self, error: BaseException) -> None:
        """Log an error of pyinit itself; each error once, and at most MOST_ERRORS of them."""
        if isinstance(error, MemoryError):
            self.use_reserve()
        try:
            text = repr(error)
            if text not in self._errors and len(self._errors) < MOST_ERRORS:
                self._errors.add(text)
                self._put(ERROR, wall_clock(), "internal_error", {"error": text})
        except BaseException:  # noqa: BLE001 - then it cannot be logged
            self._lost += 1

    def use_reserve(self) -> None:
        """Free memory for the loop, and need less: log only warnings and errors from now on.

        The thread of the writer may call this. The next event says that it was called.
        """
        self._reserve = None
        if self.verbosity > WARNING:  # noqa: PLR1730 - to call min() takes memory
            self.verbosity = WARNING

    def open(self) -> None:
        """Log the events until now, and further events at once: the child runs."""
        self._is_open = True
        while self._early:
            self._note(*self._early.pop(0))
        self._pass_on()

    def expect(self) -> None:
        """Load the writer, because there will be an event soon."""
        try:
            self._begin_to_write()
        except BaseException:  # noqa: BLE001 - for example no thread: the event tries again
            pass

    def close(self) -> None:
        """Give the writer a limited time to write what it still has."""
        self._pass_on()
        try:
            if self._writer is not None:
                self._writer.close()
        except BaseException:  # noqa: BLE001 - PID 1 exits with the child's code, whatever happens
            self._lost += 1

    def _pass_on(self) -> None:
        if not self._is_open:
            return
        try:
            self._tell_shortage()
            if not self.backlog and not self._lost:
                return
            writer = self._begin_to_write()
            writer.add_dropped(self._lost)
            self._lost = 0
            while self.backlog:
                writer.put(self.backlog[0])
                del self.backlog[0]
        except MemoryError:
            self.use_reserve()
            self._drop_oldest()
        except BaseException:  # noqa: BLE001 - no thread now; the next event tries again
            self._drop_oldest()

    def _begin_to_write(self) -> "Writer":
        if self._writer is None:
            from pyinit.later.writer import Writer

            self._writer = Writer(self._format, self.use_reserve)
        return self._writer

    def _tell_shortage(self) -> None:
        if self._reserve is None and not self._told_shortage and self.verbosity >= WARNING:
            keys: dict[str, object] = {"reason": SHORTAGE}
            self.backlog.append((WARNING, wall_clock(), "memory_short", keys))
            self._told_shortage = True

    def _drop_oldest(self) -> None:
        if len(self.backlog) > BACKLOG:
            del self.backlog[0]
            self._lost += 1
