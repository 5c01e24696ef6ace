"""Why a child ended, where its status does not say so, in words that say what to do.

Loaded when the child has been killed, or has failed by itself.
"""

import os

from pyinit.later.shell_above import SHELLS
from pyinit.signals import SIGKILL

OF_STEP = "pyinit sent that, a step of -k"
QUICK_SECONDS = 10.0  # a program that does not understand its arguments fails in less
JOINTS = ("&&", "||")
PIPES = ("|", ">", ">>", "2>&1")
COMPARERS = frozenset({"expr", "test", "["})  # which know some of these themselves
QUOTED = frozenset(" \t\n'\"`();")  # what has one of these is in another language than the shell's
FROM_OUTSIDE = (
    "killed from outside: pyinit did not send this SIGKILL, {memory}; somebody in the container "
    "did, or the node: look for kill -9, a limit on CPU time, and what the node's log says"
)
NO_OOM = "and the cgroup counts no process that was killed for want of memory"
UNKNOWN_OOM = "and no cgroup tells whether memory ran out"


def reason(
    command: tuple[str, ...], status: int, seconds: float, *, escalated: int = 0, counts_oom: bool
) -> str:
    """Return why the child ended, or nothing.

    Args:
        command: its program and arguments.
        status: as waitpid(2) tells it: of a SIGKILL that was not pyinit's, nor for want of memory;
            of a crash by a step of ``-k``; or of a child that ended without being asked to.
        seconds: how long it lived.
        escalated: the signal of that step; 0 for none.
        counts_oom: whether the cgroup tells how often memory ran out.
    """
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == escalated:
            return OF_STEP
        if os.WTERMSIG(status) != SIGKILL:
            return ""
        return FROM_OUTSIDE.format(memory=NO_OOM if counts_oom else UNKNOWN_OOM)
    mark = _mark(command, may_be_value=status != 0 and seconds < QUICK_SECONDS)
    if not mark:
        return ""
    return (
        f"its arguments have {mark} in them: pyinit starts the command without a shell, so the "
        f"program got that as it stands; use a shell, {_example(mark)}"
    )


def _mark(command: tuple[str, ...], *, may_be_value: bool) -> str:
    """Return what a shell would have understood in the arguments; nothing where one is at work."""
    if any(os.path.basename(os.fsencode(word)) in SHELLS for word in command):
        return ""
    compares = os.path.basename(command[0]) in COMPARERS
    for word in command[1:]:
        if word in JOINTS or (may_be_value and word in PIPES and not compares):
            return word
        if may_be_value and (word == "~" or word.startswith("~/")):
            return "~"
        if may_be_value and (name := _variable(word)):
            return f"${name}"
    return ""


def _variable(word: str) -> str:
    """Return the variable that a shell would look up: in capitals, as those of an image are."""
    if QUOTED.intersection(word):
        return ""
    rest = word.partition("$")[2].removeprefix("{")
    end = next((at for at, c in enumerate(rest) if not (c.isalnum() or c == "_")), len(rest))
    name = rest[:end]
    return name if name.isidentifier() and name.isascii() and name.isupper() else ""


def _example(mark: str) -> str:
    text = f"PROGRAM {mark} PROGRAM" if mark in {*JOINTS, "|"} else "exec PROGRAM ARGUMENTS"
    return f'such as ["sh", "-c", "{text}"]'
