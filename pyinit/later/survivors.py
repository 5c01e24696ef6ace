"""Those that the child left behind: who they are, which do not hear, and how it ended for them.

The signals for all of them are sent whether this works or not. Some more are sent in
:meth:`Survivors.look`, to processes that do not hear a SIGTERM.
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

NAMING_SECONDS = 0.2  # SIGKILL waits for it, and then the end
LOOKING_SECONDS = 0.2


class Survivors:
    """What is known of those that the child left behind.

    Attributes:
        gave_up: whether some may be left that SIGKILL has not ended in time.
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
        """Count those that remain, before they are asked to go; zombies count as well.

        Args:
            report: takes the events.
            grace: how long they get, in seconds.
        """
        self._report = report
        self._grace = grace
        self._began = monotonic()
        self._known: set[int] | None = None  # who was there at some time
        self._killed: set[int] = set()
        self._deaf: set[int] = set()  # which drop a SIGTERM
        self._is_killing = False  # their time is over: each one that is reaped may be one of them
        self._peeked: Look | None = None
        self._named: list[tuple[int, Stat]] = []  # of whom is still to be told
        self._seconds_named = 0.0  # when that was
        self.gave_up = False
        if report.verbosity >= INFO:
            found = pids()  # nobody: they are hidden (hidepid), for somebody remains
            self._known = set(found) if found else None

    @property
    def killed(self) -> "frozenset[int]":
        """Who got SIGKILL, as far as it was told."""
        return frozenset(self._killed)

    def after(self, step: int, terminal: "Terminal | None") -> bool:
        """Do what comes after a step's signals.

        Args:
            step: one of ``lifecycle``, while they are to go.
            terminal: what pyinit shares with the child; None for none.

        Returns:
            Whether to look again, as :meth:`look` does.
        """
        if step == lifecycle.ASK:
            self.asked()
        elif step == lifecycle.KILL:
            self.tell_named()
        elif step == lifecycle.GIVE_UP:
            self.gave_up = True
        return step == lifecycle.LOOK and self.look(terminal)

    def asked(self) -> None:
        """Tell that they were asked to go, just now."""
        self._began = monotonic()
        remaining = None if self._known is None else len(self._known)
        self._report.tell(INFO, "drain_started", remaining, self._grace)

    def wants_the_dead(self) -> bool:
        """Tell whether there is anything to note of who ends: they are counted, or being killed."""
        return self._known is not None or self._is_killing

    def reaped(self, pid: int, name: str | None, status: int) -> None:
        """Note that ``pid`` has ended.

        Tell of it if it was killed and was not named before: /proc is missing, it had just been
        forked, or there were too many.
        """
        if self._known is not None:
            self._known.add(pid)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == SIGKILL
        if self._is_killing and was_killed and pid not in self._killed:
            self._tell_survivor(pid, name, proc.STATES["X"])

    def look(self, terminal: "Terminal | None") -> bool:
        """Reach processes that SIGTERM does not, some time after all were asked.

        Interactive shells ignore SIGTERM, and what ^Z stopped stops again when it is continued in
        the background: both end when their terminal hangs up, so they get the SIGHUP of a hang-up,
        and SIGCONT, as from the kernel. A shell hands SIGHUP on to its jobs. So nobody gets it in a
        session where a process works on after its SIGTERM.

        PID 1 of a nested PID namespace without a handler is deaf to SIGTERM (pid_namespaces(7)).
        Where it is alone in there it is killed now; else that may be what it waits for.

        Returns:
            Whether to look again: there was somebody on a terminal, deaf and not alone, or perhaps
            deaf, or there was no time to look at everybody.
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
            if monotonic() > end:  # nor was everybody seen, perhaps
                return True
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
        """Name each one that is still there; before SIGKILL, after which there is less to see.

        Args:
            look: what was found out about them, as far as it got.
        """
        self._is_killing = True
        self._peeked = look
        self._named = [(pid, stat) for pid, stat in alive(NAMING_SECONDS)]
        self._seconds_named = self._seconds()

    def tell_named(self) -> None:
        """Tell of those that were named: SIGKILL had not to wait for that."""
        named, self._named = self._named, []
        for pid, stat in named:
            if pid not in self._killed:
                self._tell_survivor(pid, stat.name, stat.in_words(), self._seconds_named)

    def finished(self) -> None:
        """Tell how it ended; who is left may be hidden (hidepid)."""
        left = {pid for pid, _ in alive(NAMING_SECONDS)} if self.gave_up else set()
        is_hidden = self.gave_up and not pids()
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
    """Note which processes remain, before they are asked to go."""
    settings = supervisor.settings
    supervisor.survivors = Survivors(supervisor.report, settings.drain)
    if settings.leftovers:
        from pyinit.later import leftovers

        leftovers.note(supervisor)


def pids() -> list[int] | None:
    """Return the pids of everyone, zombies as well; None where /proc does not tell."""
    if os.getpid() != 1:
        found = descendants.stats()
        return None if found is None else list(found)
    seen = proc.pids()
    return None if seen is None else [pid for pid in seen if pid != 1]


def alive(seconds: float) -> "Iterator[tuple[int, Stat]]":
    """Yield everyone but zombies, as far as /proc tells within so many seconds; the newest first.

    Each comes with what the kernel tells of it.
    """
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
    """Tell whether everybody that is there is dead, and waits for a parent outside to reap it."""
    found = pids()
    if not found:  # hidden (hidepid), for somebody is there
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
    """Tell whether a process is an init below this namespace that drops a SIGTERM.

    None where it is not sure, or not so by now: one that begins blocks signals for a moment.
    """
    if _has_sigterm(stat.ignored | stat.caught) or not proc.is_nested_init(pid):
        return False
    try:
        from pyinit.later import signal_state, verdicts

        verdict = verdicts.judge(signal_state.look(pid, until), SIGTERM, inside=False)
    except Exception:  # noqa: BLE001 - gone, or not to be looked at: then it may hear
        return None
    return True if verdict == verdicts.Verdict(verdicts.DROPPED) else None


def _is_alone(init: int, found: "dict[int, Stat]") -> bool:
    """Tell whether nobody is below an init, nor in its namespace, as `docker exec` brings in."""
    own = proc.pid_namespace(init)
    return own is not None and not any(
        stat.parent == init or proc.pid_namespace(pid) in {own, None}
        for pid, stat in found.items()
        if pid != init
    )
