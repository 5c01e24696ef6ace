"""The time that ``-k`` and ``-d`` may take, within the grace period of Docker and of Kubernetes.

The numbers are those of docs/graceful-shutdown.md and docs/kubernetes.md.
"""

from dataclasses import dataclass

from trials.pictures.page import LINE, MARGIN, WIDTH, Page

DOCKER, KUBERNETES = 10, 30  # seconds
DEFAULT_DRAIN = 5
BAR = 30  # height
END = 108  # what "30 s SIGKILL" may take beside the end of a bar
LATE = "At 10 s the kernel kills every process, and pyinit can log none of this."
DESCRIPTION = (
    "Four bars show how long each part of a stop may take. Docker sends SIGKILL 10 s after "
    "SIGTERM. pyinit -k 5 -d 3 fits: 5 s for the child and 3 s for the drain are 8 s. pyinit -k 8 "
    "does not: with the 5 s that -d takes by default it needs 13 s, and Docker's SIGKILL ends the "
    "drain. Kubernetes sends SIGKILL after 30 s, which include the preStop hook. pyinit -k 20 -d 8 "
    "fits. After a preStop hook of 5 s, pyinit -k 15 -d 8 fits."
)
LEGEND = (
    ("child", "child (your program): SIGTERM, then SIGKILL at the end of this time"),
    ("drain", "drain: the same for all processes that the child left behind"),
    ("empty", "spare: at least a second, in which pyinit exits"),
)


@dataclass(frozen=True)
class Stop:
    """How long the parts of a stop may take.

    Attributes:
        grace: from its beginning to the engine's SIGKILL.
        kill_after: what ``-k`` is.
        drain: what ``-d`` is; as a default it is not on the command line.
        hook: how long a preStop hook takes, before SIGTERM.
    """

    grace: int
    kill_after: int
    drain: int = DEFAULT_DRAIN
    hook: int = 0

    @property
    def end(self) -> int:
        """When pyinit has exited at the latest, if nothing stops it."""
        return self.hook + self.kill_after + self.drain

    @property
    def fits(self) -> bool:
        """Whether a second is left for pyinit's own exit."""
        return self.end + 1 <= self.grace

    @property
    def words(self) -> str:
        """The command line."""
        drain = "" if self.drain == DEFAULT_DRAIN else f" -d {self.drain}"
        return f"pyinit -k {self.kill_after}{drain}"

    @property
    def sum(self) -> str:
        """What it adds up to."""
        hook = f"{self.hook} + " if self.hook else ""
        default = " (default)" if self.drain == DEFAULT_DRAIN else ""
        return f"{hook}{self.kill_after} + {self.drain}{default} = {self.end} s"


STOPS = {
    "Docker: SIGKILL 10 s after SIGTERM": (
        Stop(DOCKER, kill_after=5, drain=3),
        Stop(DOCKER, kill_after=8),
    ),
    "Kubernetes: SIGKILL after 30 s, the preStop hook included": (
        Stop(KUBERNETES, kill_after=20, drain=8),
        Stop(KUBERNETES, kill_after=15, drain=8, hook=5),
    ),
}


def render() -> str:
    """Return the picture."""
    page = Page("budget", "How -k and -d fit into the grace period of a stop", DESCRIPTION)
    head = "Keep -k + -d at least a second below the grace period"
    page.text(head, MARGIN, "ink bold large")
    page.y += LINE + 2
    page.text("Each part ends earlier if its processes exit earlier.", MARGIN, "muted")
    for head, stops in STOPS.items():
        page.y += 42
        page.text(head, MARGIN, "ink bold large")
        room = WIDTH - 2 * MARGIN
        scale = min(
            room / max(stop.end for stop in stops), (room - END) / max(stop.grace for stop in stops)
        )
        for stop in stops:
            page.y += 38
            _Bar(page, stop, scale).draw()
    _legend(page)
    return page.document()


class _Bar:
    """The bar of a stop, with what is written above and below it."""

    def __init__(self, page: Page, stop: Stop, scale: float) -> None:
        self.page, self.stop, self.scale = page, stop, scale

    def draw(self) -> None:
        """Draw it where the page goes on."""
        page, stop = self.page, self.stop
        tone, verdict = ("fine", "fits") if stop.fits else ("bad", "too long")
        end = page.pill(tone, verdict, MARGIN)
        page.text(stop.words, end + 12, "ink mono bold")
        page.text(stop.sum, WIDTH - MARGIN, "muted right")
        page.y += 18
        child = stop.hook + stop.kill_after
        if stop.hook:
            self.part("hook", 0, stop.hook, "preStop")
        self.part("child", stop.hook, child, f"child, -k {stop.kill_after}")
        words = f"drain, -d {stop.drain}" if stop.fits else f"-d {stop.drain}"
        self.part("drain", child, min(stop.end, stop.grace), words)
        self.rest()
        self.ticks({stop.hook, child, min(stop.end, stop.grace), stop.grace})
        page.y += BAR + 20
        if not stop.fits:
            page.y += LINE
            page.text(LATE, MARGIN, "bad")

    def x(self, at: float) -> float:
        """Return where a time is."""
        return MARGIN + at * self.scale

    def part(self, style: str, begin: int, end: int, words: str, on: str = "paper bold") -> None:
        """Draw a part of the time."""
        left, width = self.x(begin) + 1, (end - begin) * self.scale - 2
        self.page.box(style, (left, self.page.y), (width, BAR), 3)
        middle = left + width / 2
        if words:
            self.page.text(words, middle, f"{on} middle small", self.page.y + BAR / 2 + 5)

    def rest(self) -> None:
        """Draw what is left of the grace period, or what it has no room for."""
        stop, wide = self.stop, 50
        if stop.end > stop.grace:
            self.part("lost", stop.grace, stop.end, "no time left", "bad bold")
        else:
            words = "spare" if (stop.grace - stop.end) * self.scale > wide else ""
            self.part("empty", stop.end, stop.grace, words, "muted")

    def ticks(self, times: set[int]) -> None:
        """Draw when the parts end, with the two signals of the engine."""
        page, stop = self.page, self.stop
        top, bottom = page.y - 6, page.y + BAR + 6
        base = bottom + 14
        for at in sorted(times - {stop.hook, stop.grace}):
            page.text(str(at), self.x(at), "muted small middle", base)
        page.box("ink", (self.x(stop.hook) - 1.5, top), (3, bottom - top), 1)
        anchor = "middle" if stop.hook else "left"
        page.text(f"{stop.hook} s SIGTERM", self.x(stop.hook), f"ink small {anchor}", base)
        page.box("bad", (self.x(stop.grace) - 1.5, top), (3, bottom - top), 1)
        page.text(f"{stop.grace} s SIGKILL", self.x(stop.grace) - 9, "bad small bold", base)


def _legend(page: Page) -> None:
    page.y += 22
    for style, words in LEGEND:
        page.y += LINE
        page.box(style, (MARGIN + 1, page.y - 11), (18, 11))
        page.text(words, MARGIN + 28, "muted small")
