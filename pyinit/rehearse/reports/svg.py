"""The timeline as a picture, for a pull request or a page, for light and dark themes.

It has its own background, and system fonts, whose width is not known, so it leaves room for wide
ones. Colours differ in lightness, and everything important also differs in shape.
"""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from pyinit.rehearse.errors import MissingLibraryError
from pyinit.rehearse.model import Run
from pyinit.rehearse.reports import facts
from pyinit.rehearse.reports.columns import cut, plain, safe, wrapped
from pyinit.rehearse.reports.timeline import (
    AGAIN,
    DRAIN,
    ENDED,
    FINE,
    KILL,
    ODD,
    STOP,
    Row,
    axis,
    bar,
    rows,
    seconds,
    verdict_tone,
)

WIDTH, MARGIN = 840, 24
ROW, BAR, LINE = 30, 10, 23  # heights
MONO, SANS, SMALL = 8.8, 9.1, 7.4  # pixels that a character takes at most, on average
HEAD_COLUMNS, TEXT_COLUMNS = 80, 94
WIDEST_LABEL, WIDEST_END, WIDEST_VERDICT = 24, 22, 14  # columns
INDENT, DEEPEST = 16, 5
TIME = 62  # pixels for a time before an ending
TICKS = 7
GAP = 14  # between two signs of a row
OVER = "grace period over"
BARS = {"before", "after"}
LEGEND = {
    STOP: "stop signal",
    AGAIN: "again",
    DRAIN: "SIGTERM (drain)",
    KILL: "SIGKILL",
    FINE: "ended",
    ODD: "failed",
    "before": "no signal seen",
    "after": "asked to stop",
}

# By class: the property, its colour on a light page, and its colour on a dark one.
COLOURS = {
    "paper": ("fill", "#ffffff", "#0d1117"),
    "ink": ("fill", "#1f2328", "#f0f6fc"),
    "muted": ("fill", "#59636e", "#9198a1"),
    "before": ("fill", "#c8d1da", "#4b535d"),
    "after": ("fill", "#4493f8", "#388bfd"),
    "fine": ("fill", "#1a7f37", "#4ac26b"),
    "odd": ("fill", "#9a6700", "#e3b341"),
    "bad": ("fill", "#b3162c", "#ff7b72"),
    "frame": ("stroke", "#d1d9e0", "#3d444d"),
    "grid": ("stroke", "#e4e9ee", "#262c36"),
    "guide": ("stroke", "#59636e", "#9198a1"),
    "over": ("stroke", "#b3162c", "#ff7b72"),
    "halo": ("stroke", "#ffffff", "#0d1117"),
    "cross": ("stroke", "#ffffff", "#0d1117"),
}
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif;
  font-size: 15px; font-variant-numeric: tabular-nums }
.mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 14.5px; white-space: pre }
.small { font-size: 14px } .large { font-size: 16px } .bold { font-weight: 600 }
.right { text-anchor: end } .middle { text-anchor: middle }
.frame, .grid, .guide, .over { fill: none } .over, .guide { stroke-dasharray: 4 3 }
.halo { stroke-width: 2 } .cross { stroke-width: 2.2; fill: none }
"""


def render(runs: Sequence[Run]) -> str:
    """Return the picture as an SVG document.

    Args:
        runs: at least one; several are drawn below one another, on one time axis.

    Raises:
        MissingLibraryError: drawsvg is not installed.
    """
    try:
        import drawsvg
    except ImportError:
        raise MissingLibraryError from None
    return _Picture(drawsvg, runs).document()


class _Picture:
    """A page that grows downwards; ``y`` is where it continues."""

    def __init__(self, draw: Any, runs: Sequence[Run]) -> None:  # noqa: ANN401 - it has no types
        self.draw, self.runs, self.axis = draw, runs, axis(runs)
        self.parts: list[Any] = []
        self.y = 38.0
        drawn = [row for run in runs for row in rows(run)]
        label = max((_indent(row) + MONO * len("".join(_label(row))) for row in drawn), default=0)
        end = max((TIME + SANS * len(_ending(row)) for row in drawn), default=0)
        self.left, self.right = MARGIN + label + 14, WIDTH - MARGIN - end - 16  # of the bars

    def document(self) -> str:
        """Draw all of it."""
        self.title()
        for run in self.runs:
            self.head(run)
            self.timeline(run)
        self.legend()
        height = round(self.y + 24)
        named = {"role": "img", "aria_labelledby": "rehearsal-title rehearsal-text"}
        page = self.draw.Drawing(WIDTH, height, **named)
        page.append_css(f"{STYLE}{_colours(dark=False)}")
        page.append_css(f"@media (prefers-color-scheme: dark) {{\n{_colours(dark=True)}}}\n")
        words = facts.command(self.runs[0], with_init=False)
        page.append_title(plain(f"A rehearsed stop of {words}"), id="rehearsal-title")
        told = [
            f"{facts.init(run)}: {facts.headline(run)}; {facts.outcome(run)}." for run in self.runs
        ]
        words = escape(plain(" ".join(told)))
        page.append(self.draw.Raw(f'<desc id="rehearsal-text">{words}</desc>'))
        for style in ("paper", "frame"):
            page.append(self.draw.Rectangle(0.5, 0.5, WIDTH - 1, height - 1, rx=8, class_=style))
        page.extend(self.parts)
        return str(page.as_svg())

    def text(self, words: str, x: float, style: str = "ink", y: float | None = None) -> None:
        """Write words at ``y``, or where the page continues."""
        at = self.y if y is None else y
        self.parts.append(self.draw.Text(plain(words), 15, round(x, 1), round(at, 1), class_=style))

    def box(self, style: str, x: float, middle: float, width: float, height: float) -> None:
        """Draw a filled rectangle, with rounder corners if it is high."""
        at = round(x, 1), round(middle - height / 2, 1)
        rx = min(width, height) / 2 if height > BAR else 2
        self.parts.append(self.draw.Rectangle(*at, round(width, 1), height, rx=rx, class_=style))

    def line(self, style: str, *points: float, close: bool = False) -> None:
        """Draw a line through points."""
        rounded = [round(point, 1) for point in points]
        self.parts.append(self.draw.Lines(*rounded, close=close, class_=style))

    def x(self, at: float) -> float:
        """Return the horizontal position of a time."""
        return self.left + self.axis.fraction(at) * (self.right - self.left)

    def title(self) -> None:
        """Write what was run and how it was stopped."""
        first, is_one = self.runs[0], len(self.runs) == 1
        words = facts.command(first, with_init=is_one)
        self.text(cut(f"$ {words}", HEAD_COLUMNS), MARGIN, "ink mono bold large")
        how = facts.circumstances(first) if is_one else facts.request(first)
        self.paragraph(how, "muted")

    def paragraph(self, words: str, style: str) -> None:
        """Write lines."""
        for line in wrapped(words, TEXT_COLUMNS):
            self.y += LINE
            self.text(line, MARGIN, style)

    def head(self, run: Run) -> None:
        """Write the verdict of a run, and its cause."""
        self.y += 44
        verdict = cut(safe(run.verdict), WIDEST_VERDICT)
        width = 10 * len(verdict) + 24
        self.box(verdict_tone(run), MARGIN, self.y - 5, width, 28)
        self.text(verdict, MARGIN + width / 2, "paper bold middle large")
        name = cut(facts.init(run), WIDEST_VERDICT)
        self.text(name, MARGIN + width + 14, "ink bold large")
        self.text(facts.outcome(run), WIDTH - MARGIN, "muted right")
        self.y += 4
        self.paragraph(safe(run.cause), "ink large")

    def timeline(self, run: Run) -> None:
        """Draw the processes of a run."""
        drawn = rows(run)
        top = self.y + 42
        bottom = top + ROW * len(drawn)
        for at, words in self.axis.ticks(TICKS):
            self.line("grid", self.x(at), top, self.x(at), bottom + 4)
            self.text(words, self.x(at), "muted small middle", bottom + 20)
        self.line("guide", self.x(0), top, self.x(0), bottom)
        words = cut(safe(run.signal), WIDEST_VERDICT)
        self.text(words, self.x(0) - 3, "muted small", top - 7)
        if run.grace <= self.axis.end:
            over = self.x(run.grace)
            self.line("over", over, top, over, bottom)
            if over - self.x(0) > SMALL * len(words + OVER):
                self.text(OVER, over + 3, "bad small right", top - 7)
        self.y = top
        for row in drawn:
            self.row(row)
        self.y = bottom + 22

    def row(self, row: Row) -> None:
        """Draw a process, with its command line in a tooltip."""
        page, self.parts = self.parts, [self.draw.Title(plain(row.command or row.name))]
        middle, base = self.y + ROW / 2, self.y + ROW / 2 + 5
        self.branches(row, middle)
        name, pid = _label(row)
        self.text(name, MARGIN + _indent(row), "ink mono", base)
        if pid:
            self.parts[-1].append(self.draw.TSpan(pid, class_="muted"))
        self.bar(row, middle)
        end = self.right + 16
        if row.ended is not None:
            self.text(seconds(row.ended), end + TIME - 10, "muted right", base)
        style = "ink" if row.tone == FINE else f"{row.tone} bold"
        self.text(_ending(row), end + TIME, style, base)
        page.append(self.draw.Group(self.parts))
        self.parts = page
        self.y += ROW

    def branches(self, row: Row, middle: float) -> None:
        """Draw its place in the tree of processes."""
        shown = row.branch[len(row.branch) - 2 * _depth(row) :]
        for n, branch in enumerate(shown[::2]):
            x, top, bottom = MARGIN + INDENT * n + 5, middle - ROW / 2, middle + ROW / 2
            if branch != " ":
                self.line("frame", x, top, x, middle if branch == "└" else bottom)
            if branch in "├└":
                self.line("frame", x, middle, x + INDENT - 9, middle)

    def bar(self, row: Row, middle: float) -> None:
        """Draw how long it ran, and the signals that it got."""
        found = bar(row, self.x, GAP, self.right)
        self.box("before", found.begin, middle, found.asked - found.begin, BAR)
        self.box("after", found.asked, middle, found.end - found.asked, BAR)
        for place, kind in found.signs:
            self.sign(row.tone if kind == ENDED else kind, place, middle)

    def sign(self, kind: str, x: float, y: float) -> None:
        """Draw the sign of a signal or of an end."""
        if kind == KILL:
            self.parts.append(self.draw.Circle(round(x, 1), y, 8, class_="bad halo"))
            self.line("cross", x - 3, y - 3, x + 3, y + 3)
            self.line("cross", x - 3, y + 3, x + 3, y - 3)
        elif kind == DRAIN:
            self.line("ink halo", x - 7, y, x, y - 7, x + 7, y, x, y + 7, close=True)
        elif kind == AGAIN:
            self.box("ink", x - 4, y, 3, 18)
            self.box("ink", x + 1, y, 3, 18)
        elif kind == STOP:
            self.box("ink", x - 1.5, y, 3, 18)
        else:
            self.parts.append(self.draw.Circle(round(x, 1), y, 6, class_=f"{kind} halo"))
            if kind != FINE:
                self.parts.append(self.draw.Circle(round(x, 1), y, 2.5, class_="paper"))

    def legend(self) -> None:
        """Explain the signs that were used."""
        drawn = [row for run in self.runs for row in rows(run)]
        used = {kind for row in drawn for _, kind in row.marks}
        used |= {row.tone for row in drawn if row.ended is not None}
        self.y += 38
        x: float = MARGIN
        for kind, words in LEGEND.items():
            if kind not in used | BARS:
                continue
            width = 24 + SMALL * len(words) + 14
            if x + width > WIDTH - MARGIN:
                x, self.y = MARGIN, self.y + LINE
            if kind in BARS:
                self.box(kind, x, self.y - 5, 18, BAR)
            else:
                self.sign(kind, x + 9, self.y - 5)
            self.text(words, x + 24, "muted small")
            x += width


def _depth(row: Row) -> int:
    return min(len(row.branch) // 2, DEEPEST)


def _indent(row: Row) -> int:
    return INDENT * _depth(row)


def _label(row: Row) -> tuple[str, str]:
    pid = "" if row.pid is None else f" {row.pid}"
    return cut(row.name, WIDEST_LABEL - len(pid)), pid


def _ending(row: Row) -> str:
    return cut(row.ending, WIDEST_END)


def _colours(*, dark: bool) -> str:
    return "".join(
        f".{style} {{ {what}: {colours[dark]} }}\n" for style, (what, *colours) in COLOURS.items()
    )
