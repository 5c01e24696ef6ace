"""Log lines without structlog, and what they have in common with those of structlog.

Loaded with the writer, before structlog: if that fails, it may be too late to load anything.
"""

import os
from time import gmtime, localtime, strftime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyinit.settings import Event

STDERR = 2
LEVEL_NAMES = ("error", "warning", "info", "debug")
LONGEST_VALUE = 1000


def plain_emitter(style: str, write: "Callable[[str], None]") -> "Callable[[Event], None]":
    """Return an emitter that does not need structlog; its lines have the same keys."""
    dump = _dump_json if style == "json" else _dump_console

    def emit(event: "Event") -> None:
        write(dump(event))

    return emit


def _dump_json(event: "Event") -> str:
    level, seconds, name, keys = event
    timestamp = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))
    fields = {**keys, "event": name, "level": LEVEL_NAMES[level], "timestamp": timestamp}
    try:
        from json import dumps

        return dumps(fields)
    except ImportError:
        return f"pyinit: {name} {fields!a}"


def _dump_console(event: "Event") -> str:
    level, seconds, name, keys = event
    pairs = " ".join(f"{key}={value!a}" for key, value in keys.items())
    text = shown(keys.get("message", f"{name} {pairs}"))
    return "\n".join([f"{clock(seconds)} [{LEVEL_NAMES[level]:7}] {text}", *unfolded(keys)])


def clock(seconds: float) -> str:
    """Return the local time, for a console."""
    return strftime("%H:%M:%S", localtime(seconds))


def wants_colour(descriptor: int) -> bool:
    """Tell whether a file is a terminal with colours, and the user has not refused them.

    NO_COLOR is the convention of no-color.org, and TERM=dumb that of terminfo.
    """
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return os.isatty(descriptor) and not is_plain


def shown(value: "Any") -> "Any":  # noqa: ANN401 - keys have values of any type
    """Return a value that cannot forge a line or move the cursor, such as a process name."""
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    text = value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "..."
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text


def unfolded(keys: "Mapping[str, Any]") -> list[str]:
    """Return the lines that a console shows below a message: stacks, and processes below.

    Each line is indented, so that none looks like an event.
    """
    lines = [f"    {shown(frame)}" for frame in keys.get("stack", ())]
    for each in keys.get("below", ()):
        lines.append(f"  {shown(_activity(each))}")
        lines += [f"    {shown(frame)}" for frame in each.get("stack", ())]
    for each in keys.get("processes", ()):
        lines.append(f"  {shown(_whence(each))}")
    return lines


def _activity(below: "Mapping[str, Any]") -> str:
    """Return what a process was doing."""
    from pyinit.later.proc import called
    from pyinit.later.waits import RUNS

    waits_for = below["waits_for"]
    does = "running" if waits_for == RUNS else f"in {waits_for}" if waits_for else below["state"]
    name = called(below["name"], below["pid"])
    return f"{name} is {does}" if does else name


def _whence(left: "Mapping[str, Any]") -> str:
    """Return the age of a process that was left behind, and where it comes from."""
    from pyinit.later.proc import called, quoted

    line = f"{called(left['name'], left['pid'])}: {left['seconds']:g} s old"
    if left["parent_pid"] is not None:
        return f"{line}, a child of {called(left['parent'], left['parent_pid'])}"
    leader = left["group_leader"] if left["group"] != left["pid"] else None
    of = f", in the process group of {quoted(leader)}" if leader is not None else ""
    return f"{line}, its parent has exited{of}"
