"""The figures as Markdown."""

from collections.abc import Callable, Iterable

from bench import cells, derived
from bench.cells import Cell
from bench.figures import Figures
from bench.goals import all_goals, verdict
from bench.inits import MEANING
from bench.names import label_of, labelled

NS_PER_MS, NS_PER_US = 1_000_000, 1000


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [tuple(headings), *map(tuple, rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def goals(figures: Figures) -> str:
    """Return every goal with what was measured."""
    rows = [(goal.figure, goal.target, *verdict(goal, figures)) for goal in all_goals(figures)]
    return table(("figure", "goal", "measured", ""), rows)


def all_tables(figures: Figures) -> list[tuple[str, str]]:
    """Return the tables of what was measured, each below the sentence that explains it."""
    return [
        (sentence, _by_init(figures, what, columns(figures)))
        for what, sentence, columns in TABLES
        if figures.inits(what)
    ]


def names(figures: Figures) -> str:
    """Return what the names stand for that are no program's."""
    measured = dict.fromkeys(init for _, init, _ in figures.samples)
    lines = [f"- `{name}`: {MEANING[name]}" for name in measured if name in MEANING]
    lines += [
        f"- `{labelled('…', label)}`: of the interpreter that is named so below; "
        "its ratios are to its own `floor` and `bare`"
        for label in dict.fromkeys(map(label_of, measured))
        if label
    ]
    return "\n".join(lines)


def _by_init(figures: Figures, what: str, columns: dict[str, Cell]) -> str:
    rows = [
        (f"`{init}`", *(cells.show(cell, figures, init) for cell in columns.values()))
        for init in figures.inits(what)
    ]
    return table(("", *columns), rows)


def _start(_figures: Figures) -> dict[str, Cell]:
    others = ("bare", "floor", "floor-site", "tini")
    return {
        "median, ms": cells.median("start", NS_PER_MS, 2),
        "quartiles": cells.quartiles("start", NS_PER_MS, 2),
        **{f"x `{other}`": cells.ratio("start", other) for other in others},
        "to the end, ms": cells.median("whole", NS_PER_MS, 2),
    }


def _blind(figures: Figures) -> dict[str, Cell]:
    def at(delay: str) -> Cell:
        def cell(figures: Figures, init: str) -> str:
            sent = figures.all("lost", init, delay)
            return f"{sum(sent):.0f} of {len(sent)}" if sent else cells.NOTHING

        return cell

    return {f"{delay} ms": at(delay) for delay in figures.places("lost")}


def _forward(_figures: Figures) -> dict[str, Cell]:
    columns = {}
    for percent in (50, 99):
        columns[f"p{percent}, µs"] = cells.quantile(percent, "forward", NS_PER_US, 1)
        columns[f"p{percent} x `tini`"] = cells.quantile_ratio(percent, "forward", "tini")
    columns["forwards"] = lambda figures, init: f"{len(figures.all('forward', init)):,}"
    return columns


def _storm(figures: Figures) -> dict[str, Cell]:
    def zombies(figures: Figures, init: str) -> str:
        return f"{sum(sum(figures.all('zombies', init, at)) for at in counts):.0f}"

    counts = figures.places("storm")
    return {
        **{f"{int(at):,}: CPU s": cells.median("storm", NS_PER_MS * 1000, 4, at) for at in counts},
        **{f"{int(at):,}: x `tini`": cells.ratio("storm", "tini", at) for at in counts[-1:]},
        "zombies": zombies,
    }


def _stop(figures: Figures) -> dict[str, Cell]:
    def finished(at: str) -> Cell:
        return lambda figures, init: f"{min(figures.all('finished', init, at)):.0f}"

    columns = {}
    for at in figures.places("finished"):
        columns[f"of {int(at):,}"] = finished(at)
        columns[f"of {int(at):,}: gone after, ms"] = cells.median("gone", NS_PER_MS, 1, at)
    return columns


def _idle(_figures: Figures) -> dict[str, Cell]:
    return {
        "wake-ups": cells.median("wakeups", 1, 0),
        "CPU ticks": cells.median("ticks", 1, 0),
        "CPU, µs": cells.median("idle cpu", NS_PER_US, 0),
    }


def _memory(_figures: Figures) -> dict[str, Cell]:
    columns = {}
    for when, title in (("rest", ""), ("logged", "logged: ")):
        for kind, name in (("Rss", "RSS"), ("Pss", "PSS"), ("Private_Dirty", "private dirty")):
            columns[f"{title}{name}"] = cells.median(kind, 1, 0, when)
    columns["the log adds: private dirty"] = cells.made(derived.log_memory, 1, 0)
    columns["private dirty x `bare`"] = cells.ratio("Private_Dirty", "bare", "rest")
    return columns


def _log(_figures: Figures) -> dict[str, Cell]:
    return {
        "workload begins, ms": cells.median("first with log", NS_PER_MS, 1),
        "first line, ms": cells.median("first line", NS_PER_MS, 1),
        "it takes, ms": cells.made(derived.first_line, NS_PER_MS, 1),
        "`import structlog`, ms": lambda figures, _: cells.median("import", NS_PER_MS, 1)(
            figures, "structlog"
        ),
        "forwards until then": lambda figures, init: (
            f"{len(figures.all('forward meanwhile', init))}"
        ),
        "p50, µs": cells.quantile(50, "forward meanwhile", NS_PER_US),
        "longest, µs": cells.quantile(100, "forward meanwhile", NS_PER_US),
    }


def _instructions(_figures: Figures) -> dict[str, Cell]:
    others = ("floor", "floor-site", "tini")
    return {
        "million": cells.median("instructions", 1e6, 2),
        "before the fork, beyond the boot, million": cells.made(derived.before_fork, 1e6, 2),
        **{f"x `{other}`": cells.ratio("instructions", other) for other in others},
    }


TABLES: tuple[tuple[str, str, Callable[[Figures], dict[str, Cell]]], ...] = (
    (
        "start",
        (
            "**Start**: from the exec of the init to the workload's first instruction, "
            "and to the end of the init."
        ),
        _start,
    ),
    (
        "lost",
        "**Blind window**: how many SIGTERMs are lost, sent so long after the exec of the init.",
        _blind,
    ),
    ("forward", "**Forward**: from `kill` to the workload's answer.", _forward),
    (
        "storm",
        "**Storm**: so many orphans; CPU seconds of the init alone, and the zombies that stay.",
        _storm,
    ),
    (
        "finished",
        (
            "**Stop**: SIGTERM for the init, whose child leaves so many helpers with work to do, "
            "each in a session of its own; how long after the last one the init is gone."
        ),
        _stop,
    ),
    ("wakeups", "**Idle**: nothing happens, for as long as the goals say.", _idle),
    (
        "Rss",
        (
            "**Memory**, in kB, at rest and after the first line of the log (`-v`). "
            "PSS shares what others use at the time, such as another Python."
        ),
        _memory,
    ),
    ("first line", "**Log**: the first line with `-v`, and forwards until it is there.", _log),
    (
        "instructions",
        (
            "**Instructions** of a whole start and end, as callgrind counts them; "
            "of an init that is exec'd by `env`, without those of `env`. "
            "Before the fork: without those of the same interpreter when its script only forks."
        ),
        _instructions,
    ),
)
