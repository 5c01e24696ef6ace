"""The goals, and whether the figures meet them."""

import dataclasses
from collections.abc import Callable

from bench.figures import Figures

PYINIT, LAUNCHER, TINI = "pyinit", "pyinit-launcher", "tini"
NS_PER_MS = 1_000_000
EARLY_MS = 2.0
LINEAR = 1.2  # how much more an orphan may cost in the largest storm than in the one before
MET, MISSED, NOT_MEASURED = "met", "not met", "not measured"


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """One figure that is to be had.

    Attributes:
        figure: what is measured.
        target: what it is to be, in words.
        judge: returns what it is, in words, and whether that will do.
    """

    figure: str
    target: str
    judge: Callable[[Figures], tuple[str, bool]]


def verdict(goal: Goal, figures: Figures) -> tuple[str, str]:
    """Return what was measured, and `met`, `not met` or `not measured`."""
    try:
        seen, is_met = goal.judge(figures)
    except LookupError:
        return "", NOT_MEASURED
    return seen, MET if is_met else MISSED


def _at_most(limit: float, ratio: float) -> tuple[str, bool]:
    return f"{ratio:.2f} x", ratio <= limit


def _start(init: str, floor: str) -> Callable[[Figures], tuple[str, bool]]:
    return lambda figures: _at_most(1.15, figures.ratio("start", init, floor))


def _memory(init: str, bare: str) -> Callable[[Figures], tuple[str, bool]]:
    return lambda figures: _at_most(1.03, figures.ratio("Private_Dirty", init, bare, "rest"))


def _lost(figures: Figures, init: str, *, early: bool) -> tuple[int, int]:
    """Return how many signals were lost, of how many, before or since two milliseconds."""
    sent = [
        lost
        for delay in figures.places("lost")
        if (float(delay) < EARLY_MS) == early
        for lost in figures.all("lost", init, delay)
    ]
    if not sent:
        raise LookupError
    return round(sum(sent)), len(sent)


def _blind(figures: Figures) -> tuple[str, bool]:
    lost, sent = _lost(figures, LAUNCHER, early=False)
    return f"{lost} of {sent} lost", lost == 0


def _blind_early(figures: Figures) -> tuple[str, bool]:
    lost, sent = _lost(figures, LAUNCHER, early=True)
    of_tini, sent_to_tini = _lost(figures, TINI, early=True)
    seen = f"{lost} of {sent} lost, of tini's {of_tini} of {sent_to_tini}"
    return seen, lost * sent_to_tini <= of_tini * sent


def _forward(percent: int, limit: float) -> Callable[[Figures], tuple[str, bool]]:
    def judge(figures: Figures) -> tuple[str, bool]:
        own, of_tini = (figures.quantile(percent, "forward", name) for name in (PYINIT, TINI))
        return _at_most(limit, own / of_tini)

    return judge


def _sizes(figures: Figures, *, at_least: int) -> list[str]:
    sizes = figures.places("storm")
    if len(sizes) < at_least:
        raise LookupError
    return sizes


def _storm(figures: Figures) -> tuple[str, bool]:
    sizes = _sizes(figures, at_least=1)
    ratios = {count: figures.ratio("storm", PYINIT, TINI, count) for count in sizes}
    seen = ", ".join(f"{ratio:.2f} x at {int(count):,}" for count, ratio in ratios.items())
    return seen, max(ratios.values()) <= 1.5  # noqa: PLR2004 - the goal


def _linear(figures: Figures) -> tuple[str, bool]:
    before, largest = _sizes(figures, at_least=2)[-2:]
    cost = {
        count: figures.median("storm", PYINIT, count) / int(count) for count in (before, largest)
    }
    growth = cost[largest] / cost[before]
    zombies = max(figures.all("zombies", PYINIT, largest))
    seen = f"{growth:.2f} x an orphan at {int(largest):,} beside {int(before):,}"
    return f"{seen}, {zombies:.0f} zombies stay", growth <= LINEAR and zombies == 0


def _stop(figures: Figures) -> tuple[str, bool]:
    count = figures.places("finished")[-1]
    finished = round(min(figures.all("finished", PYINIT, count)))
    after = figures.median("gone", PYINIT, count) / NS_PER_MS
    seen = f"{finished:,} of {int(count):,}, gone {after:.1f} ms after the last"
    return seen, finished == int(count) and after <= 20  # noqa: PLR2004 - the goal


def _idle(figures: Figures) -> tuple[str, bool]:
    (seconds,) = figures.all("idle seconds", "")
    wakeups, ticks = (sum(figures.all(what, PYINIT)) for what in ("wakeups", "ticks"))
    seen = f"{wakeups:.0f} wake-ups, {ticks:.0f} ticks in {seconds:.0f} s"
    return seen, wakeups == 0 and ticks == 0


def _log(figures: Figures) -> tuple[str, bool]:
    cost = figures.median("first line", PYINIT) - figures.median("first with log", PYINIT)
    imported = figures.median("import", "structlog") - figures.median("start", "bare-site")
    return _at_most(1.25, cost / imported)


def _log_apart(figures: Figures) -> tuple[str, bool]:
    longest = max(figures.all("forward meanwhile", PYINIT)) / NS_PER_MS
    imported = figures.median("import", "structlog") / NS_PER_MS
    seen = f"longest {longest:.1f} ms, the import {imported:.0f} ms"
    return seen, longest <= imported / 4


GOALS = (
    Goal("start, launcher", "at most 1.15 x `floor`", _start(LAUNCHER, "floor")),
    Goal("start, plain `pip install`", "at most 1.15 x `floor-site`", _start(PYINIT, "floor-site")),
    Goal("blind window, launcher, SIGTERM at 2 ms and later", "none lost", _blind),
    Goal("blind window, launcher, SIGTERM at 0 to 1 ms", "no worse than tini", _blind_early),
    Goal("forward, p50", "at most 1.1 x tini", _forward(50, 1.1)),
    Goal("forward, p99", "at most 1.3 x tini", _forward(99, 1.3)),
    Goal("storm, CPU of the init", "at most 1.5 x tini", _storm),
    Goal("storm, growth", f"linear (an orphan at most {LINEAR} x), no zombie", _linear),
    Goal("stop, the most helpers", "all finish; gone at most 20 ms after the last", _stop),
    Goal("idle", "0 wake-ups, 0 CPU ticks", _idle),
    Goal("private dirty at rest, launcher", "at most 1.03 x `bare`", _memory(LAUNCHER, "bare")),
    Goal(
        "private dirty at rest, plain `pip install`",
        "at most 1.03 x `bare-site`",
        _memory(PYINIT, "bare-site"),
    ),
    Goal("first log line, after the start", "at most 1.25 x the import of structlog", _log),
    Goal("forwards during that import", "at most a quarter of it", _log_apart),
)
