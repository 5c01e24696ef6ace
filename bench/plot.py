"""The figures as a picture: plain SVG, so that the same figures give the same few bytes.

Greys and colours are halfway between black and white, legible on light and on dark pages.
"""

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from bench.figures import Figures
from bench.names import OPTIONS, label_of

NS_PER_MS = 1_000_000
WIDTH, PANEL, HEIGHT, LABELS, LINE = 820, 410, 230, 110, 22
SMALL = 100  # below it, three digits
GREY = "#767676"
COLOURS = {
    "pyinit": "#2f7fd1",
    "pyinit-launcher": "#1f9e89",
    "tini": "#d9682b",
    "dumb-init": "#a86fb3",
    "catatonit": "#a58a1c",
}
STYLE = f"text{{font:12px sans-serif;fill:{GREY}}}.t{{font-weight:bold}}.n{{text-anchor:end}}"


def picture(figures: Figures) -> str:
    """Return an SVG document with all panels that have figures."""
    panels = [panel for draw in PANELS for panel in draw(figures)]
    rows = math.ceil(len(panels) / 2) or 1
    parts = [
        f'<g transform="translate({index % 2 * PANEL},{index // 2 * HEIGHT})">\n{panel}</g>\n'
        for index, panel in enumerate(panels)
    ]
    size = f'width="{WIDTH}" height="{rows * HEIGHT}" viewBox="0 0 {WIDTH} {rows * HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{STYLE}</style>\n'
    return f"{head}{''.join(parts)}</svg>\n"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{name}>{escape(text)}</text>\n'


def _number(value: float) -> str:
    return f"{value:.3g}" if value < SMALL else f"{value:,.0f}"


def _bars(title: str, values: dict[str, float]) -> list[str]:
    """Return a panel with a bar for each init, and its value at the end of the bar."""
    if not values:
        return []
    largest = max(values.values()) or 1
    lines = [_text(8, 18, title, "t")]
    for index, (init, value) in enumerate(values.items()):
        y = 30 + index * LINE
        width = value / largest * (PANEL - LABELS - 80)
        lines += [
            _text(LABELS, y + 13, init, "n"),
            (
                f'<rect x="{LABELS + 6}" y="{y + 1}" width="{width:.1f}" height="16" '
                f'fill="{COLOURS.get(init, GREY)}"/>\n'
            ),
            _text(LABELS + 12 + width, y + 13, _number(value)),
        ]
    return ["".join(lines)]


def _medians(title: str, what: str, unit: float, at: str = "") -> "Panel":
    def draw(figures: Figures) -> list[str]:
        known = [
            init
            for init in figures.inits(what)
            if (what, init, at) in figures.samples and not _only_in_tables(init)
        ]
        return _bars(title, {init: figures.median(what, init, at) / unit for init in known})

    return draw


def _only_in_tables(init: str) -> bool:
    """Tell whether a row is left out of the picture, which would be crowded with it."""
    return init == OPTIONS or bool(label_of(init))


def _curves(
    title: str, places: Sequence[str], ends: tuple[str, str], curves: dict[str, list[float]]
) -> list[str]:
    """Return a panel with a curve for each init; heights are from 0, the bottom, to 1."""
    if not curves or len(places) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    left, right, top, bottom = 50, PANEL - 110, 34, HEIGHT - 40
    step = (right - left) / (len(places) - 1)
    lines = [
        _text(8, 18, title, "t"),
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{GREY}"/>\n',
        _text(left - 5, top + 5, ends[1], "n"),
        _text(left - 5, bottom, ends[0], "n"),
    ]
    lines += [_text(left + i * step - 6, bottom + 16, place) for i, place in enumerate(places)]
    for number, (init, heights) in enumerate(curves.items()):
        colour = COLOURS.get(init, GREY)
        points = " ".join(
            f"{left + i * step:.1f},{bottom - height * (bottom - top):.1f}"
            for i, height in enumerate(heights)
        )
        y = top + 8 + number * LINE
        lines += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>\n',
            f'<rect x="{right + 10}" y="{y - 6}" width="12" height="4" fill="{colour}"/>\n',
            _text(right + 26, y, init),
        ]
    return ["".join(lines)]


def _blind(figures: Figures) -> list[str]:
    places = figures.places("lost")
    shares: dict[str, list[float]] = {}
    for init in figures.inits("lost"):
        sent = [figures.all("lost", init, place) for place in places]
        if all(sent):
            shares[init] = [sum(lost) / len(lost) for lost in sent]
    return _curves("SIGTERM lost, by ms after the exec", places, ("0 %", "100 %"), shares)


def _storm(figures: Figures) -> list[str]:
    """Return the panel with two logarithmic axes: linear growth is a straight line."""
    places = figures.places("storm")
    cpu = {
        init: [math.log10(max(1, figures.median("storm", init, place))) for place in places]
        for init in figures.inits("storm")
    }
    values = [value for curve in cpu.values() for value in curve]
    if not values:
        return []
    low, high = math.floor(min(values)), math.ceil(max(values))
    curves = {
        init: [(value - low) / (high - low) for value in curve] for init, curve in cpu.items()
    }
    ends = (f"{10 ** (low - 9):g} s", f"{10 ** (high - 9):g} s")
    return _curves("CPU time of the init, by number of orphans", places, ends, curves)


def _finished(figures: Figures) -> list[str]:
    places = figures.places("finished")
    if not places:
        return []
    title = f"helpers that finish, of {int(places[-1]):,}"
    return _medians(title, "finished", 1, places[-1])(figures)


Panel = Callable[[Figures], list[str]]
PANELS: tuple[Panel, ...] = (
    _medians("time until your program starts, ms", "start", NS_PER_MS),
    _blind,
    _finished,
    _storm,
    _medians("private memory, kB", "Private_Dirty", 1, "rest"),
    _medians("time to forward a signal (p50), µs", "forward", 1000),
)
