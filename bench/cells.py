"""What a cell of a table shows of an init."""

from collections.abc import Callable

from bench.figures import Figures
from bench.names import beside

Cell = Callable[[Figures, str], str]
NOTHING = "-"
QUARTILES = (25, 75)


def show(cell: Cell, figures: Figures, init: str) -> str:
    """Return what a cell shows; a dash where it was not measured."""
    try:
        return cell(figures, init)
    except (LookupError, ZeroDivisionError):
        return NOTHING


def median(what: str, unit: float, digits: int, at: object = "") -> Cell:
    """Return a cell with the median, in a unit."""
    return lambda figures, init: f"{figures.median(what, init, at) / unit:,.{digits}f}"


def made(of: Callable[[Figures, str], float], unit: float, digits: int) -> Cell:
    """Return a cell with what is made of several figures, in a unit."""
    return lambda figures, init: f"{of(figures, init) / unit:,.{digits}f}"


def quartiles(what: str, unit: float, digits: int) -> Cell:
    """Return a cell with what half of the samples lie between."""

    def cell(figures: Figures, init: str) -> str:
        low, high = (figures.quantile(percent, what, init) / unit for percent in QUARTILES)
        return f"{low:,.{digits}f} to {high:,.{digits}f}"

    return cell


def quantile(percent: int, what: str, unit: float, digits: int = 0) -> Cell:
    """Return a cell with what so many percent of the samples do not exceed."""
    return lambda figures, init: f"{figures.quantile(percent, what, init) / unit:,.{digits}f}"


def ratio(what: str, other: str, at: object = "") -> Cell:
    """Return a cell with the median in medians of another init; a floor is one's own."""
    return lambda figures, init: f"{figures.ratio(what, init, beside(init, other), at):.2f}"


def quantile_ratio(percent: int, what: str, other: str) -> Cell:
    """Return the same of a quantile."""

    def cell(figures: Figures, init: str) -> str:
        of_both = [figures.quantile(percent, what, name) for name in (init, other)]
        return f"{of_both[0] / of_both[1]:.2f}"

    return cell
