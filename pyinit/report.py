"""Pass events on to the log, which loads when the first one is to be written."""

from time import time as wall_clock  # a builtin module; only events' timestamps come from it

from pyinit.settings import ERROR, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyinit.log import Log
    from pyinit.settings import Settings

    Keys = dict[str, object]
    Event = tuple[int, float, str, Keys]

BACKLOG = 256
RESERVE = 1 << 20  # bytes
MOST_ERRORS = 32


class Report:
    """What PID 1 tells of. It neither raises nor blocks.

    Nothing is loaded before :meth:`open`: what is told until then waits.

    Attributes:
        backlog: events that no log has taken yet; the newest BACKLOG of them.
    """

    __slots__ = (
        "_errors",
        "_format",
        "_log",
        "_lost",
        "_opened",
        "_reserve",
        "_told_shortage",
        "_verbosity",
        "backlog",
    )

    def __init__(self, settings: "Settings") -> None:
        """Remember how much to tell, and in which format."""
        self._verbosity = settings.verbosity
        self._format = settings.log_format
        self.backlog: list[Event] = []
        self._lost = 0
        self._opened = False
        self._log: Log | None = None
        self._errors: set[str] = set()
        # Never touched, so that it takes nothing but room below a limit.
        self._reserve: bytes | None = bytes(RESERVE)
        self._told_shortage = False

    def wants(self, level: int) -> bool:
        """Tell whether events of ``level`` are written: gathering what they need may cost."""
        return level <= self._verbosity

    def use_reserve(self) -> None:
        """Give the loop memory to go on with, and need less: tell no more than warnings.

        The log's thread may call it; that it was called is told with the next event.
        """
        self._reserve = None
        if self._verbosity > WARNING:  # noqa: PLR1730 - to call min() takes memory
            self._verbosity = WARNING

    def open(self) -> None:
        """Write what was told until now, and from now on at once: the child runs."""
        self._opened = True
        self._pass_on()

    def tell(self, level: int, event: str, describe: "Callable[[], Keys]") -> None:
        """Write one event with the keys that ``describe`` returns, if the verbosity wants it."""
        if not self.wants(level):
            return
        try:
            self.backlog.append((level, wall_clock(), event, describe()))
        except MemoryError:
            self._lost += 1
            self.use_reserve()
        except BaseException:  # noqa: BLE001 - a module that cannot be loaded, say
            self._lost += 1
        self._pass_on()

    def tell_internal_error(self, error: BaseException) -> None:
        """Write that pyinit itself erred and goes on; each error once, and not endlessly many."""
        if isinstance(error, MemoryError):
            self.use_reserve()
        try:
            self._tell_error(repr(error))
        except BaseException:  # noqa: BLE001 - there is nobody left to tell
            self._lost += 1

    def _tell_error(self, text: str) -> None:
        # Apart: even to enter a function with a closure takes memory.
        if text not in self._errors and len(self._errors) < MOST_ERRORS:
            self._errors.add(text)
            self.tell(ERROR, "internal_error", lambda: {"error": text})

    def close(self) -> None:
        """Give the log a bounded time to write what it still holds."""
        self._pass_on()
        try:
            if self._log is not None:
                self._log.close()
        except BaseException:  # noqa: BLE001 - PID 1 leaves with the child's code, whatever happens
            self._lost += 1

    def _pass_on(self) -> None:
        if not self._opened:
            return
        try:
            self._tell_shortage()
            if not self.backlog and not self._lost:
                return
            if self._log is None:
                from pyinit.log import Log

                self._log = Log(self._format, self.use_reserve)
            self._log.add_dropped(self._lost)
            self._lost = 0
            while self.backlog:
                self._log.put(self.backlog[0])
                del self.backlog[0]
        except MemoryError:
            self.use_reserve()
            self._drop_oldest()
        except BaseException:  # noqa: BLE001 - no thread now; the next event tries again
            self._drop_oldest()

    def _tell_shortage(self) -> None:
        if self._reserve is not None or self._told_shortage or not self.wants(WARNING):
            return
        now = wall_clock()
        keys: Keys = {"reason": "memory ran out; from now on no more than warnings are told"}
        self.backlog.append((WARNING, now, "memory_short", keys))
        self._told_shortage = True

    def _drop_oldest(self) -> None:
        if len(self.backlog) > BACKLOG:
            del self.backlog[0]
            self._lost += 1
