"""The names in the tables: those of another interpreter have its label behind them."""

import re

PYINIT, LAUNCHER, TINI = "pyinit", "pyinit-launcher", "tini"
OPTIONS = "pyinit-launcher, options"
BESIDE = "debian"  # the label that `make bench` gives to the interpreter of Debian
PYTHONS = ("floor", "floor-site", "bare", "bare-site")


def labelled(name: str, label: str) -> str:
    """Return a name with the label of its interpreter; the first interpreter has no label."""
    return f"{name} ({label})" if label else name


def label_of(name: str) -> str:
    """Return the label of a name; it is empty for tini and its like."""
    found = re.search(r" \((.+)\)$", name)
    return found[1] if found else ""


def beside(init: str, other: str) -> str:
    """Return what to compare an init with: a reference of the same interpreter, or another init."""
    return labelled(other, label_of(init)) if other in PYTHONS else other
