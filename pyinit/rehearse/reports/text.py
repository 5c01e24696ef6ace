"""The report for a terminal: 80 columns, one row for each process."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from pyinit.rehearse.model import Run
from pyinit.rehearse.reports import facts
from pyinit.rehearse.reports.columns import cut, plain, safe, wrapped
from pyinit.rehearse.reports.timeline import (
    AGAIN,
    BAD,
    DRAIN,
    ENDED,
    FINE,
    KILL,
    ODD,
    STOP,
    Axis,
    Row,
    axis,
    bar,
    rows,
    seconds,
    verdict_tone,
)

WIDTH = 80
WIDEST_LABEL, WIDEST_END = 24, 28
MOST_OUTPUT = 10  # lines
HEADING, VERDICT, LONGEST_SIGNAL = 8, 9, 12
TICKS = 5
SIGNS = {STOP: "S", AGAIN: "2", DRAIN: "D", KILL: "K", ENDED: "┥"}
LEGEND = {STOP: "stop signal", AGAIN: "again", DRAIN: "SIGTERM of the drain", KILL: "SIGKILL"}
TOGETHER = "\1"  # stands for a blank at which no line may break
BEFORE, AFTER, GRACE = "─", "━", "┊"  # asked to stop: before and after
BOLD, DIM, RED, GREEN, YELLOW, BLUE = "1", "2", "31", "32", "33", "34"
COLOURS = {FINE: GREEN, ODD: YELLOW, BAD: RED}
PAINTS = {BEFORE: DIM, AFTER: BLUE, GRACE: DIM, "K": f"{BOLD};{RED}"}


def render(runs: Sequence[Run], *, colour: bool = False) -> str:
    """Return the report in lines of at most 80 columns.

    Args:
        runs: at least one; the drawings of several share one time axis.
        colour: whether to use colours.
    """
    return plain("".join(f"{line}\n" for line in _Report(runs, colour=colour).lines()))


class _Report:
    def __init__(self, runs: Sequence[Run], *, colour: bool) -> None:
        self.runs, self.colour = runs, colour
        self.axis: Axis = axis(runs)
        drawn = [row for run in runs for row in rows(run)]
        self.label = max((min(len(_label(row)), WIDEST_LABEL) for row in drawn), default=0)
        self.end = max((min(len(_end(row)), WIDEST_END) for row in drawn), default=0)
        self.width = WIDTH - self.label - self.end - 2  # of the bars

    def lines(self) -> Iterator[str]:
        """Return all lines, still with fillers."""
        if len(self.runs) > 1:
            yield from self._comparison()
        for run in self.runs:
            yield from self._head(run)
            yield from self._drawing(run)
            yield ""
        yield from (self.paint(line, DIM) for line in self._legend())
        for run in self.runs:
            yield from self._details(run)

    def paint(self, text: str, colour: str) -> str:
        """Return a text in a colour, if colours are used."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour and colour else text

    def _comparison(self) -> Iterator[str]:
        width = min(max(len(facts.init(run)) for run in self.runs), WIDEST_LABEL)
        for run in self.runs:
            name = cut(facts.init(run), width).ljust(width)
            verdict = cut(safe(run.verdict), VERDICT).ljust(VERDICT)
            room = WIDTH - width - VERDICT - 4
            colour = COLOURS[verdict_tone(run)]
            yield f"{name}  {self.paint(verdict, colour)}  {cut(facts.outcome(run), room)}"
        yield ""

    def _head(self, run: Run) -> Iterator[str]:
        colour = f"{BOLD};{COLOURS[verdict_tone(run)]}"
        for line in wrapped(facts.headline(run), WIDTH):
            yield self.paint(line, colour)
        yield cut(f"$ {facts.command(run)}", WIDTH)
        for line in wrapped(f"{facts.circumstances(run)}; {facts.outcome(run)}", WIDTH):
            yield self.paint(line, DIM)
        yield ""

    def _drawing(self, run: Run) -> Iterator[str]:
        yield self.paint(self._above(run), DIM)
        for row in rows(run):
            bar = "".join(
                self.paint("".join(cells), colour)
                for colour, cells in groupby(self._bar(row, run), lambda cell: PAINTS.get(cell, ""))
            )
            end = self.paint(cut(_end(row), self.end), COLOURS[row.tone])
            yield f"{_label(row).ljust(self.label)} {bar} {end}"
        ruler, numbers = [BEFORE] * self.width, [" "] * (self.width + self.end)
        for at, text in self.axis.ticks(TICKS):
            ruler[self._column(at)] = "┬"
            _put(numbers, self._column(at) - len(text.removesuffix(" s")) // 2, text)
        for line in (ruler, numbers):
            yield self.paint(" " * (self.label + 1) + "".join(line).rstrip(), DIM)

    def _above(self, run: Run) -> str:
        """Return the line above the bars: the stop signal, and the end of the grace period."""
        line = [" "] * (self.label + 1 + self.width)
        shift = self.label + 1
        _put(line, self._column(0) + shift, f"┌ {cut(safe(run.signal), LONGEST_SIGNAL)}")
        if run.grace <= self.axis.end:
            over = "grace period over ┐"
            _put(line, self._column(run.grace) + shift - len(over) + 1, over)
        return "".join(line).rstrip()

    def _column(self, at: float) -> int:
        return round(self.axis.fraction(at) * (self.width - 1))

    def _bar(self, row: Row, run: Run) -> list[str]:
        cells = [" "] * self.width
        if run.grace <= self.axis.end:
            cells[self._column(run.grace)] = GRACE
        found = bar(row, self._column, 1, self.width - 1)
        for n in range(round(found.begin), round(found.end) + 1):
            cells[n] = BEFORE if n < found.asked else AFTER
        for place, kind in found.signs:
            cells[round(place)] = SIGNS[kind]
        return cells

    def _legend(self) -> list[str]:
        used = {kind for run in self.runs for row in rows(run) for _, kind in row.marks}
        signs = [f"{SIGNS[kind]} {LEGEND[kind]}" for kind in LEGEND if kind in used]
        signs += [f"{SIGNS[ENDED]} ended", f"{BEFORE} no signal seen", f"{AFTER} asked to stop"]
        lines = wrapped("   ".join(sign.replace(" ", TOGETHER) for sign in signs), WIDTH)
        return [line.replace(TOGETHER, " ") for line in lines]

    def _details(self, run: Run) -> Iterator[str]:
        found = facts.sections(run)
        if found:
            yield ""
        if found and len(self.runs) > 1:
            yield self.paint(cut(f"With {facts.init(run)}", WIDTH), BOLD)
        for heading, texts in found:
            shown = texts[-MOST_OUTPUT:] if heading == "output" else texts
            lines = [line for text in shown for line in wrapped(text, WIDTH - HEADING)]
            for n, line in enumerate(lines):
                yield self.paint(("" if n else heading).ljust(HEADING), BOLD) + line


def _label(row: Row) -> str:
    pid = "" if row.pid is None else f" {row.pid}"
    name = cut(row.name, WIDEST_LABEL - len(pid) - 2) + pid
    room = min(len(row.branch), WIDEST_LABEL - len(name))
    return row.branch[len(row.branch) - room :] + name


def _end(row: Row) -> str:
    time = "" if row.ended is None else f"{seconds(row.ended):>6} "
    return time + row.ending


def _put(line: list[str], place: int, text: str) -> None:
    """Write a text into a line, if there is room for it."""
    place = min(place, len(line) - len(text))
    if place >= 0 and not "".join(line[max(0, place - 1) : place + len(text) + 1]).strip():
        line[place : place + len(text)] = text
