"""What the kernel does with a signal that is sent to a process: the rules, and no system call.

They are those of kernel/signal.c, for a signal that kill(2) sends and that the sender may send:

1. SIGCONT continues a stopped process, whatever the process does with it (prepare_signal).
2. A signal that the first thread blocks is kept, even if it is ignored: the program may yet change
   its mind (sig_ignored). So is one that it waits for with sigtimedwait(2), which hides it from the
   blocked signals in /proc as long as it waits (real_blocked).
3. PID 1 of a namespace has SIGNAL_UNKILLABLE: what it neither handles nor ignores is dropped. Only
   SIGKILL and SIGSTOP are not, where they come from an outer namespace (sig_task_ignored). The init
   of the machine has no outside.
4. What is ignored is thrown away at once, and so is what is ignored by default.
5. What is kept goes to any living thread that does not block it (complete_signal), and is treated
   as in 3 and 4 then (get_signal). The first thread counts in 2 even when it has ended, not here.
6. SIGTSTP, SIGTTIN and SIGTTOU stop nobody in an orphaned process group (get_signal, POSIX).
7. A stopped process gets nothing but SIGKILL until it is continued.
8. Who traces a process gets every signal first but SIGKILL, ignored ones and SIGSTOP for PID 1 too
   (sig_ignored), and says what becomes of it: nothing is sure then (ptrace_signal).
"""

# Not dataclasses: it takes what there is of typing, half of it while a thread loads structlog.
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
        tracer: the pid of who traces it, 0 if nobody does, or nobody who can be seen.
        blocked: the signals that it blocks.
        pending: those that are pending for it alone.
        awaited: those that it waits for (sigwait and its like); None where that cannot be seen.
        waits: whether it waits for any; None where not even that can be seen.
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
        """Whether it has not ended."""
        return self.state not in {"Z", "X"}


class Process(NamedTuple):
    """What a process does with signals.

    Attributes:
        pid: its pid in the namespace of who looks.
        namespace_pid: its pid in its own namespace.
        name: its name, made safe to show.
        state: what it is doing, in words.
        is_machines_init: whether it is the init of the whole machine.
        in_orphaned_group: whether its process group is orphaned (POSIX); None where unknown.
        ignored, caught: the signals that it ignores, and those that it has handlers for.
        pending: those that are pending for the process as a whole.
        threads: its living threads, after the first one, which may have ended.
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
        """Whether it is a thread of the kernel: nobody else can ignore SIGKILL."""
        return signals.SIGKILL in self.ignored

    @property
    def living(self) -> tuple[Thread, ...]:
        """Its threads that have not ended; never empty."""
        return tuple(thread for thread in self.threads if thread.is_alive)

    @property
    def is_traced(self) -> bool:
        """Whether somebody traces any of its threads, as strace does."""
        return any(thread.tracer or thread.state == "t" for thread in self.living)

    @property
    def is_stopped(self) -> bool:
        """Whether it is stopped, by a signal or by who traces it."""
        return all(thread.state in {"T", "t"} for thread in self.living)


class Verdict(NamedTuple):
    """What becomes of a signal.

    Attributes:
        word: DELIVERED to its handler, TAKEN by who waits for it, HELD while it is blocked,
            IGNORED, DROPPED because PID 1 has no handler, KILLS, STOPS or CONTINUES.
        is_sure: False where what was not to be seen may make a difference.
    """

    word: str
    is_sure: bool = True


def default_action(signum: int) -> str:
    """Return what a signal does to a process that has not said otherwise (signal(7))."""
    return DEFAULTS.get(signum, END)


def judge(process: Process, signum: int, *, inside: bool) -> Verdict | None:
    """Return what becomes of a signal that is sent to a process.

    Args:
        process: the process.
        signum: the signal.
        inside: whether the sender is in the PID namespace of the process; else it is in one above.

    Returns:
        None where there is no such sender: the machine's init has nobody above it.
    """
    if process.is_machines_init and not inside:
        return None
    verdict = _untraced(process, signum, inside=inside)
    return Verdict(verdict.word, is_sure=False) if _is_told_first(process, signum) else verdict


def _is_told_first(process: Process, signum: int) -> bool:
    """Tell whether somebody who traces the process decides on the signal."""
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
    """Judge what the first thread gets, or what is thrown away at once."""
    first = process.threads[0]
    is_sure = word == DELIVERED or first.awaited is not None or signum in _PRIVILEGED
    if not is_sure and first.waits and first.awaited is None:
        return Verdict(TAKEN, is_sure=False)
    return Verdict(word, is_sure=is_sure and _is_group_known(process, signum, word))


def _of_kept(process: Process, signum: int, word: str) -> Verdict:
    """Judge what waits for a thread that does not block it."""
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
    """Tell whether it is not even pending; for 6 it is, until a thread gets to it."""
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
