"""The figures as tables in Markdown."""

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
    """Return the table of all goals, with what was measured."""
    rows = [(goal.figure, goal.target, *verdict(goal, figures)) for goal in all_goals(figures)]
    return table(("figure", "goal", "measured", "verdict"), rows)


def instructions(figures: Figures) -> str:
    """Return the table of instructions; nothing if there are none."""
    what = "instructions"
    return _by_init(figures, what, _instructions(figures)) if figures.inits(what) else ""


def details(figures: Figures) -> list[tuple[str, str, str]]:
    """Return a heading, an explanation and a table for each thing that was measured."""
    return [
        (heading, sentence, _by_init(figures, what, columns(figures)))
        for what, heading, sentence, columns in TABLES
        if figures.inits(what)
    ]


def names(figures: Figures) -> str:
    """Return the table of names that are not those of a program."""
    measured = dict.fromkeys(init for _, init, _ in figures.samples)
    rows = [(f"`{name}`", MEANING[name]) for name in measured if name in MEANING]
    rows += [
        (f"`{labelled('…', label)}`", f"the same with the Python of {label.capitalize()}")
        for label in dict.fromkeys(map(label_of, measured))
        if label
    ]
    return table(("name", "what it is"), rows)


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
        return lambda figures, init: f"{min(figures.all('finished', init, at)):,.0f}"

    columns = {}
    for at in figures.places("finished"):
        columns[f"of {int(at):,}"] = finished(at)
        columns[f"of {int(at):,}: init exits after, ms"] = cells.median("gone", NS_PER_MS, 1, at)
    return columns


def _idle(figures: Figures) -> dict[str, Cell]:
    (seconds,) = figures.all("idle seconds", "")
    return {
        f"wake-ups in {seconds:.0f} s": cells.median("wakeups", 1, 0),
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
        "workload starts, ms": cells.median("first with log", NS_PER_MS, 1),
        "first line, ms": cells.median("first line", NS_PER_MS, 1),
        "between them, ms": cells.made(derived.first_line, NS_PER_MS, 1),
        "a Python that imports structlog, ms": lambda figures, _: cells.median(
            "import", NS_PER_MS, 1
        )(figures, "structlog"),
        "signals until then": lambda figures, init: (
            f"{len(figures.all('forward meanwhile', init))}"
        ),
        "p50, µs": cells.quantile(50, "forward meanwhile", NS_PER_US),
        "longest, µs": cells.quantile(100, "forward meanwhile", NS_PER_US),
    }


def _instructions(_figures: Figures) -> dict[str, Cell]:
    others = ("floor", "floor-site", "tini")
    return {
        "million": cells.median("instructions", 1e6, 2),
        "pyinit's own before the fork, million": cells.made(derived.before_fork, 1e6, 2),
        **{f"x `{other}`": cells.ratio("instructions", other) for other in others},
    }


TABLES: tuple[tuple[str, str, str, Callable[[Figures], dict[str, Cell]]], ...] = (
    (
        "start",
        "Start",
        (
            "The time from the exec of the init to the first instruction of your program, "
            "and to the end of the init. Half of the starts lie between the quartiles."
        ),
        _start,
    ),
    (
        "lost",
        "Signals that come too early",
        (
            "How many SIGTERMs are lost, by the time between the exec of the init and the SIGTERM. "
            "The kernel drops a signal for PID 1 until PID 1 has blocked or handled it, so each "
            "init has a blind window at its start."
        ),
        _blind,
    ),
    (
        "forward",
        "Forwarded signals",
        (
            "The time from kill(2) to the answer of the workload. Half of the signals took at most "
            "p50, and 99 % at most p99."
        ),
        _forward,
    ),
    (
        "storm",
        "Orphans",
        (
            "The CPU time of the init, in seconds, to reap this number of orphans, and how many of "
            "them stay zombies."
        ),
        _storm,
    ),
    (
        "finished",
        "Stop",
        (
            "The init gets SIGTERM, and its child leaves this number of helpers behind. At SIGTERM "
            "each helper works for a moment and then exits. The columns show how many finish, and "
            "how long after the last one the init exits."
        ),
        _stop,
    ),
    ("wakeups", "Idle", "What the init does while nothing happens.", _idle),
    (
        "Rss",
        "Memory",
        (
            "In kB, at rest and after the first line of the log (`-v`). Private dirty is the "
            "memory that no other process shares; RSS and PSS depend on what else runs."
        ),
        _memory,
    ),
    (
        "first line",
        "Log",
        (
            "The time until the first line with `-v`, and how long signals take meanwhile. "
            "pyinit loads structlog in a thread, without asyncio. For comparison: the whole run of "
            "a Python that imports all of structlog."
        ),
        _log,
    ),
)
