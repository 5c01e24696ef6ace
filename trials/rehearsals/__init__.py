"""Programs that stop badly and programs that stop well, and what `pyinit-rehearse` says of each."""
