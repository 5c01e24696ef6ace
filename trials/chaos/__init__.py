"""Random process trees, signals and options for the installed pyinit, and what must come of them."""
