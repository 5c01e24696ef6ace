"""What every drawing of runs consists of: rows of processes on one time axis."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from pyinit.before import names
from pyinit.rehearse import model
from pyinit.rehearse.model import CODE_OF_SIGNAL, Process, Run
from pyinit.rehearse.reports.columns import safe

MOST_ROWS = 20  # with more processes, those that are alike share a row
LEAD = 0.07  # the share of the axis before the stop signal
LEAST_SECONDS = 0.1  # that the axis shows
REACH = 0.6  # of the grace period: a run that takes longer has the end of that on the axis

STOP, AGAIN, DRAIN, KILL = KINDS = "stop", "again", "drain", "kill"  # of marks
ASKING = {STOP, AGAIN, DRAIN}
ENDED = "ended"
FINE, ODD, BAD = "fine", "odd", "bad"  # tones: how bad something is
TONES = (FINE, ODD, BAD)
KILLED = {
    model.KILLED_BY_INIT: "SIGKILL by {}",
    model.KILLED_BY_ENGINE: "SIGKILL by engine",
    model.KILLED_WITH_PID1: "killed with PID 1",
    model.KILLED_BY_ANOTHER: "SIGKILL from inside",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A process, or several that are alike, with all text safe to show.

    Attributes:
        name: its name.
        pid: None if there are several.
        branch: what is drawn before the name, to show its place in the tree of processes.
        began: when the first one began.
        ended: when the last one ended; None if the end of one was not seen.
        marks: when the first signal of each kind came, in order of time.
        ending: how it ended, in a few words.
        tone: one of TONES.
        command: its command line.
    """

    name: str
    pid: int | None
    branch: str
    began: float
    ended: float | None
    marks: list[tuple[float, str]]
    ending: str
    tone: str
    command: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The position of the bar of a row, in pixels or columns.

    Attributes:
        begin, end: of the whole bar.
        asked: the position of the first request to stop; ``end`` if there was none.
        signs: what to draw where: the kind of a mark, or ENDED.
    """

    begin: float
    asked: float
    end: float
    signs: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Axis:
    """The time that is drawn, from shortly before the stop signal to ``end``, in seconds."""

    end: float

    def fraction(self, at: float) -> float:
        """Return the position of a time, from 0 at the left end to 1 at the right end."""
        begin = -self.end * LEAD
        return min(1.0, max(0.0, (at - begin) / (self.end - begin)))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return 0 and at most so many round times after it, each with its label."""
        rough = self.end / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(n * power for n in (1, 2, 5, 10, 20) if n * power >= rough)
        times = [n * step for n in range(math.floor(self.end / step + 1e-9) + 1)]
        return [(at, f"{at:.10g}{' s' if at == times[-1] else ''}") for at in times]


def axis(runs: Sequence[Run]) -> Axis:
    """Return the axis on which all of the runs fit."""
    times = [LEAST_SECONDS, *(run.seconds for run in runs)]
    for run in runs:
        times += [each.ended or 0 for each in run.processes]
        times += [mark.at for each in run.processes for mark in each.marks]
        times += [run.load.ended or 0] if run.load else []
    end = max(times)
    return Axis(max([end, *(run.grace for run in runs if run.grace * REACH <= end)]))


def rows(run: Run) -> list[Row]:
    """Return the rows to draw: each process below its parent, and the client at the end."""
    tree = _Tree(run)
    for key in (id, tree.story, _name):
        found, left = tree.rows(key)
        if not left:
            break
    else:
        found.append(replace(_row(left, run), name=f"{len(left)} others", pid=None))
    if run.load:
        load, code = run.load, run.load.code
        how = "had to be killed" if code is None else f"code {code}"
        tone = BAD if code else FINE if code == 0 else ODD
        name = "(the load)"
        found.append(Row(name, None, "", load.began, load.ended, [], how, tone, safe(load.command)))
    return found


def bar(row: Row, place: Callable[[float], float], gap: float, last: float) -> Bar:
    """Return the bar of a row.

    Args:
        row: the row.
        place: returns the position of a time.
        gap: the least distance of two signs, so that both can be seen.
        last: the last position.
    """
    signs = [(place(at), kind) for at, kind in row.marks]
    end = last if row.ended is None else place(row.ended)
    if row.ended is not None and KILL not in dict(row.marks).values():
        signs.append((end, ENDED))
    for n in range(1, len(signs)):
        signs[n] = max(signs[n][0], signs[n - 1][0] + gap), signs[n][1]
    signs = [
        (min(at, last - gap * behind), kind)
        for behind, (at, kind) in zip(range(len(signs) - 1, -1, -1), signs, strict=True)
    ]
    places = [at for at, _ in signs]
    end = max([end, *places])
    asked = next((at for at, kind in signs if kind in ASKING), end)
    return Bar(min([place(row.began), end, *places]), asked, end, signs)


def seconds(time: float) -> str:
    """Return a time with three digits, in milliseconds if it is short."""
    if abs(time) < 0.0995:  # noqa: PLR2004 - less than 100 ms, once that is rounded
        return f"{time * 1000:.0f} ms"
    digits = next((n for n, limit in ((2, 9.995), (1, 99.95)) if abs(time) < limit), 0)
    return f"{time:.{digits}f} s"


