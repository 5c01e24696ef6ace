"""The two pipes of a container: the output of the command, and the events of pyinit."""

import json
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pyinit.before import names
from pyinit.rehearse import leaks

MOST_LINES = 50  # of output that are kept
MOST_EVENTS = 10_000
# The keys of events that a rehearsal reads (docs/events.md), and those that an event must have.
TYPES = {
    "event": str,
    "pid": int,
    "code": int,
    "signal": str,
    "sent": str,
    "target": str,
    "reason": str,
    "killed": int,
}
SIGNALS = ("signal", "sent")
NEEDED = {
    "signal_forwarded": ("signal", "target"),
    "stop_escalated": ("signal", "target"),
    "kill_after_expired": ("target",),
    "drain_finished": ("killed",),
}
DEEPEST = 8  # of pyinit's: an event, a list, an object in it, and its stack
LONGEST_LINE = 65536
CHUNK = 65536


class Stream(ABC):
    """A pipe that is read line by line.

    Attributes:
        reader, writer: its ends.
        has_ended: whether nothing more can come.
    """

    def __init__(self) -> None:
        """Open the pipe."""
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        self.has_ended = False
        self._rest = b""

    def close_writer(self) -> None:
        """Close the writing end, once the container has inherited it."""
        os.close(self.writer)

    def close(self) -> None:
        """Close the reading end."""
        os.close(self.reader)

    def read(self) -> bool:
        """Read what is there; return False if nothing more can come."""
        try:
            part = os.read(self.reader, CHUNK)
        except BlockingIOError:
            return True
        self.has_ended = not part
        self.take(part)
        *lines, self._rest = (self._rest + part).split(b"\n")
        if self.has_ended or len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self.take_line(line.decode(errors="replace"))
        return not self.has_ended

    def take(self, part: bytes) -> None:  # noqa: B027 - most need only lines
        """Take bytes as they come."""

    @abstractmethod
    def take_line(self, line: str) -> None:
        """Take a line without its end."""


class Output(Stream):
    """The output of the command.

    Attributes:
        has_said: whether the text has come that shows that the command is ready.
    """

    def __init__(self, text: str, show: Callable[[str], None]) -> None:
        """Open the pipe; look for a text, and show every line."""
        super().__init__()
        self.has_said = False
        self._text = os.fsencode(text)
        self._last = b""
        self._show = show
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def lines(self) -> list[str]:
        """Return the last lines."""
        return [line for line in list(self._lines) if line]  # another thread adds to them

    def take(self, part: bytes) -> None:
        """Look for the text."""
        if self._text and not self.has_said:
            self.has_said = self._text in self._last + part
            self._last = (self._last + part)[-len(self._text) :]

    def take_line(self, line: str) -> None:
        """Keep the line, and show it."""
        self._lines.append(line)
        if line or not self.has_ended:
            self._show(line)


class Events(Stream):
    """The events of pyinit, and at the end what the stage prints.

    Attributes:
        facts: lines of the stage about what is left behind.
    """

    def __init__(self) -> None:
        """Open the pipe."""
        super().__init__()
        self.facts: list[str] | None = None
        self._events: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)  # the stop is the last
        self._others: deque[str] = deque(maxlen=MOST_LINES)

    def take_line(self, line: str) -> None:
        """Keep an event, a fact or another line."""
        if line == leaks.MARK:
            self.facts = []
        elif self.facts is not None:
            self.facts.append(line)
        elif line.startswith("{"):
            self._events += filter(None, [_event(line)])
        elif line:
            self._others.append(line)

    def complaint(self) -> str:
        """Return the error message of a program that failed; empty if there is none."""
        return " ".join(self._others)

    def placed(self, zero: float) -> list[dict[str, Any]]:
        """Return the events, each with ``at``: seconds after ``zero``, a time of the wall clock."""
        return [
            {**event, "at": datetime.fromisoformat(event["timestamp"]).timestamp() - zero}
            for event in self._events
        ]


def _event(line: str) -> dict[str, Any] | None:
    """Return an event of pyinit; None if the line is none.

    pyinit may have been killed in the middle of a line, and the program can write to the same pipe
    (/proc/1/fd/2), so an event counts only if it has the keys and types that a rehearsal reads.
    """
    try:
        event: dict[str, Any] = json.loads(line)
        datetime.fromisoformat(event["timestamp"]).timestamp()
        needed = ("event", *NEEDED.get(event["event"], ()))
        is_event = (
            all(key in event for key in needed)
            and all(type(event[key]) is TYPES[key] for key in TYPES if key in event)
            and all(names.number(event[key]) for key in SIGNALS if key in event)
            and _depth(event) <= DEEPEST
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return event if is_event else None


def _depth(value: object) -> int:
    """Return how deep lists and objects are nested."""
    if not isinstance(value, dict | list):
        return 0
    within = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, within), default=0)
