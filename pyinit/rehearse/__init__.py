"""``pyinit-rehearse``: a stop tried and drawn. A command of its own: PID 1 loads nothing of it."""
