"""Show an inspected process: a sentence, a table, or JSON.

Without a library for tables: every image would have it, for a page that is rarely used
(docs/maintainers/internals.md has the figures).
"""

import json
import re
import textwrap
from dataclasses import dataclass

from pyinit.inspect import sentences
from pyinit.inspect.sentences import MEANINGS
from pyinit.later import plain, signal_state
from pyinit.before import names, usage
from pyinit.later.verdicts import (
    ALL,
    DELIVERED,
    DROPPED,
    HELD,
    IGNORED,
    TAKEN,
    Process,
    Thread,
    Verdict,
    default_action,
    judge,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyinit.before.cli import Inspection

WIDTH = 80
NUMBERED = 32  # from this number on, signals have no names of their own
REALTIME, LAST = names.REALTIME, names.number("RTMAX")
COLUMNS = (6, 15, 10, 26, 11, 11)  # their widths
BOLD, DIM, RED, GREEN = "1", "2", "31", "32"  # legible on light and dark: yellow is not
COLOURS = {DROPPED: RED, IGNORED: RED, HELD: RED, DELIVERED: GREEN, TAKEN: GREEN}
ESCAPE = re.compile(r"\033\[[\d;]+m")


@dataclass(frozen=True)
class Row:
    """What happens to one signal.

    Attributes:
        signum: the signal.
        here: the state of the signal in the process: pending, blocked, awaited, ignored, caught.
        is_partly_blocked: whether some threads block it and others do not.
        inside, outside: the verdict on a signal that is sent from there; None if it cannot be.
    """

    signum: int
    here: tuple[str, ...]
    is_partly_blocked: bool
    inside: Verdict | None
    outside: Verdict | None

    def is_like(self, other: "Row") -> bool:
        """Tell whether two signals without names of their own can share a line."""
        return (
            min(self.signum, other.signum) >= NUMBERED
            and (self.signum < REALTIME) == (other.signum < REALTIME)
            and (self.here, self.is_partly_blocked) == (other.here, other.is_partly_blocked)
            and (self.inside, self.outside) == (other.inside, other.outside)
        )


def show(wish: "Inspection") -> int:
    """Write what a process does with signals to stdout; return the exit code.

    Raises:
        InspectionError: the process cannot be inspected.
    """
    process = signal_state.look(wish.pid)
    children = signal_state.children(wish.pid)
    if wish.as_json:
        return usage.put(json.dumps(as_data(process, children)) + "\n")
    return usage.put(page(process, children, is_coloured=plain.wants_colour(usage.STDOUT)))


def page(process: Process, children: list[int], *, is_coloured: bool) -> str:
    """Return the page for people: at most 80 columns, a line for each signal."""
    rows = [_row(process, signum) for signum in ALL]
    colour = COLOURS.get(sentences.of_sigterm(process).word)
    parts = [
        [_paint(line, BOLD) for line in _wrap(_who(process))],
        [""],
        [_paint(line, BOLD, colour) for line in _wrap(sentences.sentence(process))],
        _wrap(sentences.advice(process, children)),
        ["", _paint(_line("", "signal", "default", "here", "inside", "outside"), BOLD)],
        [_draw(group) for group in _merged(rows)],
        [""],
        _legend(rows),
        _differences(process),
        *map(_wrap, sentences.notes(process)),
    ]
    text = "".join(f"{line}\n" for part in parts for line in part)
    return text if is_coloured else ESCAPE.sub("", text)


def as_data(process: Process, children: list[int]) -> dict[str, object]:
    """Return the same for programs."""
    return {
        "pid": process.pid,
        "namespace_pid": process.namespace_pid,
        "name": process.name,
        "state": process.state,
        "sentence": sentences.sentence(process),
        "advice": sentences.advice(process, children),
        "notes": sentences.notes(process),
        "children": children,
        "signals": [_signal_as_data(_row(process, signum)) for signum in ALL],
        "threads": [_thread_as_data(thread) for thread in process.living],
    }


def _signal_as_data(row: Row) -> dict[str, object]:
    states = ("pending", "blocked", "awaited", "ignored", "caught")
    return {
        "number": row.signum,
        "name": names.name(row.signum),
        "default": default_action(row.signum),
        **{state: state in row.here for state in states},
        "inside": row.inside.word if row.inside else None,
        "outside": row.outside.word if row.outside else None,
        "sure": all(verdict.is_sure for verdict in (row.inside, row.outside) if verdict),
    }


def _thread_as_data(thread: Thread) -> dict[str, object]:
    return {
        "tid": thread.tid,
        "pending": sorted(thread.pending),
        "blocked": sorted(thread.blocked),
        "awaited": None if thread.awaited is None else sorted(thread.awaited),
    }


def _row(process: Process, signum: int) -> Row:
    threads = process.living
    blocking = [signum in thread.blocked for thread in threads]
    pending = [process.pending, *(thread.pending for thread in threads)]
    states = {
        "pending": any(signum in each for each in pending),
        "blocked": any(blocking),
        "awaited": any(signum in (thread.awaited or ()) for thread in threads),
        "ignored": signum in process.ignored,
        "caught": signum in process.caught,
    }
    return Row(
        signum=signum,
        here=tuple(state for state, is_so in states.items() if is_so),
        is_partly_blocked=any(blocking) and not all(blocking),
        inside=judge(process, signum, inside=True),
        outside=judge(process, signum, inside=False),
    )


def _merged(rows: list[Row]) -> list[list[Row]]:
    """Group the signals that share a line."""
    groups: list[list[Row]] = []
    for row in rows:
        if groups and row.is_like(groups[-1][-1]):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _draw(group: list[Row]) -> str:
    first, last = group[0], group[-1]
    numbers = f"{first.signum}" if first is last else f"{first.signum}-{last.signum}"
    here = ", ".join(first.here)
    if first.is_partly_blocked:
        here = here.replace("blocked", "blocked*")
    here, *more = textwrap.wrap(here, COLUMNS[3] - 1) or [""]
    cells = (numbers, _names(first.signum, last.signum), _paint(default_action(first.signum), DIM))
    line = _line(*cells, here, *(_shown(first, each) for each in (first.inside, first.outside)))
    return "\n".join([line, *(_line("", "", "", rest) for rest in more)])


def _line(*cells: str) -> str:
    """Join cells, each as wide as its column; colours have no width."""
    filled = (
        cell + " " * (width - len(ESCAPE.sub("", cell)))
        for cell, width in zip(cells, COLUMNS, strict=False)
    )
    return "".join(filled).rstrip()


def _shown(row: Row, verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    text = verdict.word if verdict.is_sure else f"{verdict.word}?"
    is_default = verdict.word == IGNORED and "ignored" not in row.here
    return _paint(text, DIM if is_default else COLOURS.get(verdict.word))


def _paint(text: str, *styles: str | None) -> str:
    codes = ";".join(filter(None, styles))
    return f"\033[{codes}m{text}\033[0m" if codes else text


def _names(first: int, last: int) -> str:
    if first == last:
        return names.name(first)
    if first < REALTIME:
        return f"signal {first}, {last}"
    begin = names.name(first).removeprefix("SIG")
    end = "RTMAX" if last == LAST else f"+{last - REALTIME}"
    return f"{begin}..{end}"


def _who(process: Process) -> str:
    if process.is_machines_init:
        role = ", the init of this machine"
    elif not process.is_init:
        role = ""
    elif process.pid == 1:
        role = ", PID 1 of this PID namespace"
    else:
        role = ", PID 1 of a PID namespace below this one"
    count = len(process.living)
    threads = "1 thread" if count == 1 else f"{count} threads"
    return f"{process.name} ({process.pid}){role}: {process.state}, {threads}"


def _legend(rows: list[Row]) -> list[str]:
    verdicts = [verdict for row in rows for verdict in (row.inside, row.outside) if verdict]
    words = {verdict.word for verdict in verdicts}
    lines = [
        _paint(f"{word:<10}", COLOURS.get(word)) + f" {text}"
        for word, text in MEANINGS.items()
        if word in words
    ]
    if not all(verdict.is_sure for verdict in verdicts):
        lines.append(f"{'?':<10} something that matters cannot be seen from here")
    if any(row.is_partly_blocked for row in rows):
        lines.append(f"{'*':<10} blocked by some threads and not by others")
    return lines


def _differences(process: Process) -> list[str]:
    """Say what each thread does with signals, if threads differ."""
    alike: dict[tuple[object, ...], list[Thread]] = {}
    for thread in process.living:
        key = (thread.blocked, thread.pending, thread.awaited)
        alike.setdefault(key, []).append(thread)
    if len(alike) == 1:
        return []
    return [line for group in alike.values() for line in _wrap(_of_threads(group))]


def _of_threads(group: list[Thread]) -> str:
    first = group[0]
    others = f" and {len(group) - 1} more" if len(group) > 1 else ""
    said = [f"blocks {_some(first.blocked)}"]
    if first.awaited is None:
        said.append("may wait for signals")
    elif first.awaited:
        said.append(f"waits for {_some(first.awaited)}")
    if first.pending:
        said.append(f"has pending {_some(first.pending)}")
    return f"Thread {first.tid}{others}: {', '.join(said)}."


def _some(found: "Iterable[int]") -> str:
    """Name the signals, or those that are missing if that is shorter."""
    there = set(found)
    missing = set(ALL) - there
    if not there:
        return "nothing"
    if len(missing) < len(there):
        return f"all but {_named(missing)}" if missing else "all"
    return _named(there)


def _named(some: set[int]) -> str:
    return " ".join(names.name(signum).removeprefix("SIG") for signum in sorted(some))


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
