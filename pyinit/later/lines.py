"""Turn events into lines with structlog. Only this module loads it."""

import sys
import warnings
from datetime import UTC, datetime
from logging import DEBUG, ERROR, INFO, WARNING

warnings.simplefilter("ignore")  # PYTHONWARNINGS=error is meant for the workload

# structlog loads asyncio for loggers that pyinit does not use. That takes more than half of the
# time, and loads OpenSSL, which may load more libraries because of the workload's OPENSSL_CONF.
_nothing = type(sys)("asyncio")
_nothing.__getattr__ = lambda _: object  # type: ignore[method-assign]
# It loads these as well, if the image has them, for tracebacks, colours on Windows and loggers that
# pyinit does not use: rich alone doubles the time and the memory.
_unused = dict.fromkeys(("better_exceptions", "colorama", "greenlet", "rich", "twisted", "zope"))
sys.modules.update(_unused, asyncio=_nothing)  # type: ignore[arg-type]

import structlog

for _name in ("asyncio", *_unused):
    del sys.modules[_name]

from pyinit.later.plain import LEVEL_NAMES, STDERR, clock, shown, unfolded, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

    from pyinit.settings import Event

AMBIGUOUS = frozenset(" =\"'")
EVENT_WIDTH = 16  # names of events are padded to this width on a console
_FIRST = ("timestamp", "level", "logger", "event", "message")
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
    """Return a function that writes an event as one line, as JSON or for a console.

    Args:
        style: ``console`` or ``json``.
        write: takes a finished line without its newline.
    """
    is_json = style == "json"
    logger = structlog.wrap_logger(
        structlog.WriteLogger(_Line(write)),  # type: ignore[arg-type]
        processors=[
            structlog.processors.add_log_level,
            _order,
            _escape,
            *([structlog.processors.JSONRenderer()] if is_json else [_quote, _say, _console()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(DEBUG),
    )
    if is_json:
        logger = logger.bind(logger="pyinit")

    def emit(event: "Event") -> None:
        level, seconds, name, keys = event
        timestamp = _utc(seconds) if is_json else clock(seconds)
        logger.log(_STDLIB_LEVELS[level], name, timestamp=timestamp, **keys)

    return emit


class _Quoted:
    """A text that a console shows in quotes; structlog adds them only since 25.1."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return repr(self._text)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _console() -> "Processor":
    colors = wants_colour(STDERR)
    styles = structlog.dev.ConsoleRenderer.get_default_level_styles(colors)
    return structlog.dev.ConsoleRenderer(
        EVENT_WIDTH,  # by position: the name of the parameter depends on structlog's version
        colors=colors,
        level_styles={level: styles[level] for level in LEVEL_NAMES},  # set the width of the column
        sort_keys=False,
    )


def _order(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Put the keys that every line has first."""
    return {**{key: event.pop(key) for key in _FIRST if key in event}, **event}


def _escape(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Make sure that the name of a process cannot forge a line or move the cursor."""
    return {key: shown(value) for key, value in event.items()}


def _quote(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Quote a value that contains something like another key."""
    for key, value in event.items():
        if key not in _FIRST and isinstance(value, str) and AMBIGUOUS.intersection(value):
            event[key] = _Quoted(value)
    return event


def _say(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Show the message in place of the keys that it is made of, and stacks below it."""
    if "message" not in event:
        return event
    said = {"timestamp": event["timestamp"], "level": event["level"], "event": event["message"]}
    lines = unfolded(event)
    return {**said, "stack": "\n".join(lines)} if lines else said
