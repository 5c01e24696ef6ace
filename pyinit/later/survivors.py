"""The processes that the child left behind, in the drain: which they are, and how each one ended.

The signals to all of them are sent elsewhere, even if this module fails. :meth:`Survivors.look`
sends more signals, to processes on which SIGTERM has no effect.
"""

import os
from time import monotonic

from pyinit import lifecycle
from pyinit.later import descendants, proc
from pyinit.settings import INFO, WARNING
from pyinit.signals import SIGCONT, SIGHUP, SIGKILL, SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyinit.later.proc import Stat
    from pyinit.later.look import Look
    from pyinit.before.terminal import Terminal
    from pyinit.report import Report
    from pyinit.supervisor import Supervisor

NAMING_SECONDS = 0.2  # SIGKILL waits for it, and later the exit of pyinit
LOOKING_SECONDS = 0.2


class Survivors:
    """What is known of the processes that the child left behind.

    Attributes:
        gave_up: whether some may still be there after SIGKILL and a time.
    """

    __slots__ = (
        "_began",
        "_deaf",
        "_grace",
        "_is_killing",
        "_killed",
        "_known",
        "_named",
        "_peeked",
        "_report",
        "_seconds_named",
        "gave_up",
    )

    def __init__(self, report: "Report", grace: float) -> None:
        """Count them before they are asked to stop; zombies count as well.

        Args:
            report: takes the events.
            grace: how many seconds they get.
        """
        self._report = report
        self._grace = grace
        self._began = monotonic()
        self._known: set[int] | None = None  # each pid that was seen
        self._killed: set[int] = set()
        self._deaf: set[int] = set()  # those for which the kernel drops SIGTERM
        self._is_killing = False  # the time is over: each process that is reaped may be one of them
        self._peeked: Look | None = None
        self._named: list[tuple[int, Stat]] = []  # those that are not logged yet
        self._seconds_named = 0.0  # when they were named
        self.gave_up = False
        if report.verbosity >= INFO:
            found = pids()  # empty: /proc hides them (hidepid), since some are left
            self._known = set(found) if found else None

    @property
    def killed(self) -> "frozenset[int]":
        """The pids that got SIGKILL, as far as they were logged."""
        return frozenset(self._killed)

    def after(self, step: int, terminal: "Terminal | None") -> bool:
        """Do what comes after the signals of a step.

        Args:
            step: a step of the drain in ``lifecycle``.
            terminal: the terminal that pyinit shares with the child; None for none.

        Returns:
            Whether to look again, as :meth:`look` does.
        """
        if step == lifecycle.ASK:
            self.asked()
        elif step in {lifecycle.KILL_AGAIN, lifecycle.GIVE_UP}:
            self.gave_up = step == lifecycle.GIVE_UP
            self.tell_named()
        return step == lifecycle.LOOK and self.look(terminal)

    def asked(self) -> None:
        """Log that they were asked to stop just now."""
        self._began = monotonic()
        remaining = None if self._known is None else len(self._known)
        self._report.tell(INFO, "drain_started", remaining, self._grace)

    def wants_the_dead(self) -> bool:
        """Tell whether to record each process that exits: to count it, or after SIGKILL."""
        return self._known is not None or self._is_killing

    def wants_name(self, pid: int) -> bool:
        """Tell whether `reaped` needs the name of a process that SIGKILL has ended."""
        return self._is_killing and pid not in self._killed

    def reaped(self, pid: int, name: str | None, status: int) -> None:
        """Record that ``pid`` has exited.

        Log it if SIGKILL killed it and it was not named before, because /proc is missing, it had
        just been forked, or there were too many.
        """
        if self._known is not None:
            self._known.add(pid)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == SIGKILL
        if was_killed and self.wants_name(pid):
            self._tell_survivor(pid, name, proc.STATES["X"])

    def look(self, terminal: "Terminal | None") -> bool:
        """Reach processes on which SIGTERM has no effect, some time after all were asked.

        Interactive shells ignore SIGTERM. A process that ^Z stopped stops again when it is
        continued in the background. Both end when their terminal hangs up, so they get SIGHUP and
        SIGCONT, as from the kernel. A shell forwards SIGHUP to its jobs. So no process gets it in a
        session where another one still works after SIGTERM.

        The kernel drops SIGTERM for PID 1 of a nested PID namespace without a handler ("deaf" in
        this module; pid_namespaces(7)). If it is alone in its namespace it is killed now; else it
        may wait for the others.

        Returns:
            Whether to look again: a process has a terminal, is deaf and not alone, or is perhaps
            deaf, or the time was too short to look at all.
        """
        end = monotonic() + LOOKING_SECONDS
        found = dict(alive(LOOKING_SECONDS))
        on_terminals = {pid: stat for pid, stat in found.items() if stat.has_terminal}
        unheard = {pid for pid, stat in on_terminals.items() if _does_not_hear(stat)}
        busy = {on_terminals[pid].session for pid in on_terminals.keys() - unheard}
        for pid in unheard:
            stat = on_terminals[pid]
            if stat.session not in busy:
                if stat.is_stopped() and terminal is not None:
                    terminal.lend(stat.group)
                descendants.send_to(pid, stat.birth, (SIGHUP, SIGCONT))
        is_sure = True
        for pid, stat in found.items():
            if monotonic() > end:  # alive() may have ended early, too
                return True
            if pid in self._killed:  # an init exits after all in its namespace are reaped
                continue
            is_deaf = _is_deaf(pid, stat, end)
            if is_deaf is None:
                is_sure = False
            elif is_deaf:
                self._deaf.add(pid)
                if _is_alone(pid, found):
                    self._tell_survivor(pid, proc.name(pid), proc.state(pid))
                    descendants.send_to(pid, stat.birth, (SIGKILL,))
        return bool(on_terminals or self._deaf - self._killed or not is_sure)

    def name_all(self, look: "Look | None") -> None:
        """Record each one that is still there, before SIGKILL: after that there is less to see.

        Args:
            look: what was found out about them so far.
        """
        self._is_killing = True
        self._peeked = look
        self._named = [each for each in alive(NAMING_SECONDS) if each[0] not in self._killed]
        self._killed.update(pid for pid, _ in self._named)
        self._seconds_named = self._seconds()
        if look is not None:
            look.keep()

    def tell_named(self) -> None:
        """Log those that were named.

        SIGKILL does not wait for it, and it waits until most of them were reaped: the thread of the
        log would take time from that. If orphans are logged, it comes before the first of these.
        """
        named, self._named = self._named, []
        for pid, stat in named:
            self._tell_survivor(pid, stat.name, stat.in_words(), self._seconds_named)

    def finished(self) -> None:
        """Log how the drain ended; /proc may hide the processes that are left (hidepid)."""
        self.tell_named()
        end = monotonic() + NAMING_SECONDS
        left = {pid for pid, _ in alive(NAMING_SECONDS)} if self.gave_up else set()
        # Where none was found, there may not have been enough time.
        is_hidden = self.gave_up and not left and (monotonic() > end or not pids())
        finished = None if self._known is None else len(self._known - self._killed - left)
        number = None if is_hidden else len(left)
        level = WARNING if left or is_hidden else INFO
        killed = len(self._killed - left)
        self._report.tell(level, "drain_finished", finished, killed, number, self._seconds())

    def _tell_survivor(
        self, pid: int, name: str | None, state: str | None, seconds: float | None = None
    ) -> None:
        self._killed.add(pid)
        is_deaf = pid in self._deaf
        seconds = self._seconds() if seconds is None else seconds
        facts = (pid, name, state, seconds, is_deaf, self._peeked)
        self._report.tell(WARNING, "drain_survivor", *facts)

    def _seconds(self) -> float:
        return round(monotonic() - self._began, 3)


