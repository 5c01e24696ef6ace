"""Programs that do not stop, and what pyinit says about each."""
