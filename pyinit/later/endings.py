"""Why a child exited, if its status does not show that, and what to do about it.

Loaded when the child was killed, or has failed by itself.
"""

import os

from pyinit.later.shell_above import SHELLS
from pyinit.signals import SIGKILL

OF_STEP = "pyinit sent it, as a step of -k"
QUICK_SECONDS = 10.0  # a program that does not understand its arguments fails sooner
JOINTS = ("&&", "||")
PIPES = ("|", ">", ">>", "2>&1")
COMPARERS = frozenset({"expr", "test", "["})  # some of these are operators for them
QUOTED = frozenset(" \t\n'\"`();")  # a word with one of these is not in the language of a shell
FROM_OUTSIDE = (
    "killed from outside: pyinit did not send this SIGKILL, {memory}; another process in the "
    "container sent it, or the node: look for kill -9, a CPU time limit, and the log of the node"
)
NO_OOM = "and the cgroup counts no OOM kill"
UNKNOWN_OOM = "and no cgroup shows whether memory ran out"


def reason(
    command: tuple[str, ...], status: int, seconds: float, *, escalated: int = 0, counts_oom: bool
) -> str:
    """Return why the child exited; empty if there is nothing to say.

    Args:
        command: its program and arguments.
        status: from waitpid(2): a SIGKILL that came neither from pyinit nor from an OOM kill; a
            crash by a step of ``-k``; or the exit of a child that was not asked to stop.
        seconds: how long it ran.
        escalated: the signal of that step; 0 for none.
        counts_oom: whether the cgroup shows how often memory ran out.
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
        f"its arguments contain {mark}: pyinit starts the command without a shell, so the program "
        f"got {mark} unchanged; use a shell, {_example(mark)}"
    )


def _mark(command: tuple[str, ...], *, may_be_value: bool) -> str:
    """Return what a shell would have replaced in the arguments; empty if a shell runs."""
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
    """Return the variable that a shell would replace; its name must be in capitals."""
    if QUOTED.intersection(word):
        return ""
    rest = word.partition("$")[2].removeprefix("{")
    end = next((at for at, c in enumerate(rest) if not (c.isalnum() or c == "_")), len(rest))
    name = rest[:end]
    return name if name.isidentifier() and name.isascii() and name.isupper() else ""


def _example(mark: str) -> str:
    text = f"PROGRAM {mark} PROGRAM" if mark in {*JOINTS, "|"} else "exec PROGRAM ARGUMENTS"
    return f'such as ["sh", "-c", "{text}"]'
