"""What the loop does beyond its usual case: options, a terminal, the exit of the child, a drain.

Loaded before the fork if an option or the environment needs it, and otherwise when it is needed
first. From then on the supervisor acts as the ``lifecycle`` decides.
"""

import posix
from errno import ENOENT  # builtin
from time import monotonic

from pyinit import child as children
from pyinit import lifecycle, processes, signals
from pyinit.child import UNKNOWN_CODE
from pyinit.processes import BATCH, RETRY_SECONDS
from pyinit.report import Report
from pyinit.settings import DEBUG, INFO, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from resource import struct_rusage
    from signal import struct_siginfo

    from pyinit.child import Child
    from pyinit.later.last_words import LastWords
    from pyinit.later.leftovers import Leftovers
    from pyinit.later.look import Look
    from pyinit.later.survivors import Survivors
    from pyinit.settings import Settings

UNKNOWN_STATUS = UNKNOWN_CODE << 8  # of waitpid(2), if the kernel never told it
REAPING_SECONDS = 0.05  # after the child has exited: zombies need no drain
TIMED_OUT_CODE = 124  # as timeout(1) has it
LOOK_AGAIN_SECONDS = 0.02  # if all that is left is not ours to reap, so that no signal comes


class Supervisor:
    """The rest of the loop, and its state, which the modules in ``later/`` log.

    Attributes:
        settings: what the user asked for.
        child: the child.
        report: logs the events.
        lifecycle: decides what to do, and when.
        asked_by: the first request to stop, and the name of its sender.
        peeked: the last look at processes that do not stop; None if there was none.
        escalated: the signal of the last step of ``-k`` after the first one; 0 before.
        has_killed: whether SIGKILL was sent.
        ending: of the child: its status, how many seconds it ran, how many processes were OOM
            killed meanwhile, and the reason; None while it runs.
        usage: the resources that the child used, if they are logged.
        survivors: the processes that the child left behind, once they are asked to exit.
        leftovers: the same for ``--leftovers``.
        last_words: what was written to the termination log before the end.
    """

    __slots__ = (
        "_code",
        "_has_begun",
        "asked_by",
        "child",
        "ending",
        "escalated",
        "has_killed",
        "last_words",
        "leftovers",
        "lifecycle",
        "peeked",
        "report",
        "settings",
        "survivors",
        "usage",
    )

    def __init__(self, settings: "Settings", child: "Child", reserve: bytes | None) -> None:
        """Get ready.

        Args:
            settings: what the user asked for.
            child: the child, which runs already or will.
            reserve: memory to free when there is none left; None if it is used up.
        """
        self.settings = settings
        self.child = child
        self.report = Report(settings, reserve)
        self.lifecycle = lifecycle.Lifecycle(settings, may_drain=True)
        self._code: int | None = None
        self._has_begun = child.pid > 0  # then the start is not logged
        self.asked_by: tuple[struct_siginfo, str | None] | None = None
        self.peeked: Look | None = None
        self.escalated = 0
        self.has_killed = False
        self.ending: tuple[int, float, int, str] | None = None
        self.usage: struct_rusage | None = None
        self.survivors: Survivors | None = None
        self.leftovers: Leftovers | None = None
        self.last_words: LastWords | None = None
        if self._has_begun:
            self.report.open()
        self._note_child()  # it may have been reaped with orphans

    def prepare(self) -> None:
        """Prepare, before the fork, what an option or the environment needs.

        Raises:
            StartError: it is not possible, and the user relies on it.
        """
        settings = self.settings
        if settings.parent_death_signal or posix.getpid() != 1:
            from pyinit.before import prctls

            adopts = prctls.prepare(settings, self.report)
            self.lifecycle = lifecycle.Lifecycle(settings, may_drain=adopts)
        elif settings.subreaper:
            self.report.tell(DEBUG, "subreaper_needless")
        if children.has_terminal():
            from pyinit.before.terminal import Terminal

            self.child.terminal = Terminal(group=settings.group)

    def begin(self) -> None:
        """Log the start, now that the child runs."""
        self._has_begun = True
        self.lifecycle.child_began(self.child.began)
        self.report.open()
        self.report.tell(INFO, "child_started", self.child.pid, self.settings.command[0])
        if posix.getpid() != 1:
            from pyinit.later import descendants  # noqa: F401 - it may be removed later
        if posix.getppid() == 1:
            from pyinit.later import shell_above

            shell_above.tell(self.report)
        if self.settings.unknown:
            from pyinit.later import variables

            variables.tell(self.report, self.settings.unknown)

    def is_over(self) -> bool:
        """Tell whether the child has exited and there are no processes left to wait for."""
        return self.lifecycle.state == lifecycle.DONE

    def forward(self, received: "struct_siginfo") -> None:
        """Forward a signal, as the lifecycle decides."""
        life, child = self.lifecycle, self.child
        pid = child.pid if life.status is None else 0
        if child.terminal is not None and child.terminal.has_told(pid, received):
            return
        order = life.receive(received.si_signo, monotonic())
        if order is None:
            self.report.tell(INFO, "signal_dropped", received)
            return
        target, signum = order
        if life.asked is not None and self.asked_by is None:
            sender = received.si_pid if received.si_code <= 0 else 0
            self.asked_by = received, _name(sender) if sender > 0 else None  # it may exit soon
        if child.terminal is not None and pid:
            child.terminal.passes(signum, pid)
        error = self._send(target, (signum,))
        if child.terminal is not None and signum == signals.SIGCONT:
            child.terminal.note_undone()
        facts = (received, signum, target, child.pid)
        if error is None:
            self.report.tell(INFO, "signal_forwarded", *facts)
        else:
            self.report.tell(WARNING, "forward_refused", *facts, error)

    def _send(self, target: int, signums: tuple[int, ...]) -> OSError | None:
        """Send signals, in this order, to a target of the lifecycle; return the error, if any."""
        is_alive = self.lifecycle.status is None
        pid = self.child.pid if is_alive else 0
        try:
            if target == lifecycle.EVERYONE and posix.getpid() != 1:
                self._send_to_descendants(signums, pid)
            else:
                send = SENDERS[target]
                for signum in signums:
                    send(pid, signum)
            self.has_killed = self.has_killed or signals.SIGKILL in signums
        except OSError as error:
            if isinstance(error, ProcessLookupError) and not is_alive:
                return None  # the last process has just exited
            return error
        except BaseException as error:  # noqa: BLE001 - an error from /proc must not end this
            self.report.tell_error(error)
        return None

    def _send_to_descendants(self, signums: tuple[int, ...], pid: int) -> None:
        try:
            from pyinit.later import descendants
        except BaseException as error:  # noqa: BLE001 - for example it was removed
            self.report.tell_error(error)
            for signum in signums if pid else ():
                processes.send(pid, signum)
        else:
            descendants.send(signums, pid)

    def reap(self) -> None:
        """Reap zombies, with their names if these are logged.

        Only so many at a time: a storm of orphans must not hold up signals.
        """
        life, left = self.lifecycle, BATCH
        began = monotonic()
        life.reap_at = None
        self._note_child()
        while left > 0 or (life.status is not None and monotonic() < began + REAPING_SECONDS):
            left -= 1
            try:
                if self._is_quiet() and self.report.verbosity < INFO:  # INFO logs its usage
                    left -= BATCH
                    found = processes.reap_orphans(self.child, BATCH)
                    self._note_child()
                    if found == processes.MORE:
                        continue
                    if found == processes.NONE:
                        return
                dead = processes.next_dead()
            except ChildProcessError:
                self._note_no_children()
                return
            except OSError as error:  # for example a seccomp filter
                self.report.tell_error(error)
                self._reap_unseen()
                return
            if dead is None:
                return
            if not self._take(*dead):
                life.reap_at = began + RETRY_SECONDS
                return
        life.reap_at = began

    def _is_quiet(self) -> bool:
        """Tell whether orphans are not logged, so that they only have to be reaped."""
        if self.survivors is not None and self.survivors.wants_the_dead():
            return False
        return self._orphan_level() > self.report.verbosity

    def _wants_name(self, pid: int, status: int) -> bool:
        if self._orphan_level() <= self.report.verbosity:
            return True
        if self.survivors is None or not self.survivors.wants_name(pid):
            return False
        return posix.WIFSIGNALED(status) and posix.WTERMSIG(status) == signals.SIGKILL

    def _orphan_level(self) -> int:
        """Return the level at which orphans are logged: during a stop ``-v`` is enough."""
        if self.settings.warn_on_reap:
            return WARNING
        return INFO if self.lifecycle.stopping else DEBUG

    def _take(self, pid: int, status: int) -> bool:
        """Reap a zombie; return whether that was possible."""
        if pid == self.child.pid and self.child.status is None:
            self.lifecycle.child_died(status, monotonic())  # before an error can occur
            name, taken = None, self._take_child(status)
        else:
            name = _name(pid) if self._wants_name(pid, status) else None
            taken = processes.take(pid)
        if taken is not None:
            self._note_dead(pid, name, taken)
        return taken is not None

    def _take_child(self, status: int) -> int | None:
        if not status and self.report.verbosity < INFO:
            return processes.take(self.child.pid)
        taken, self.usage = processes.take_with_usage(self.child.pid)
        return taken

    def _note_dead(self, pid: int, name: str | None, status: int) -> None:
        if pid == self.child.pid and self.child.status is None:
            self.child.status = status
            self._note_child()
            return
        level = self._orphan_level()
        if self.survivors is not None:
            if level <= self.report.verbosity:
                self.survivors.tell_named()  # that it is killed, before that it was reaped
            self.survivors.reaped(pid, name, status)
        self.report.tell(level, "orphan_reaped", pid, name, status)

    def _note_child(self) -> None:
        """Note that the child is reaped, if it is: its status from then counts."""
        if self.child.status is not None:
            self.lifecycle.child_died(self.child.status, monotonic())

    def _reap_unseen(self) -> None:
        for _ in range(BATCH):
            try:
                dead = processes.take_any()
            except ChildProcessError:
                self._note_no_children()
                return
            if dead is None:
                return
            pid, status = dead
            self._note_dead(pid, None, status)
        self.lifecycle.reap_at = monotonic()

    def _note_no_children(self) -> None:
        if self.lifecycle.status is None:
            if not processes.is_gone(self.child.pid):
                msg = "the kernel reports no children, but the child is not reaped yet"
                raise ChildProcessError(msg)
            self.child.status = UNKNOWN_STATUS  # it was lost by an error
            self._note_child()
        if processes.is_anybody_here() and not _are_zombies():
            self.lifecycle.reap_at = monotonic() + LOOK_AGAIN_SECONDS
        else:
            self.lifecycle.nobody_left()

    def settle(self) -> None:
        """Handle a child that has stopped or exited: the terminal, the code, the log."""
        if not self._has_begun:  # because of an error
            self.begin()
        status, child = self.lifecycle.status, self.child
        if status is None:
            if child.terminal is not None:
                child.terminal.follow_stop(child.pid)
            return
        if self._code is not None:
            return
        self._code = children.exit_code(status)
        if child.terminal is not None:
            child.terminal.take_back(child.pid)
        self._try(self._tell_end, status)

    def _tell_end(self, status: int) -> None:
        failure = self._failed_exec()
        if failure:
            from pyinit.later import exec_failure

            self._code = exec_failure.tell(self.report, self.settings.command[0], failure)
        else:
            from pyinit.later import outcome

            outcome.tell(self, status)

    def _failed_exec(self) -> bytes:
        # The child has exited, so the pipe has all of it; it is empty if exec succeeded.
        try:
            return posix.read(self.child.failure, 65536)
        except OSError:
            return b""

    def take_step(self) -> None:
        """Do what is due now, even if it cannot be logged."""
        if self.peeked is not None and self.peeked.is_over:
            self.lifecycle.peeked(monotonic())
        due = self.lifecycle.due(monotonic())
        if due is None:
            return
        step, target, signums = due
        self._try(self._tell_step, step, target, signums)
        error = self._send(target, signums) if signums else None
        if error is not None and step not in lifecycle.REPEATED:
            facts = (signums[0], target, self.child.pid, error)
            self.report.tell(WARNING, "kill_refused", *facts)
        number = (error.errno if error is not None else 0) or 0
        self._try(self._note_step, step, number)
        self.lifecycle.sent(step, number, monotonic())

    def _try(self, act: "Callable[..., None]", *arguments: object) -> None:
        try:
            act(*arguments)
        except BaseException as error:  # noqa: BLE001 - what comes next must happen nevertheless
            self.report.tell_error(error)

    def _tell_step(self, step: int, target: int, signums: tuple[int, ...]) -> None:
        if step == lifecycle.ASK:
            from pyinit.later import survivors

            survivors.note(self)
        elif step == lifecycle.KILL and self.survivors is not None:
            self.survivors.name_all(self.peeked)
        elif step in lifecycle.OF_SLOW_STOPS:
            from pyinit.later import steps

            steps.tell(self, step, target, signums)

    def _note_step(self, step: int, number: int) -> None:
        if number == ENOENT and step in lifecycle.ASKING:
            self.survivors = None  # no process can be found, so there is none to wait for
        elif self.survivors is not None and self.survivors.after(step, self.child.terminal):
            self.lifecycle.look_again(monotonic())

    def leave(self) -> int:
        """Log the end; return the exit code."""
        self._try(self.settle)  # in case of an error before
        self._try(self._end)
        code = self._final_code()
        if not code and self.settings.leftovers:
            self._try(self._tell_leftovers)
            if self.leftovers:
                code = self.settings.leftovers
        self._try(self._leave_word, code)
        self.report.close()
        if not code:
            return 0
        terminal, life = self.child.terminal, self.lifecycle
        if terminal is not None and life.status == signals.SIGINT and not life.timed_out:
            self._try(terminal.die_as_child_did)
        return code

    def _final_code(self) -> int:
        """Return the exit code, without ``--leftovers``."""
        code, status = self._code, self.lifecycle.status or 0
        if code is None:
            code = UNKNOWN_CODE
        was_killed = posix.WIFSIGNALED(status) and posix.WTERMSIG(status) == signals.SIGKILL
        if self.lifecycle.timed_out and not was_killed:  # as timeout(1)
            code = TIMED_OUT_CODE
        return 0 if code in self.settings.expected_codes else code

    def _tell_leftovers(self) -> None:
        from pyinit.later import leftovers

        leftovers.tell(self)

    def _end(self) -> None:
        if self.survivors is not None:
            self.survivors.finished()
        if self.child.terminal is not None:
            self.child.terminal.end_loan(self.child.pid)

    def _leave_word(self, code: int) -> None:
        from pyinit.later import outcome

        outcome.leave_word(self, code)


SENDERS = (processes.send, processes.send_to_group, processes.send_to_all)  # by target


def _name(pid: int) -> str | None:
    try:
        from pyinit.later import proc

        return proc.name(pid)
    except BaseException:  # noqa: BLE001 - for example pyinit was upgraded meanwhile: then no name
        return None


def _are_zombies() -> bool:
    # kill(2) reaches zombies as well, but only their parents can reap them.
    try:
        from pyinit.later import survivors

        return survivors.are_zombies()
    except BaseException:  # noqa: BLE001 - if it is not known, wait until the deadline
        return False
