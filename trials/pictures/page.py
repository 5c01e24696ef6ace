"""A page that is drawn on, in the style of the rehearsals' pictures: light and dark, system fonts.

It is narrower than theirs, so that its text can be read on a phone, where a picture gets 400 px.
"""

from xml.sax.saxutils import escape

import drawsvg

from pyinit.rehearse.reports import svg

WIDTH, MARGIN, LINE = 640, 24, 22
PILL = 26  # height
Pair = tuple[float, float]

# As svg.COLOURS: what colour a class takes, and that on light and on dark.
COLOURS = {
    **svg.COLOURS,
    "child": ("fill", "#0969da", "#58a6ff"),
    "drain": ("fill", "#8250df", "#bc8cff"),
    "hook": ("fill", "#59636e", "#9198a1"),
    "empty": ("stroke", "#59636e", "#9198a1"),
    "lost": ("stroke", "#b3162c", "#ff7b72"),
    "arrow": ("stroke", "#59636e", "#9198a1"),
    "good": ("stroke", "#1a7f37", "#4ac26b"),
}
STYLE = f"""{svg.STYLE}.empty, .lost, .arrow, .good {{ fill: none }}
.lost {{ stroke-dasharray: 4 3 }} .arrow {{ stroke-width: 1.5 }} .good {{ stroke-width: 2 }}
"""


class Page:
    """A picture that grows downwards: ``y`` is where it goes on."""

    def __init__(self, name: str, title: str, description: str) -> None:
        """Begin at the top.

        Args:
            name: of its file.
            title: what is seen, in a line.
            description: the same for those who do not see it.
        """
        self.name, self.title, self.description = name, title, description
        self.parts: list[drawsvg.DrawingElement] = []
        self.y = 38.0

    def document(self) -> str:
        """Return the picture as an SVG document."""
        height = round(self.y + MARGIN)
        names = f"{self.name}-title", f"{self.name}-text"
        page = drawsvg.Drawing(WIDTH, height, role="img", aria_labelledby=" ".join(names))
        page.append_css(f"{STYLE}{_colours(dark=False)}")
        page.append_css(f"@media (prefers-color-scheme: dark) {{\n{_colours(dark=True)}}}\n")
        page.append_title(self.title, id=names[0])
        page.append(drawsvg.Raw(f'<desc id="{names[1]}">{escape(self.description)}</desc>'))
        for style in ("paper", "frame"):
            page.append(drawsvg.Rectangle(0.5, 0.5, WIDTH - 1, height - 1, rx=8, class_=style))
        page.extend(self.parts)
        return f"{page.as_svg()}\n"

    def text(self, words: str, x: float, style: str = "ink", y: float | None = None) -> None:
        """Write words at ``y``, or where the page goes on."""
        at = self.y if y is None else y
        self.parts.append(drawsvg.Text(words, 15, round(x, 1), round(at, 1), class_=style))

    def box(self, style: str, at: Pair, size: Pair, rx: float = 2) -> None:
        """Draw a rectangle with round corners; ``at`` is the upper left one."""
        numbers = (round(number, 1) for number in (*at, *size))
        self.parts.append(drawsvg.Rectangle(*numbers, rx=rx, class_=style))

    def line(self, style: str, *points: Pair) -> None:
        """Draw a line through points."""
        rounded = [round(number, 1) for point in points for number in point]
        self.parts.append(drawsvg.Lines(*rounded, class_=style))

    def pill(self, style: str, words: str, x: float) -> float:
        """Write words on a colour, and return where they end."""
        width = 10 * len(words) + 20
        self.box(style, (x, self.y - 18), (width, PILL), PILL / 2)
        self.text(words, x + width / 2, "paper bold middle")
        return x + width


def _colours(*, dark: bool) -> str:
    return "".join(
        f".{style} {{ {what}: {colours[dark]} }}\n" for style, (what, *colours) in COLOURS.items()
    )
