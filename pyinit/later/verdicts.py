"""What the kernel does with a signal that is sent to a process. Makes no system call.

The rules are from kernel/signal.c, for a signal that is sent with kill(2) and permitted:

1. SIGCONT continues a stopped process, even one that ignores or blocks it (prepare_signal).
2. The kernel keeps a signal that the first thread blocks, even if the process ignores it: that may
   change later (sig_ignored). It also keeps a signal that the thread waits for with
   sigtimedwait(2). Meanwhile /proc does not show this signal as blocked (real_blocked).
3. PID 1 of a namespace has SIGNAL_UNKILLABLE: the kernel drops a signal that it neither handles nor
   ignores, except SIGKILL and SIGSTOP from an outer namespace (sig_task_ignored). The init of the
   machine has no outer namespace.
4. The kernel discards a signal that is ignored, by the process or by default, at once.
5. A kept signal goes to any thread that has not exited and does not block it (complete_signal).
   Rules 3 and 4 apply again then (get_signal). Rule 2 looks at the first thread even if that has
   exited; this rule does not.
6. SIGTSTP, SIGTTIN and SIGTTOU stop no process of an orphaned process group (get_signal, POSIX).
7. A stopped process gets only SIGKILL until it is continued.
8. A tracer gets every signal except SIGKILL first, even ignored ones, and SIGSTOP for PID 1
   (sig_ignored). It decides what happens, so no verdict is sure (ptrace_signal).
"""

# Not dataclasses: they load much more, and typing may be loaded by half while structlog is loaded.
from typing import NamedTuple

from pyinit import signals
from pyinit.before import names

DELIVERED, TAKEN, HELD, IGNORED, DROPPED = "delivered", "taken", "held", "ignored", "dropped"
KILLS, STOPS, CONTINUES = "kills", "stops", "continues"

# Default actions: signal(7).
END, CORE, STOP, IGNORE, CONTINUE = "end", "core dump", "stop", "ignore", "continue"
_BY_DEFAULT = {
    CORE: ("ABRT", "BUS", "FPE", "ILL", "QUIT", "SEGV", "SYS", "TRAP", "XCPU", "XFSZ"),
    STOP: ("STOP", "TSTP", "TTIN", "TTOU"),
    IGNORE: ("CHLD", "URG", "WINCH"),
    CONTINUE: ("CONT",),
}
DEFAULTS = {names.number(name): act for act, called in _BY_DEFAULT.items() for name in called}

ALL = range(1, 65)
_PRIVILEGED = frozenset({signals.SIGKILL, signals.SIGSTOP})


class Thread(NamedTuple):
    """What one thread does with signals.

    Attributes:
        tid: its id.
        state: a letter (proc(5)).
        tracer: the pid of its tracer; 0 if it has none, or if the tracer cannot be seen.
        blocked: the signals that it blocks.
        pending: the signals that are pending for this thread alone.
        awaited: the signals that it waits for (sigwait and similar calls); None if unknown.
        waits: whether it waits for any; None if unknown.
    """

    tid: int
    state: str
    tracer: int
    blocked: frozenset[int]
    pending: frozenset[int]
    awaited: frozenset[int] | None
    waits: bool | None

    @property
    def is_alive(self) -> bool:
        """Whether it has not exited."""
        return self.state not in {"Z", "X"}


class Process(NamedTuple):
    """What a process does with signals.

    Attributes:
        pid: its pid in the namespace of pyinit.
        namespace_pid: its pid in its own namespace.
        name: its name, made safe to show.
        state: its state, in words.
        is_machines_init: whether it is the init of the whole machine.
        in_orphaned_group: whether its process group is orphaned (POSIX); None if unknown.
        ignored, caught: the signals that it ignores, and those that it has handlers for.
        pending: the signals that are pending for the process as a whole.
        threads: the first thread, which may have exited, and all others that have not.
    """

    pid: int
    namespace_pid: int
    name: str
    state: str
    is_machines_init: bool
    in_orphaned_group: bool | None
    ignored: frozenset[int]
    caught: frozenset[int]
    pending: frozenset[int]
    threads: tuple[Thread, ...]

    @property
    def is_init(self) -> bool:
        """Whether it is PID 1 of its namespace."""
        return self.namespace_pid == 1

    @property
    def is_of_kernel(self) -> bool:
        """Whether it is a kernel thread: no other process can ignore SIGKILL."""
        return signals.SIGKILL in self.ignored

    @property
    def living(self) -> tuple[Thread, ...]:
        """Its threads that have not exited; never empty."""
        return tuple(thread for thread in self.threads if thread.is_alive)

    @property
    def is_traced(self) -> bool:
        """Whether a process such as strace traces any of its threads."""
        return any(thread.tracer or thread.state == "t" for thread in self.living)

    @property
    def is_stopped(self) -> bool:
        """Whether it is stopped, by a signal or by a tracer."""
        return all(thread.state in {"T", "t"} for thread in self.living)


