"""The cells of the tables: what a column shows about an init."""

from collections.abc import Callable

from bench.figures import Figures
from bench.names import beside

Cell = Callable[[Figures, str], str]
NOTHING = "-"
QUARTILES = (25, 75)


def show(cell: Cell, figures: Figures, init: str) -> str:
    """Return the text of a cell; a dash if there is no figure."""
    try:
        return cell(figures, init)
    except (LookupError, ZeroDivisionError):
        return NOTHING


def median(what: str, unit: float, digits: int, at: object = "") -> Cell:
    """Return a cell with the median."""
    return lambda figures, init: f"{figures.median(what, init, at) / unit:,.{digits}f}"


def made(of: Callable[[Figures, str], float], unit: float, digits: int) -> Cell:
    """Return a cell that is calculated from several figures."""
    return lambda figures, init: f"{of(figures, init) / unit:,.{digits}f}"


def quartiles(what: str, unit: float, digits: int) -> Cell:
    """Return a cell with the quartiles: half of the samples lie between them."""

    def cell(figures: Figures, init: str) -> str:
        low, high = (figures.quantile(percent, what, init) / unit for percent in QUARTILES)
        return f"{low:,.{digits}f} to {high:,.{digits}f}"

    return cell


def quantile(percent: int, what: str, unit: float, digits: int = 0) -> Cell:
    """Return a cell with a percentile."""
    return lambda figures, init: f"{figures.quantile(percent, what, init) / unit:,.{digits}f}"


def ratio(what: str, other: str, at: object = "") -> Cell:
    """Return a cell with the median divided by that of another init.

    A reference, such as `floor`, is the one of the same interpreter.
    """
    return lambda figures, init: f"{figures.ratio(what, init, beside(init, other), at):.2f}"


def quantile_ratio(percent: int, what: str, other: str) -> Cell:
    """Return a cell with a percentile divided by that of another init."""

    def cell(figures: Figures, init: str) -> str:
        of_both = [figures.quantile(percent, what, name) for name in (init, other)]
        return f"{of_both[0] / of_both[1]:.2f}"

    return cell
