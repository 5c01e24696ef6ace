"""Programs that do not stop, and what pyinit says of each."""
