"""Pass events on to the log, which loads when the first one is to be written."""

from time import time as wall_clock  # a builtin module; only events' timestamps come from it

from pyinit.settings import ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.log import Log
    from pyinit.settings import Settings

    Event = tuple[int, float, str, dict[str, object]]

BACKLOG = 256


class Report:
    """What PID 1 tells of. After the child runs it neither raises nor blocks.

    Nothing is loaded before :meth:`open`: what is told until then waits.
    """

    __slots__ = ("_backlog", "_format", "_log", "_lost", "_opened", "_verbosity")

    def __init__(self, settings: "Settings") -> None:
        """Remember how much to tell, and in which format."""
        self._verbosity = settings.verbosity
        self._format = settings.log_format
        self._backlog: list[Event] = []
        self._lost = 0
        self._opened = False
        self._log: Log | None = None

    def wants(self, level: int) -> bool:
        """Tell whether events of ``level`` are written: gathering their keys may cost."""
        return level <= self._verbosity

    def open(self) -> None:
        """Write what was told until now, and from now on at once: the child runs."""
        self._opened = True
        self._pass_on()

    def tell(self, level: int, event: str, **keys: object) -> None:
        """Write one event with its keys, where the verbosity asks for its level."""
        if self.wants(level):
            self._backlog.append((level, wall_clock(), event, keys))
            self._pass_on()

    def tell_internal_error(self, error: Exception) -> None:
        """Write that pyinit itself erred, in a way that it survived."""
        self.tell(ERROR, "internal_error", error=repr(error))

    def close(self) -> None:
        """Give the log a bounded time to write what it still holds."""
        self._pass_on()
        try:
            if self._log is not None:
                self._log.close()
        except Exception:  # noqa: BLE001 - PID 1 leaves with the child's code, whatever happens
            pass

    def _pass_on(self) -> None:
        if not self._opened or not self._backlog:
            return
        try:
            if self._log is None:
                from pyinit.log import Log

                self._log = Log(self._format, self._lost)
            while self._backlog:
                self._log.put(self._backlog.pop(0))
        except Exception:  # noqa: BLE001 - no thread or no memory now; the next event tries again
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        if len(self._backlog) > BACKLOG:
            del self._backlog[0]
            self._lost += 1
