"""The events of pyinit, as docs/events.md describes them."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

Event = dict[str, object]
PAGE = Path(__file__).parents[2] / "docs" / "events.md"
COMMON = {"timestamp", "level", "logger", "event", "message"}
LOUD = {"error", "warning"}  # levels of events that have a message
# They depend on how a process ended, on -r, on memory, and on what pyinit found out.
OPTIONAL = {"code", "signal", "core_dumped", "oom_kills", "reason", "sent", "message"}
OPTIONAL |= {"waits_for", "stack", "no_stack", "below"}
TROUBLE = {
    "exec_failed",
    "forward_refused",
    "kill_refused",
    "nothing_to_drain",
    "subreaper_refused",
    "events_dropped",
    "memory_short",
    "structlog_unavailable",
    "internal_error",
}
LEVELS = ("error", "warning", "info", "debug")


def documented() -> dict[str, set[str]]:
    """Return the keys of each event that docs/events.md lists."""
    sections = re.split(r"^###? ", PAGE.read_text(), flags=re.MULTILINE)
    keys = {
        section.split("\n")[0]: {
            key
            for cell in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE)
            for key in re.findall(r"\w+", cell)
        }
        for section in sections
    }
    keys["forward_refused"] |= keys["signal_forwarded"]
    keys["signal_dropped"] = keys["signal_forwarded"] - {"sent", "target"}
    return keys


DOCUMENTED = documented()


def named(events: list[Event], *names: str) -> list[Event]:
    """Return the events of these names."""
    return [event for event in events if event["event"] in names]


def fate_code(event: Event) -> int:
    """Return the exit code of the process of an event, 128 + N if signal N killed it."""
    if "signal" in event:
        return 128 + number(str(event["signal"]))
    return int(str(event["code"]))


def number(name: str) -> int:
    """Return the number of a signal's name."""
    base, _, distance = name.partition("+")
    if name.startswith("signal "):
        return int(name[7:])
    return int(getattr(signal, base)) + int(distance or 0)


def form(event: Event, verbosity: int) -> Iterator[str]:
    """The keys are those of the page, the level was asked for, and nothing went wrong."""
    name = str(event.get("event"))
    wanted = DOCUMENTED.get(name, set()) | COMMON
    if not wanted - OPTIONAL <= set(event) <= wanted:
        yield f"keys of {event}, expected {sorted(wanted)}"
    elif ("message" in event) != (event["level"] in LOUD):
        yield f"a message is for warnings and errors: {event}"
    elif LEVELS.index(str(event["level"])) > verbosity:
        yield f"logged at verbosity {verbosity}: {event}"
    if name in TROUBLE:
        yield f"trouble: {event}"
