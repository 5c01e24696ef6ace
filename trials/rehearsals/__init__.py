"""Programs that stop badly or well, and what `pyinit-rehearse` says about each."""
