"""Figures that are the difference of two others."""

from bench.figures import Figures


def before_fork(figures: Figures, init: str) -> float:
    """Return pyinit's own instructions before the fork: without those to start the interpreter."""
    return figures.median("before fork", init) - figures.median("boot", init)


def first_line(figures: Figures, init: str) -> float:
    """Return the nanoseconds from the workload's first instruction to the first line of the log."""
    return figures.median("first line", init) - figures.median("first with log", init)


def log_memory(figures: Figures, init: str) -> float:
    """Return how much private memory, in kB, the first line of the log adds."""
    rest, logged = (figures.median("Private_Dirty", init, when) for when in ("rest", "logged"))
    return logged - rest