def note(supervisor: "Supervisor") -> None:
    """Record which processes are left, before they are asked to stop."""
    settings = supervisor.settings
    supervisor.survivors = Survivors(supervisor.report, settings.drain)
    if settings.leftovers:
        from pyinit.later import leftovers

        leftovers.note(supervisor)


def pids() -> list[int] | None:
    """Return the pids of all, zombies as well; None if /proc does not show them."""
    if os.getpid() != 1:
        found = descendants.stats()
        return None if found is None else list(found)
    seen = proc.pids()
    return None if seen is None else [pid for pid in seen if pid != 1]


def alive(seconds: float) -> "Iterator[tuple[int, Stat]]":
    """Yield all but zombies that /proc shows within so many seconds, with a Stat; newest first."""
    end = monotonic() + seconds
    for pid, stat in _stats(seconds):
        if stat is not None and not stat.is_dead():
            yield pid, stat
        if monotonic() > end:
            return


def _stats(seconds: float) -> "Iterator[tuple[int, Stat | None]]":
    if os.getpid() != 1:
        yield from sorted((descendants.stats(seconds) or {}).items(), reverse=True)
        return
    for pid in sorted(pids() or (), reverse=True):
        yield pid, proc.stat(pid)


def are_zombies() -> bool:
    """Tell whether all that are left are zombies, which a parent outside has to reap."""
    found = pids()
    if not found:  # hidden (hidepid), since some are there
        return False
    for pid in found:
        stat = proc.stat(pid)
        if stat is None or not stat.is_dead():
            return False
    return True


def _has_sigterm(bitmap: int) -> bool:
    return bool(bitmap >> (SIGTERM - 1) & 1)


def _does_not_hear(stat: "Stat") -> bool:
    return stat.is_stopped() or _has_sigterm(stat.ignored)


def _is_deaf(pid: int, stat: "Stat", until: float) -> bool | None:
    """Tell whether a process is the init of a nested namespace, for which SIGTERM is dropped.

    None if that is unknown yet: a process that starts blocks signals for a moment.
    """
    if _has_sigterm(stat.ignored | stat.caught) or not proc.is_nested_init(pid):
        return False
    try:
        from pyinit.later import signal_state, verdicts

        verdict = verdicts.judge(signal_state.look(pid, until), SIGTERM, inside=False)
    except Exception:  # noqa: BLE001 - it is gone, or pyinit may not look
        return None
    return True if verdict == verdicts.Verdict(verdicts.DROPPED) else None


def _is_alone(init: int, found: "dict[int, Stat]") -> bool:
    """Tell whether no other process is below an init, or in its namespace (`docker exec`)."""
    own = proc.pid_namespace(init)
    return own is not None and not any(
        stat.parent == init or proc.pid_namespace(pid) in {own, None}
        for pid, stat in found.items()
        if pid != init
    )
