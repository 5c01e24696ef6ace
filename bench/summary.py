"""The table for readers in a hurry, at the top of docs/performance.md: one column for each init."""

from collections.abc import Callable

from bench.cells import NOTHING
from bench.figures import Figures
from bench.names import LAUNCHER, PYINIT, TINI, label_of, labelled
from bench.tables import NS_PER_MS, NS_PER_US, table

KB_PER_MB = 1024
NS_PER_S = 1_000_000_000
COLUMNS = {
    "pyinit, by `pyinit-launcher`": LAUNCHER,
    "pyinit, by `pip install`": PYINIT,
    "tini": TINI,
    "dumb-init": "dumb-init",
    "catatonit": "catatonit",
}
Row = Callable[[Figures, str], str]


def summary(figures: Figures) -> str:
    """Return the table, with a note above it if the machine was busy."""
    rows = [
        (what, *(_show(row, figures, init) for init in COLUMNS.values()))
        for what, row in _rows(figures).items()
    ]
    return f"{_note(figures)}{table(('', *COLUMNS), rows)}{_interpreter(figures)}"


def _note(figures: Figures) -> str:
    """Return a note with the load average, if it was above the limit when the benchmark began."""
    try:
        (load,), (limit,) = figures.all("load", ""), figures.all("highest load", "")
    except LookupError:
        return ""
    if load <= limit:
        return ""
    return (
        f"> **The machine was busy**: its load average was {load:.1f} when the benchmark began. "
        "Other work makes times longer; memory and wake-ups do not depend on it.\n\n"
    )


def _interpreter(figures: Figures) -> str:
    """Return which rows are those of a second interpreter, if there is one."""
    labels = dict.fromkeys(map(label_of, figures.inits("start")))
    return "".join(
        f'\nRows without "{_python(label)}" are those with the first Python above.\n'
        for label in labels
        if label
    )


def _python(label: str) -> str:
    """Return how a row says that it is about a second interpreter."""
    return f"{label.capitalize()}'s Python"


def _rows(figures: Figures) -> dict[str, Row]:
    label = next(filter(None, map(label_of, figures.inits("start"))), "")
    python = f" ({_python(label)})" if label else ""
    found: dict[str, Row] = {
        f"your program starts after{python}": _ratio("start", "", NS_PER_MS, 1, "ms"),
        f"private memory{python}": _ratio("Private_Dirty", "rest", KB_PER_MB, 2, "MB"),
        f"private memory, once pyinit has logged a line{python}": _logged,
        f"a signal reaches your program after{python}": _ratio("forward", "", NS_PER_US, 1, "µs"),
    }
    for count in figures.places("storm")[-1:]:
        found[f"CPU time to reap {int(count):,} orphans"] = _ratio("storm", count, NS_PER_S, 2, "s")
    for count in figures.places("finished")[-1:]:
        found["helpers that finish their work at a stop"] = _finished(count)
    for seconds in figures.samples.get(("idle seconds", "", ""), []):
        found[f"wake-ups in {seconds:.0f} s while nothing happens"] = _wakeups
    return found


def _show(row: Row, figures: Figures, init: str) -> str:
    try:
        return row(figures, init)
    except LookupError:
        return NOTHING


def _measured(figures: Figures, what: str, init: str) -> str:
    """Return the name under which an init was measured: with the other interpreter, if it was.

    That is the system's own, built as those of the images that most containers start from.
    """
    inits = figures.inits(what)
    labels = [label for label in map(label_of, inits) if label]
    return next((name for label in labels if (name := labelled(init, label)) in inits), init)


def _ratio(what: str, at: str, unit: float, digits: int, symbol: str) -> Row:
    """Return a row with the median, and in parentheses how many times that of tini it is."""

    def row(figures: Figures, init: str) -> str:
        name = _measured(figures, what, init)
        value = f"{figures.median(what, name, at) / unit:,.{digits}f} {symbol}"
        if init == TINI:
            return value
        return f"{value} ({figures.ratio(what, name, TINI, at):.2g} x)"

    return row


def _logged(figures: Figures, init: str) -> str:
    size = figures.median("Private_Dirty", _measured(figures, "Private_Dirty", init), "logged")
    return f"{size / KB_PER_MB:,.2f} MB"


def _finished(count: str) -> Row:
    return lambda figures, init: (
        f"{min(figures.all('finished', init, count)):,.0f} of {int(count):,}"
    )


def _wakeups(figures: Figures, init: str) -> str:
    return f"{figures.median('wakeups', init):.0f}"
