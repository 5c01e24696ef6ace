"""Random process trees, signals and options for pyinit, and what must come of them."""
