"""``pyinit-rehearse``: stop a program as an engine does, and report. PID 1 loads none of this."""
