"""The reports of a rehearsal: one module for each format, with a ``render`` that takes the runs."""
