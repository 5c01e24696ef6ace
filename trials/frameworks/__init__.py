"""Stops of the programs in docs/frameworks: under pyinit, under tini and without an init."""