class Verdict(NamedTuple):
    """What happens to a signal.

    Attributes:
        word: DELIVERED to its handler, TAKEN by a thread that waits for it, HELD while it is
            blocked, IGNORED, DROPPED because PID 1 has no handler, KILLS, STOPS or CONTINUES.
        is_sure: False if something unknown may make a difference.
    """

    word: str
    is_sure: bool = True


def default_action(signum: int) -> str:
    """Return the default action of a signal (signal(7))."""
    return DEFAULTS.get(signum, END)


def judge(process: Process, signum: int, *, inside: bool) -> Verdict | None:
    """Return what happens to a signal that is sent to a process.

    Args:
        process: the process.
        signum: the signal.
        inside: whether the sender is in the PID namespace of the process, not in an outer one.

    Returns:
        None if there can be no such sender: the init of the machine has no outer namespace.
    """
    if process.is_machines_init and not inside:
        return None
    verdict = _untraced(process, signum, inside=inside)
    return Verdict(verdict.word, is_sure=False) if _is_told_first(process, signum) else verdict


def _is_told_first(process: Process, signum: int) -> bool:
    """Tell whether a tracer decides on the signal."""
    return process.is_traced and signum != signals.SIGKILL


def _untraced(process: Process, signum: int, *, inside: bool) -> Verdict:
    if process.is_stopped and signum == signals.SIGCONT:
        return Verdict(CONTINUES)
    word = _of_disposition(process, signum, inside=inside)
    is_kept = _keeps(process.threads[0], signum)
    if process.is_stopped and signum != signals.SIGKILL:
        return Verdict(HELD if is_kept or not _is_thrown_away(process, signum, word) else word)
    if is_kept or not (process.threads[0].is_alive or _is_thrown_away(process, signum, word)):
        return _of_kept(process, signum, word)
    return _of_first(process, signum, word)


def _of_first(process: Process, signum: int, word: str) -> Verdict:
    """Judge a signal that the first thread gets, or that is discarded at once."""
    first = process.threads[0]
    is_sure = word == DELIVERED or first.awaited is not None or signum in _PRIVILEGED
    if not is_sure and first.waits and first.awaited is None:
        return Verdict(TAKEN, is_sure=False)
    return Verdict(word, is_sure=is_sure and _is_group_known(process, signum, word))


def _of_kept(process: Process, signum: int, word: str) -> Verdict:
    """Judge a kept signal, which goes to a thread that does not block it."""
    takes = any(not _keeps(thread, signum) for thread in process.living)
    if any(signum in (thread.awaited or ()) for thread in process.living):
        return Verdict(TAKEN, is_sure=not takes)
    if takes:
        is_sure = _all_seen(process) and _is_group_known(process, signum, word)
        return Verdict(word, is_sure=is_sure)
    return Verdict(HELD, is_sure=_all_seen(process))


def _keeps(thread: Thread, signum: int) -> bool:
    is_kept = signum in thread.blocked or signum in (thread.awaited or ())
    return is_kept and signum not in _PRIVILEGED


def _is_thrown_away(process: Process, signum: int, word: str) -> bool:
    """Tell whether the signal never becomes pending; those of rule 6 do, for a moment."""
    is_by_group = signum in signals.JOB_CONTROL and signum not in process.ignored
    return word == DROPPED or (word == IGNORED and not is_by_group)


def _all_seen(process: Process) -> bool:
    return all(thread.awaited is not None for thread in process.threads)


def _of_disposition(process: Process, signum: int, *, inside: bool) -> str:
    is_default = signum not in process.ignored and signum not in process.caught
    is_forced = not inside and signum in _PRIVILEGED
    action = default_action(signum)
    if process.is_init and is_default and not is_forced and action not in {IGNORE, CONTINUE}:
        return DROPPED
    return _effect(process, signum)


def _effect(process: Process, signum: int) -> str:
    if signum in process.caught:
        return DELIVERED
    action = default_action(signum)
    if signum in process.ignored or action in {IGNORE, CONTINUE}:
        return IGNORED
    if action == STOP:
        has_no_shell = signum in signals.JOB_CONTROL and process.in_orphaned_group
        return IGNORED if has_no_shell else STOPS
    return KILLS


def _is_group_known(process: Process, signum: int, word: str) -> bool:
    is_asked = word in {STOPS, IGNORED} and signum in signals.JOB_CONTROL
    return not is_asked or process.in_orphaned_group is not None or signum in process.ignored
