"""Random process trees, signals and options for pyinit, and checks of what it does with them."""
