"""What the user asked for, after it was checked."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Event = tuple[int, float, str, dict[str, object]]  # level, wall clock, name, keys

ERROR, WARNING, INFO, DEBUG = range(4)


class Settings:
    """The command, and the value of each option; here are the defaults.

    Written by hand because ``dataclasses`` would double the time to start.

    Attributes:
        command: the program and its arguments, never empty.
        subreaper: ``-s``: be a child subreaper (automatic when pyinit is not PID 1).
        parent_death_signal: ``-p``: the signal to get when the parent exits; 0 for none.
        verbosity: 0 errors, 1 warnings, 2 info, 3 debug.
        warn_on_reap: ``-w``: each orphan reaped is a warning.
        group: ``-g``: forward to the child's process group.
        forward_all: ``-a``: forward to every process that pyinit is responsible for.
        rewrite: ``-r``: what to forward in place of which signal; 0 for nothing.
        drain: ``-d``: seconds that processes left behind get to exit; 0 to exit at once.
        timeout: ``-t``: seconds from the start of the child until it is asked to stop; 0 for never.
        kill_after: ``-k``: seconds from the first request to stop to SIGKILL; 0 for never.
        ladder: ``-k`` with steps: for each step a signal (0 for the request itself), and seconds
            until the next step or SIGKILL; ``kill_after`` is their sum. Empty without steps.
        explain_after: ``--explain-after``: seconds from the first request to stop until pyinit logs
            why the child has not stopped; 0 for never.
        stacks: whether pyinit may read stacks of Python processes for that (``PYINIT_STACKS``).
        expected_codes: ``-e``: codes that become 0.
        leftovers: ``--leftovers``: the code in place of 0 if the child left processes behind; 0
            for none.
        log_format: ``auto``, ``console`` or ``json``.
        termination_log: the file for the summary; empty for the default file, if that exists.
        unknown: variables called PYINIT_... that pyinit does not know.
    """

    command: tuple[str, ...]
    subreaper = False
    parent_death_signal = 0
    verbosity = WARNING
    warn_on_reap = False
    group = False
    forward_all = False
    rewrite: "dict[int, int]" = {}  # noqa: RUF012 - never changed, and ClassVar would be an import
    drain = 5.0
    timeout = 0.0
    kill_after = 0.0
    ladder: "tuple[tuple[int, float], ...]" = ()
    explain_after = 5.0
    stacks = True
    expected_codes: "frozenset[int]" = frozenset()
    leftovers = 0
    log_format = "auto"
    termination_log = ""
    unknown: tuple[str, ...] = ()

    def __init__(self, command: tuple[str, ...], **chosen: "Any") -> None:  # noqa: ANN401 - each has its own type
        """Keep the command and what was chosen; see the class for the names."""
        self.__dict__.update(chosen, command=command)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings are made once, before the child runs."""
        msg = f"settings cannot be changed (tried to set {name})"
        raise AttributeError(msg)
