"""What the user asked for, once it is known to be right."""

ERROR, WARNING, INFO, DEBUG = range(4)
DRAIN_SECONDS = 5.0


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
        forward_all: ``-a``: forward to every process pyinit answers for.
        rewrite: ``-r``: what to forward in place of which signal; 0 for nothing.
        drain: ``-d``: seconds that what the child left behind gets to end; 0 to leave at once.
        kill_after: ``-k``: seconds from the first request to stop to SIGKILL; 0 for never.
        expected_codes: ``-e``: codes of the child that become 0.
        log_format: ``auto``, ``console`` or ``json``.
    """

    __slots__ = (
        "command",
        "drain",
        "expected_codes",
        "forward_all",
        "group",
        "kill_after",
        "log_format",
        "parent_death_signal",
        "rewrite",
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
    forward_all: bool
    rewrite: dict[int, int]
    drain: float
    kill_after: float
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
        forward_all: bool = False,
        rewrite: dict[int, int] | None = None,
        drain: float = DRAIN_SECONDS,
        kill_after: float = 0.0,
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
        keep("forward_all", forward_all)
        keep("rewrite", rewrite or {})
        keep("drain", drain)
        keep("kill_after", kill_after)
        keep("expected_codes", expected_codes)
        keep("log_format", log_format)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings are decided once, before the child runs."""
        msg = f"settings cannot be changed (tried to set {name})"
        raise AttributeError(msg)


class Inspection:
    """What is to be inspected, instead of running a command.

    Attributes:
        pid: ``--inspect``: the process, in the PID namespace of who asks.
        as_json: ``--json``: for machines.
    """

    __slots__ = ("as_json", "pid")

    def __init__(self, pid: int, *, as_json: bool) -> None:
        """Keep the values given."""
        self.pid = pid
        self.as_json = as_json
