"""A hostile surrounding: cases, each one way to start an init and to trouble it."""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tools import ENVIRONMENT

if TYPE_CHECKING:
    from trials.survive.ordeal import Ordeal

CODE = 37  # of the workload


@dataclass(slots=True)
class Stage:
    """What is prepared for one run.

    Attributes:
        scratch: a folder for this run, which every user may enter.
        name: the name of the init.
        init: its command, which may be that of a copy.
        guest: the path of the workload, which may be a copy, too.
        environment: what unshare gets; a case may add to it, or remove from it.
        descriptors: more descriptors to inherit.
        stdin, stderr: descriptors, if they are not /dev/null and a file.
        folder: the working directory.
        cleanup: what to undo at the end.
    """

    scratch: Path
    name: str
    init: list[str]
    guest: str
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    descriptors: list[int] = field(default_factory=list)
    stdin: int | None = None
    stderr: int | None = None
    folder: Path | None = None
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def keep(self, *descriptors: int) -> None:
        """Close descriptors at the end."""
        for descriptor in descriptors:
            self.cleanup.callback(os.close, descriptor)


def no_preparation(_stage: Stage) -> None:
    """Prepare nothing."""


def no_trouble(_ordeal: "Ordeal") -> None:
    """Do nothing to it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way to start an init and to trouble it.

    Attributes:
        name: its name, if a surrounding has several.
        setup: what PID 1 does, as a shell, before it execs the init; SCRATCH is a folder.
        redirect: redirections for the init.
        prefix: programs that exec one another, and in the end the init.
        namespaces: more options for unshare.
        variables: additions to the environment.
        options: options only for pyinit.
        words: more words for the workload.
        exact: whether words and environment must arrive byte for byte.
        prepare: what is prepared outside.
        during: what happens while the workload runs.
        refuses: whether the init may exit before the workload runs; True if it must.
        told: a pattern for the stderr of pyinit.
        mute: whether its stderr cannot be read.
        code: the workload's exit code; 0 if it does not exit, negative to leave a process behind.
        ends: the exit code of the init.
        seconds: how long it must take from SIGTERM to the end, at least.
        root: whether it needs root.
    """

    name: str = ""
    setup: str = ":"
    redirect: str = ""
    prefix: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    exact: bool = False
    prepare: Callable[[Stage], None] = no_preparation
    during: "Callable[[Ordeal], None]" = no_trouble
    refuses: bool | None = False  # None: it may
    told: str = ""
    mute: bool = False
    code: int = CODE
    ends: int = CODE
    seconds: float = 0
    root: bool = False

    def wrapping(self) -> list[str]:
        """Return the command that execs the init, inside the namespaces."""
        words = list(self.prefix)
        if self.setup != ":" or self.redirect:
            words[:0] = ["/bin/sh", "-c", f'{self.setup} && exec "$@" {self.redirect}', "-"]
        return words


@dataclass(frozen=True, slots=True)
class Surrounding:
    """A row of the table.

    Attributes:
        name: its name.
        cases: its cases.
        own: whether it is about an option that the other inits do not have.
    """

    name: str
    cases: tuple[Case, ...]
    own: bool = False
