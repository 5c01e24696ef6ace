"""What is measured, by name, with the label of the interpreter where that is another one."""

import re

PYINIT, LAUNCHER, TINI = "pyinit", "pyinit-launcher", "tini"
OPTIONS = "pyinit-launcher, options"
BESIDE = "debian"  # the label that `make bench` gives
PYTHONS = ("floor", "floor-site", "bare", "bare-site")


def labelled(name: str, label: str) -> str:
    """Return a name with the label of its interpreter; the one that runs this has none."""
    return f"{name} ({label})" if label else name


def label_of(name: str) -> str:
    """Return the label that a name has; none for what belongs to no interpreter."""
    found = re.search(r" \((.+)\)$", name)
    return found[1] if found else ""


def beside(init: str, other: str) -> str:
    """Return who is meant by another's name beside an init: the floor is its own interpreter's."""
    return labelled(other, label_of(init)) if other in PYTHONS else other
