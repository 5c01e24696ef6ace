"""Write events to stderr, one line each, from a thread, so that the loop never waits.

Loaded at the first event. The thread loads structlog (docs/performance.md says how long that takes)
and writes; the loop only puts events into a queue. So neither the import nor a reader that does not
read delays a signal. SIGPIPE or SIGXFSZ of a write goes to the thread that writes (POSIX), so the
loop does not forward it.
"""

import os
import sys
from _thread import allocate_lock, start_new_thread
from collections import deque
from select import POLLOUT, poll
from threading import Event as Flag

from pyinit.later.plain import STDERR, plain_emitter
from pyinit.settings import WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyinit.settings import Event

QUEUE_LIMIT = 4096
CROWDED = 256  # more than come while structlog is loaded: short runs stay in order
LOADING_SECONDS = 5.0
FLUSH_SECONDS = 0.6  # for the whole queue
LAST_URGENT = 16
LAST_SECONDS = 0.4  # for warnings, the number of dropped events and the last event
SWITCH_SECONDS = 0.0005
ATTEMPTS = 20  # if poll says ready but a write fails: other processes write to it as well
ROOM = 1 << 20  # bytes of memory that the loop needs


class Queue:
    """Events on their way from the loop to the thread; the loop never waits here.

    They come in order, with two exceptions if the reader of stderr is slow: warnings and errors
    overtake many other events, and the older half of a full queue is dropped, except these.

    Attributes:
        dropped: how many events were dropped.
    """

    def __init__(self) -> None:
        """Begin with an empty queue."""
        self.dropped = 0
        self._closed = False
        self._waiting: deque[Event] = deque()
        self._urgent: deque[Event] = deque()
        self._more = allocate_lock()  # held while there is nothing to take
        self._more.acquire()
        self._hands = allocate_lock()  # held to take events; adding needs no lock

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self._urgent) + len(self._waiting)

    def put(self, event: "Event") -> None:
        """Add an event."""
        is_passing = _is_urgent(event) and len(self._waiting) >= CROWDED
        events = self._urgent if is_passing else self._waiting
        if len(events) >= QUEUE_LIMIT:
            self._drop_half(events)
        events.append(event)
        self._wake()

    def take(self) -> "Event | None":
        """Wait for the next event and return it; None if the queue is closed and empty."""
        while True:
            with self._hands:
                is_last = self._closed  # read first: nothing is added after it is set
                events = self._urgent or self._waiting
                if events:
                    return events.popleft()
            if is_last:
                return None
            self._more.acquire()

    def close(self) -> None:
        """End the thread after the last event."""
        self._closed = True
        self._wake()

    def drop_all_but_last(self) -> None:
        """Keep the last event and the last urgent ones, the newest first."""
        with self._hands:  # or the thread might see both queues empty and end
            kept = self._take_last(self._waiting, 1)
            self._drop(self._waiting, len(self._waiting))
            kept += self._take_last(self._urgent, LAST_URGENT)
            self._drop(self._urgent, len(self._urgent))
            kept.sort(key=lambda event: -event[1])
            self._urgent.extend(kept)
        self._wake()

    def _take_last(self, events: "deque[Event]", most: int) -> "list[Event]":
        taken: list[Event] = []
        try:
            while len(taken) < most:
                taken.append(events.pop())
        except IndexError:
            pass
        return taken

    def _wake(self) -> None:
        if self._more.locked():  # only the thread locks it
            self._more.release()

    def _drop_half(self, events: "deque[Event]") -> None:
        # Half, so that the number of dropped events is logged rarely, not after each line.
        self._drop(events, QUEUE_LIMIT // 2)

    def _drop(self, events: "deque[Event]", count: int) -> None:
        for _ in range(count):
            try:
                event = events.popleft()
            except IndexError:  # the thread has taken the rest
                return
            if _is_urgent(event) and events is not self._urgent:
                self._urgent.append(event)
            else:
                self.dropped += 1


def _is_urgent(event: "Event") -> bool:
    """Tell whether an event is a warning or an error, except one orphan of many (``-w``)."""
    level, _, name, _ = event
    return level <= WARNING and name != "orphan_reaped"


class Writer:
    """A bounded queue of events, and the thread that writes them."""

    def __init__(self, style: str, when_short: "Callable[[], None] | None" = None) -> None:
        """Start the thread.

        Args:
            style: ``auto``, ``console`` or ``json``.
            when_short: called if the import has left too little memory for the loop.

        Raises:
            RuntimeError: the system cannot start another thread.
        """
        self._style = style
        self._when_short = when_short
        self._queue = Queue()
        self._lost = 0  # counted by the loop
        self._failed = 0  # counted by the thread; two counters need no lock
        self._dropped = 0  # at the last look
        self._told = 0
        self._loaded = Flag()
        self._finished = Flag()
        # The loop must get the GIL back 10 times faster than with CPython's default.
        sys.setswitchinterval(SWITCH_SECONDS)
        # Not threading.Thread: its start() waits for the thread, which may fail before it begins.
        start_new_thread(self._run, ())

    def put(self, event: "Event") -> None:
        """Add one event to the queue."""
        self._queue.put(event)

    def add_dropped(self, count: int) -> None:
        """Count events that were lost before the queue."""
        self._lost += count

    def close(self) -> None:
        """Wait until the queue is written, but not for ever: the reader may not read.

        Waits at most LOADING_SECONDS while structlog is loaded, then FLUSH_SECONDS. If that is not
        enough, warnings and the last event get LAST_SECONDS more.
        """
        self._queue.close()
        self._loaded.wait(LOADING_SECONDS)
        if not self._finished.wait(FLUSH_SECONDS):
            self._queue.drop_all_but_last()
            self._finished.wait(LAST_SECONDS)

    def _run(self) -> None:
        try:
            self._write_all()
        except BaseException:  # noqa: BLE001 - out of memory, for example; a traceback would not help
            self._failed += 1
        finally:
            self._loaded.set()
            self._finished.set()

    def _write_all(self) -> None:
        try:
            emit, trouble = load_emitter(self._style, write_line)
        finally:
            self._leave_room()
        self._loaded.set()
        now = 0.0
        while (event := self._queue.take()) is not None:
            now = event[1]
            if trouble is not None:
                self._emit(emit, (WARNING, now, "structlog_unavailable", {"error": repr(trouble)}))
                trouble = None
            self._emit(emit, event)
            if self._has_dropped_more() or not self._queue:
                self._tell_dropped(emit, now)
        self._tell_dropped(emit, now)

    def _leave_room(self) -> None:
        try:
            bytes(ROOM)
        except MemoryError:
            if self._when_short is not None:
                self._when_short()

    def _emit(self, emit: "Callable[[Event], None]", event: "Event") -> bool:
        try:
            emit(event)
        except Exception:  # noqa: BLE001 - a closed stderr or a full disk must not end PID 1
            self._failed += 1
            return False
        return True

    def _has_dropped_more(self) -> bool:
        """Tell whether a full queue has dropped events since the last call."""
        before, self._dropped = self._dropped, self._queue.dropped + self._lost
        return self._dropped != before

    def _tell_dropped(self, emit: "Callable[[Event], None]", now: float) -> None:
        count = self._queue.dropped + self._lost + self._failed - self._told
        if count == 0:
            return
        if self._emit(emit, (WARNING, now, "events_dropped", {"count": count})):
            self._told += count
        else:
            self._failed -= 1  # this event itself does not count


def load_emitter(
    style: str, write: "Callable[[str], None]"
) -> "tuple[Callable[[Event], None], BaseException | None]":
    """Return a function that writes one event, and the error if structlog cannot be loaded.

    Args:
        style: ``auto``, ``console`` or ``json``.
        write: takes a finished line without its newline.
    """
    if style == "auto":
        style = "console" if os.isatty(STDERR) else "json"
    trouble: BaseException | None = None
    try:
        from pyinit.later.lines import structlog_emitter

        emit = structlog_emitter(style, write)
    except BaseException as error:  # noqa: BLE001 - a broken installation may raise anything
        emit, trouble = plain_emitter(style, write), error
    return lambda event: emit(in_words(event)), trouble


def in_words(event: "Event") -> "Event":
    """Add a message to a warning or an error."""
    level, seconds, name, keys = event
    if level > WARNING:
        return event
    try:
        from pyinit.later import messages

        return level, seconds, name, {"message": messages.of(name, keys), **keys}
    except Exception:  # noqa: BLE001 - the module may be gone; the keys say the same
        return event


def write_line(line: str) -> None:
    """Write ``line`` and a newline to stderr; wait as long as that takes.

    Raises:
        OSError: stderr is closed, its disk is full, its reader or its terminal is gone, or writes
            fail although poll says that it is ready.
    """
    data = (line + "\n").encode("utf-8", "backslashreplace")
    attempts = 0
    while data:
        try:
            data = data[os.write(STDERR, data) :]
        except BlockingIOError:  # the workload made the shared descriptor non-blocking
            attempts += 1
            if attempts > ATTEMPTS:
                raise
            ready = poll()
            ready.register(STDERR, POLLOUT)
            ready.poll()
