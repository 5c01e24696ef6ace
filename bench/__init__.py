"""Compare pyinit with other inits and with the bare interpreter: ``make bench``."""
