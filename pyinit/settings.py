"""What the user asked for, once it is known to be right."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Event = tuple[int, float, str, dict[str, object]]  # level, wall clock, name, keys

ERROR, WARNING, INFO, DEBUG = range(4)


class Settings:
    """The command, and what is to be done as no option would have it.

    Written by hand because ``dataclasses`` would double the time to start.

    Attributes:
        command: the program and its arguments, never empty.
        subreaper: ``-s``: be a child subreaper (automatic when pyinit is not PID 1).
        parent_death_signal: ``-p``: the signal to get when the parent dies; 0 for none.
        verbosity: 0 errors, 1 warnings, 2 info, 3 debug.
        warn_on_reap: ``-w``: each orphan reaped is a warning.
        group: ``-g``: forward to the child's process group.
        forward_all: ``-a``: forward to every process pyinit answers for.
        rewrite: ``-r``: what to forward in place of which signal; 0 for nothing.
        drain: ``-d``: seconds that what the child left behind gets to end; 0 to leave at once.
        timeout: ``-t``: seconds until the child is asked to stop, from when it began; 0 for never.
        kill_after: ``-k``: seconds from the first request to stop to SIGKILL; 0 for never.
        ladder: ``-k`` with steps: a signal, 0 for the request itself, and seconds until the next
            step or, behind the last, SIGKILL; ``kill_after`` in all. Empty where it has none.
        explain_after: ``--explain-after``: seconds from the first request to stop until it is told
            why the child has not stopped; 0 for never.
        stacks: whether stacks of Python processes may be read for that (``PYINIT_STACKS``).
        expected_codes: ``-e``: codes that become 0.
        leftovers: ``--leftovers``: the code in place of 0 where the child left a process behind;
            0 for none.
        log_format: ``auto``, ``console`` or ``json``.
        termination_log: the file for the last words; empty for the usual one, if it is there.
        unknown: variables called PYINIT_... that pyinit does not have.
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

    def __init__(self, command: tuple[str, ...], **chosen: "Any") -> None:  # noqa: ANN401 - each its own
        """Keep the command and what was chosen; see the class for the names."""
        self.__dict__.update(chosen, command=command)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings are decided once, before the child runs."""
        msg = f"settings cannot be changed (tried to set {name})"
        raise AttributeError(msg)
