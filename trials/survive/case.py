"""What a hostile surrounding consists of: cases, each one way to start an init and to annoy it."""

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
    """What is set up for one run.

    Attributes:
        scratch: a folder for it alone, which everybody may enter.
        name: the init's.
        init: its command; a copy of it may take its place.
        guest: the workload's path; so may a copy of this.
        environment: what unshare gets; the case may add to it, or take away.
        descriptors: what else is inherited.
        stdin, stderr: descriptors, if they are not /dev/null and a file.
        folder: the working directory.
        cleanup: what is to be undone.
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
    """Leave it alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way to start an init and to annoy it.

    Attributes:
        name: which one it is, where a surrounding has several.
        setup: what PID 1 does, as a shell, before it becomes the init; SCRATCH is a folder.
        redirect: redirections for the init.
        prefix: programs that become one another, and the last the init.
        namespaces: more options for unshare.
        variables: what is added to the environment.
        options: options of pyinit alone.
        words: more words for the workload.
        exact: whether words and environment are to arrive byte for byte.
        prepare: what is made ready outside.
        during: what happens while the workload runs.
        refuses: whether the init may leave before the workload runs; True where it must.
        told: a pattern of what pyinit says on stderr.
        mute: whether there is no place where it could be read.
        code: what the workload leaves with, 0 where it does not, negative to leave one behind.
        ends: the code of the init.
        seconds: how long it has to take from SIGTERM to the end, at least.
        root: whether it takes root.
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
        """Return what becomes the init, in the namespaces already."""
        words = list(self.prefix)
        if self.setup != ":" or self.redirect:
            words[:0] = ["/bin/sh", "-c", f'{self.setup} && exec "$@" {self.redirect}', "-"]
        return words


@dataclass(frozen=True, slots=True)
class Surrounding:
    """A row of the table.

    Attributes:
        name: what it is called.
        cases: what it consists of.
        own: whether it is about an option that the others do not have.
    """

    name: str
    cases: tuple[Case, ...]
    own: bool = False
