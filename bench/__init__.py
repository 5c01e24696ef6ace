"""Measure pyinit beside other inits and beside the bare interpreter: ``make bench``."""
