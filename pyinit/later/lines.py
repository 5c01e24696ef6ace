"""Turn events into lines with structlog; the only module that loads it."""

import os
import sys
import warnings
from datetime import UTC, datetime
from logging import DEBUG, ERROR, INFO, WARNING

warnings.simplefilter("ignore")  # PYTHONWARNINGS=error is meant for the workload

# structlog loads asyncio for loggers that PID 1 does not use: more than half of the time that it
# takes, and OpenSSL, whose settings, with libraries to load, may be in the workload's OPENSSL_CONF.
_nothing = type(sys)("asyncio")
_nothing.__getattr__ = lambda _: object  # type: ignore[method-assign]
sys.modules["asyncio"] = _nothing

import structlog

del sys.modules["asyncio"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

    from pyinit.settings import Event

LONGEST_VALUE = 1000
AMBIGUOUS = frozenset(" =\"'")
_FIRST = ("timestamp", "level", "logger", "event")
_STDLIB_LEVELS = (ERROR, WARNING, INFO, DEBUG)  # indexed by pyinit's levels


class _Line:
    """The file that structlog's logger writes to: one call is one line."""

    def __init__(self, write: "Callable[[str], None]") -> None:
        self._write = write

    def write(self, message: str) -> None:
        self._write(message.removesuffix("\n"))

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""


def structlog_emitter(style: str, write: "Callable[[str], None]") -> "Callable[[Event], None]":
    """Return what renders an event as JSON or for a console and writes it as one line.

    Args:
        style: ``console`` or ``json``.
        write: takes a finished line without its newline.
    """
    wrapped = structlog.wrap_logger(
        structlog.WriteLogger(_Line(write)),  # type: ignore[arg-type]
        processors=[structlog.processors.add_log_level, _order, _escape, *_renderers(style)],
        wrapper_class=structlog.make_filtering_bound_logger(DEBUG),
    )
    logger = wrapped.bind(logger="pyinit")

    def emit(event: "Event") -> None:
        level, seconds, name, keys = event
        timestamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        logger.log(_STDLIB_LEVELS[level], name, timestamp=timestamp, **keys)

    return emit


class _Quoted:
    """A text that a console shows between quotes; structlog does so by itself since 25.1."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return repr(self._text)


def _renderers(style: str) -> "list[Processor]":
    if style == "json":
        return [structlog.processors.JSONRenderer()]
    colors = os.isatty(2) and not os.environ.get("NO_COLOR")
    return [_quote, structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)]


def _order(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Put what every line has before what only some have."""
    return {**{key: event.pop(key) for key in _FIRST}, **event}


def _escape(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Make sure that no process can forge a line or move a cursor by how it is called."""
    for key, value in event.items():
        if isinstance(value, str):
            shown = value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "..."
            if not shown.isprintable():
                shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
            event[key] = shown
    return event


def _quote(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Make sure that what looks like another key in a value is seen to be none."""
    for key, value in event.items():
        if key not in _FIRST and isinstance(value, str) and AMBIGUOUS.intersection(value):
            event[key] = _Quoted(value)
    return event