def is_killed(process: Process) -> bool:
    """Tell whether SIGKILL ended it, whatever sent that."""
    return process.fate in KILLED


def verdict_tone(run: Run) -> str:
    """Return how bad the verdict is."""
    return {model.GRACEFUL: FINE, model.SLOW: ODD}.get(run.verdict, BAD)


def ending(process: Process, run: Run) -> str:
    """Return in a few words how it ended."""
    if process.fate in KILLED:
        return KILLED[process.fate].format(run.init)
    how = "ended" if process.ended is not None else "not seen to end"
    if process.code is not None:
        how = f"code {process.code}"
    elif process.signal is not None:
        how = f"by {process.signal}"
    return f"{how} (drain)" if process.fate == model.ASKED else how


class _Tree:
    """The processes that were running when the stop signal came, and those that began later."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._roots: list[Process] = []
        self._below: dict[int, list[Process]] = defaultdict(list)  # by id(), as below
        self._stories: dict[int, int] = {}
        drawn = [each for each in run.processes if each.ended is None or each.ended >= 0]
        drawn.sort(key=lambda each: (each.began, each.pid))
        known: dict[
            int, Process
        ] = {}  # only an older process can be a parent, so there is no circle
        for each in drawn:
            parent = known.get(each.parent)
            (self._below[id(parent)] if parent else self._roots).append(each)
            known[each.pid] = each
        numbers: dict[Hashable, int] = {}
        for each in reversed(drawn):
            below = sorted(map(self.story, self._below[id(each)]))
            kinds = [kind for _, kind in _marks([each])]
            story = (each.name, ending(each, run), each.is_left, *kinds, *below)
            self._stories[id(each)] = numbers.setdefault(story, len(numbers))

    def story(self, process: Process) -> int:
        """Return a number that is the same for processes that ended alike, with their children."""
        return self._stories[id(process)]

    def rows(self, key: Callable[[Process], Hashable]) -> tuple[list[Row], list[Process]]:
        """Return a row for those of one parent with the same key, and those without a row."""
        found: list[Row] = []
        left: list[Process] = []
        waiting = [(members, "", "") for members in _grouped(self._roots, key)[::-1]]
        while waiting:  # no recursion, because a chain of processes may be long
            members, branch, indent = waiting.pop()
            if len(found) < MOST_ROWS:
                found.append(replace(_row(members, self._run), branch=branch))
            else:
                left += members
            below = [child for each in members for child in self._below[id(each)]]
            for n, group in enumerate(_grouped(below, key)[::-1]):
                fork, line = ("├ ", "│ ") if n else ("└ ", "  ")
                waiting.append((group, indent + fork, indent + line))
        return found, left


def _grouped(processes: list[Process], key: Callable[[Process], Hashable]) -> list[list[Process]]:
    groups: dict[Hashable, list[Process]] = defaultdict(list)
    for each in processes:
        groups[key(each)].append(each)
    return list(groups.values())


def _name(process: Process) -> str:
    return process.name


def _row(members: list[Process], run: Run) -> Row:
    first, count = members[0], len(members)
    ends = [each.ended for each in members if each.ended is not None]
    return Row(
        name=safe(first.name) + (f" ×{count}" if count > 1 else ""),
        pid=first.pid if count == 1 else None,
        branch="",
        began=min(each.began for each in members),
        ended=max(ends) if len(ends) == count else None,
        marks=_marks(members),
        ending=safe(_ending(members, run)),
        tone=max((_tone(each, run) for each in members), key=TONES.index),
        command=safe(first.command),
    )


def _ending(members: list[Process], run: Run) -> str:
    told = {ending(each, run) for each in members}
    if len(told) == 1:
        return told.pop()
    killed = sum(map(is_killed, members))
    return f"{killed} of {len(members)} killed" if killed else "in several ways"


def _tone(process: Process, run: Run) -> str:
    if is_killed(process):
        return BAD
    codes = {None, 0, _code(run.signal), run.expected_code}
    is_fine = process.code in codes and process.signal in {None, run.signal, "SIGTERM"}
    return FINE if is_fine and process.ended is not None else ODD


@cache  # it is called for every process
def _code(name: str) -> int:
    """Return the exit code of a process that this signal killed."""
    try:
        return CODE_OF_SIGNAL + names.number(name)
    except ValueError:
        return 0


def _marks(members: list[Process]) -> list[tuple[float, str]]:
    found: dict[str, float] = {}
    for each in members:
        for at, kind in _marks_of(each):
            found[kind] = min(at, found.get(kind, at))
    kinds = sorted(found, key=lambda kind: (found[kind], KINDS.index(kind)))
    return [(found[kind], kind) for kind in kinds]


def _marks_of(process: Process) -> Iterator[tuple[float, str]]:
    is_stopped = is_shot = False
    asking = [mark for mark in process.marks if mark.signal != "SIGCONT"]
    for mark in sorted(asking, key=lambda mark: mark.at):
        if mark.signal == "SIGKILL":
            is_shot = True
            yield mark.at, KILL
        elif mark.by == "drain":
            yield mark.at, DRAIN
        else:
            yield mark.at, AGAIN if is_stopped else STOP
            is_stopped = True
    if is_killed(process) and not is_shot and process.ended is not None:
        yield process.ended, KILL  # by the kernel, or from inside
