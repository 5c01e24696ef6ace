"""What the user asked for, once it is known to be right."""

ERROR, WARNING, INFO, DEBUG = range(4)


class Settings:
    """The parsed command line and environment; cannot be changed.

    Written by hand because ``dataclasses`` would double the time to start.

    Attributes:
        command: the program and its arguments, never empty.
        subreaper: ``-s``: be a child subreaper (automatic where pyinit is not PID 1).
        parent_death_signal: ``-p``: the signal to get when the parent dies; 0 for none.
        verbosity: 0 errors, 1 warnings, 2 info, 3 debug.
        warn_on_reap: ``-w``: each orphan reaped is a warning.
        group: ``-g``: forward to the child's process group.
        expected_codes: ``-e``: codes of the child that become 0.
        log_format: ``auto``, ``console`` or ``json``.
    """

    __slots__ = (
        "command",
        "expected_codes",
        "group",
        "log_format",
        "parent_death_signal",
        "subreaper",
        "verbosity",
        "warn_on_reap",
    )

    command: tuple[str, ...]
    subreaper: bool
    parent_death_signal: int
    verbosity: int
    warn_on_reap: bool
    group: bool
    expected_codes: frozenset[int]
    log_format: str

    def __init__(  # noqa: PLR0913 - one for each option there is
        self,
        command: tuple[str, ...],
        *,
        subreaper: bool = False,
        parent_death_signal: int = 0,
        verbosity: int = WARNING,
        warn_on_reap: bool = False,
        group: bool = False,
        expected_codes: frozenset[int] = frozenset(),
        log_format: str = "auto",
    ) -> None:
        """Keep the values given; see the class for what they mean."""
        keep = super().__setattr__
        keep("command", command)
        keep("subreaper", subreaper)
        keep("parent_death_signal", parent_death_signal)
        keep("verbosity", verbosity)
        keep("warn_on_reap", warn_on_reap)
        keep("group", group)
        keep("expected_codes", expected_codes)
        keep("log_format", log_format)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings are decided once, before the child runs."""
        msg = f"settings cannot be changed (tried to set {name})"
        raise AttributeError(msg)
