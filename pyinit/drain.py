"""Tell of a drain: which processes the child left behind, which did not exit in time, how it ended.

The signals for all of them are sent whether this works or not. It sends some of its own, in
:meth:`Drain.look`, to processes that do not hear a SIGTERM.
"""

import os
from time import monotonic

from pyinit import descendants, everyone, procfs, signals
from pyinit.settings import INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.procfs import Stat
    from pyinit.report import Keys, Report
    from pyinit.terminal import Terminal

NAMING_SECONDS = 0.2  # SIGKILL waits for it, and then the end
LOOKING_SECONDS = 0.2

DEAF = (
    "it is PID 1 of a PID namespace of its own and has no handler for SIGTERM, so the kernel drops "
    "that: run it under an init of its own, or give it a handler"
)


class Drain:
    """What is known of those that the child left behind.

    Attributes:
        is_killing: whether their time is over, so that each one that is reaped may be a survivor.
    """

    __slots__ = ("_began", "_deaf", "_grace", "_killed", "_known", "_report", "is_killing")

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
        self.is_killing = False
        if report.wants(INFO):
            found = everyone.pids()  # nobody: they are hidden (hidepid), for somebody remains
            self._known = set(found) if found else None

    def started(self) -> None:
        """Tell that they were asked, just now."""
        self._began = monotonic()
        remaining = None if self._known is None else len(self._known)
        keys: Keys = {"remaining": remaining, "grace_seconds": self._grace}
        self._report.tell(INFO, "drain_started", lambda: keys)

    def wants_the_dead(self) -> bool:
        """Tell whether there is anything to note of who ends: they are counted, or being killed."""
        return self._known is not None or self.is_killing

    def reaped(self, pid: int, name: str | None, status: int) -> None:
        """Note that ``pid`` has ended.

        Tell of it if it was killed and was not named before: /proc is missing, it had just been
        forked, or there were too many.
        """
        if self._known is not None:
            self._known.add(pid)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signals.SIGKILL
        if self.is_killing and was_killed and pid not in self._killed:
            self._tell_survivor(pid, name, procfs.STATES["X"])

    def look(self, terminal: "Terminal") -> bool:
        """Reach processes that SIGTERM does not, some time after all were asked.

        Interactive shells ignore SIGTERM, and what ^Z stopped stops again when it is continued in
        the background: both end when their terminal hangs up, so they get the SIGHUP of a hang-up,
        and SIGCONT, as from the kernel. A shell hands SIGHUP on to its jobs. So nobody gets it in a
        session where a process works on after its SIGTERM.

        PID 1 of a nested PID namespace without a handler is deaf to SIGTERM (pid_namespaces(7)).
        Where it is alone in there it is killed now; else that may be what it waits for.

        Returns:
            Whether to look again: there was somebody on a terminal, or deaf and not alone.
        """
        end = monotonic() + LOOKING_SECONDS
        found = dict(everyone.alive(LOOKING_SECONDS))
        on_terminals = {pid: stat for pid, stat in found.items() if stat.has_terminal}
        unheard = {pid for pid, stat in on_terminals.items() if _does_not_hear(stat)}
        busy = {on_terminals[pid].session for pid in on_terminals.keys() - unheard}
        for pid in unheard:
            stat = on_terminals[pid]
            if stat.session not in busy:
                if stat.is_stopped():
                    terminal.lend(stat.group)
                descendants.send_to(pid, stat.birth, (signals.SIGHUP, signals.SIGCONT))
        for pid, stat in found.items():
            if monotonic() > end:  # nor was everybody seen, perhaps
                break
            if _is_deaf(pid, stat):
                self._deaf.add(pid)
                if _is_alone(pid, found):
                    self._tell_survivor(pid, procfs.name(pid), procfs.state(pid))
                    descendants.send_to(pid, stat.birth, (signals.SIGKILL,))
        return bool(on_terminals or self._deaf - self._killed)

    def lost_patience(self) -> None:
        """Name each one that is still there; before SIGKILL, after which there is less to see."""
        self.is_killing = True
        for pid, _ in everyone.alive(NAMING_SECONDS):
            self._tell_survivor(pid, procfs.name(pid), procfs.state(pid))

    def finished(self, *, gave_up: bool) -> None:
        """Tell how it ended; who is left may be hidden (hidepid)."""
        left = {pid for pid, _ in everyone.alive(NAMING_SECONDS)} if gave_up else set()
        is_hidden = gave_up and not everyone.pids()
        level = WARNING if left or is_hidden else INFO
        number = None if is_hidden else len(left)
        self._report.tell(level, "drain_finished", lambda: self._keys_of_end(left, number))

    def _tell_survivor(self, pid: int, name: str | None, state: str | None) -> None:
        self._killed.add(pid)
        keys: Keys = {"pid": pid, "name": name, "state": state, "seconds": self._seconds()}
        if pid in self._deaf:
            keys["reason"] = DEAF
        self._report.tell(WARNING, "drain_survivor", lambda: keys)

    def _keys_of_end(self, left: set[int], number: int | None) -> "Keys":
        finished = None if self._known is None else len(self._known - self._killed - left)
        return {
            "finished": finished,
            "killed": len(self._killed - left),
            "left": number,
            "seconds": self._seconds(),
        }

    def _seconds(self) -> float:
        return round(monotonic() - self._began, 3)


def _has_sigterm(bitmap: int) -> bool:
    return bool(bitmap >> (signals.SIGTERM - 1) & 1)


def _does_not_hear(stat: "Stat") -> bool:
    return stat.is_stopped() or _has_sigterm(stat.ignored)


def _is_deaf(pid: int, stat: "Stat") -> bool:
    """Tell whether a process is an init below this namespace that surely drops a SIGTERM."""
    if _has_sigterm(stat.ignored | stat.caught) or not procfs.is_nested_init(pid):
        return False
    try:
        from pyinit import inspection, verdicts

        verdict = verdicts.judge(inspection.look(pid), signals.SIGTERM, inside=False)
    except Exception:  # noqa: BLE001 - gone, or not to be looked at: then it may hear
        return False
    return verdict == verdicts.Verdict(verdicts.DROPPED)


def _is_alone(init: int, found: "dict[int, Stat]") -> bool:
    """Tell whether nobody is below an init, nor in its namespace, as `docker exec` brings in."""
    own = procfs.pid_namespace(init)
    return own is not None and not any(
        stat.parent == init or procfs.pid_namespace(pid) in {own, None}
        for pid, stat in found.items()
        if pid != init
    )
