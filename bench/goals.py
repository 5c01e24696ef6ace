"""The goals for speed and size, and whether the figures meet them."""

import dataclasses
from collections.abc import Callable

from bench import derived, names
from bench.figures import Figures
from bench.names import LAUNCHER, OPTIONS, PYINIT, TINI

NS_PER_MS, KB_PER_MB = 1_000_000, 1024
EARLY_MS = 2.0
FORK_MILLION = 1.0  # of instructions that are pyinit's own, before the fork
STORM, STOP_MS = 1.5, 20
LOG_MS, LOG_MB = 35, 5.5  # that the first line of the log may take, and add
LINEAR = 1.2  # times the cost of an orphan in the next smaller storm, for the largest one
MET, MISSED, NOT_MEASURED = "met", "not met", "not measured"


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """A figure that pyinit should reach.

    Attributes:
        figure: what is measured.
        target: the goal, in words.
        judge: returns what was measured, in words, and whether the goal is met.
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


def _start(figure: str, init: str, other: str, limit: float) -> Goal:
    return Goal(
        figure,
        f"at most {limit:.2f} x `{other}`",
        lambda figures: _at_most(limit, figures.ratio("start", init, other)),
    )


def _memory(figure: str, init: str, other: str, limit: float) -> Goal:
    return Goal(
        f"private memory at rest, {figure}",
        f"at most {limit:.2f} x `{other}`",
        lambda figures: _at_most(limit, figures.ratio("Private_Dirty", init, other, "rest")),
    )


def _forward(figure: str, percent: int, init: str, limit: float) -> Goal:
    def judge(figures: Figures) -> tuple[str, bool]:
        own, of_tini = (figures.quantile(percent, "forward", name) for name in (init, TINI))
        return _at_most(limit, own / of_tini)

    return Goal(figure, f"at most {limit:.2f} x tini", judge)


def _before_fork(figure: str, init: str) -> Goal:
    def judge(figures: Figures) -> tuple[str, bool]:
        own = derived.before_fork(figures, init) / 1e6
        return f"{own:.2f} million", own <= FORK_MILLION

    return Goal(figure, f"at most {FORK_MILLION:.1f} million", judge)


def _lost(figures: Figures, init: str, *, early: bool) -> tuple[int, int]:
    """Return how many signals were lost, and of how many, before 2 ms or from 2 ms on."""
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
    seen = f"{lost} of {sent} lost; tini: {of_tini} of {sent_to_tini}"
    return seen, lost * sent_to_tini <= of_tini * sent


def _sizes(figures: Figures, *, at_least: int) -> list[str]:
    sizes = figures.places("storm")
    if len(sizes) < at_least:
        raise LookupError
    return sizes


def _storm(figures: Figures) -> tuple[str, bool]:
    sizes = _sizes(figures, at_least=1)
    ratios = {count: figures.ratio("storm", PYINIT, TINI, count) for count in sizes}
    seen = ", ".join(f"{ratio:.2f} x at {int(count):,}" for count, ratio in ratios.items())
    return seen, max(ratios.values()) <= STORM


def _linear(figures: Figures) -> tuple[str, bool]:
    before, largest = _sizes(figures, at_least=2)[-2:]
    cost = {
        count: figures.median("storm", PYINIT, count) / int(count) for count in (before, largest)
    }
    growth = cost[largest] / cost[before]
    zombies = max(figures.all("zombies", PYINIT, largest))
    seen = f"{growth:.2f} x for each orphan of {int(largest):,} as for each of {int(before):,}"
    return f"{seen}; {zombies:.0f} zombies stay", growth <= LINEAR and zombies == 0


def _stop(figures: Figures) -> tuple[str, bool]:
    count = figures.places("finished")[-1]
    finished = round(min(figures.all("finished", PYINIT, count)))
    after = figures.median("gone", PYINIT, count) / NS_PER_MS
    seen = f"{finished:,} of {int(count):,} finish, exit {after:.1f} ms after the last"
    return seen, finished == int(count) and after <= STOP_MS


def _idle(figures: Figures) -> tuple[str, bool]:
    (seconds,) = figures.all("idle seconds", "")
    wakeups, ticks = (sum(figures.all(what, PYINIT)) for what in ("wakeups", "ticks"))
    seen = f"{wakeups:.0f} wake-ups, {ticks:.0f} ticks in {seconds:.0f} s"
    return seen, wakeups == 0 and ticks == 0


def _log_time(figures: Figures) -> tuple[str, bool]:
    times = {init: derived.first_line(figures, init) / NS_PER_MS for init in (PYINIT, LAUNCHER)}
    seen = ", ".join(f"`{init}` {time:.1f} ms" for init, time in times.items())
    return seen, max(times.values()) <= LOG_MS


def _log_memory(figures: Figures) -> tuple[str, bool]:
    added = {init: derived.log_memory(figures, init) / KB_PER_MB for init in (PYINIT, LAUNCHER)}
    seen = ", ".join(f"`{init}` {size:.1f} MB" for init, size in added.items())
    return seen, max(added.values()) <= LOG_MB


def _log_apart(figures: Figures) -> tuple[str, bool]:
    longest = max(figures.all("forward meanwhile", PYINIT)) / NS_PER_MS
    imported = figures.median("import", "structlog") / NS_PER_MS
    seen = f"longest {longest:.1f} ms; a Python that imports it: {imported:.0f} ms"
    return seen, longest <= imported / 4


def _of_python(label: str, *, launcher: float, p99: float) -> list[Goal]:
    """Return the goals that are the same for each interpreter, compared with its own floor."""

    def own(name: str) -> str:
        return names.labelled(name, label)

    plain = own("plain `pip install`")
    return [
        _start(own("start, launcher"), own(LAUNCHER), own("floor"), launcher),
        _start(f"start, {plain}", own(PYINIT), own("floor-site"), 1.10),
        _start(own("start, launcher with options"), own(OPTIONS), own("floor"), 1.20),
        _before_fork(own("own instructions before the fork, launcher"), own(LAUNCHER)),
        _forward(own("forward, p50"), 50, own(PYINIT), 1.10),
        _forward(own("forward, p99"), 99, own(PYINIT), p99),
        _memory(own("launcher"), own(LAUNCHER), own("bare"), 1.03),
        _memory(plain, own(PYINIT), own("bare-site"), 1.05),
    ]


def all_goals(figures: Figures) -> list[Goal]:
    """Return all goals; also those of a second interpreter, whether one was measured or not."""
    labels = {names.label_of(init) for _, init, _ in figures.samples} - {""}
    return [
        *_of_python("", launcher=1.15, p99=1.3),
        *GOALS,
        *(
            goal
            for label in sorted(labels) or [names.BESIDE]
            for goal in _of_python(label, launcher=1.20, p99=1.6)
        ),
    ]


GOALS = (
    Goal("blind window, launcher, SIGTERM at 2 ms and later", "none lost", _blind),
    Goal("blind window, launcher, SIGTERM at 0 to 1 ms", "no worse than tini", _blind_early),
    Goal("storm, CPU of the init", f"at most {STORM:.2f} x tini at each size", _storm),
    Goal("storm, growth", f"linear (each orphan at most {LINEAR} x), no zombie", _linear),
    Goal("stop, the most helpers", f"all finish; exit at most {STOP_MS} ms later", _stop),
    Goal("idle", "0 wake-ups, 0 CPU ticks", _idle),
    Goal("first log line, after the start of the workload", f"at most {LOG_MS} ms", _log_time),
    Goal("first log line, private memory it adds", f"at most {LOG_MB} MB", _log_memory),
    Goal("signals during the import of structlog", "at most a quarter of its time", _log_apart),
)
