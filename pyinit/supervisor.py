"""What the loop does beyond its usual case: options, a terminal, the child's end, a drain.

Loaded before the fork where an option or a surrounding asks for it, and otherwise when the first
such thing comes up. From then on it decides by the ``lifecycle``.
"""

import posix
from errno import ENOENT  # builtin
from time import monotonic

from pyinit import child as children
from pyinit import lifecycle, processes, signals
from pyinit.child import UNKNOWN_CODE
from pyinit.processes import BATCH, RETRY_SECONDS
from pyinit.report import Report
from pyinit.settings import DEBUG, ERROR, INFO, WARNING

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

UNKNOWN_STATUS = UNKNOWN_CODE << 8  # of waitpid(2), where it was never told
REAPING_SECONDS = 0.05  # at the end: the dead are nobody to drain
TIMED_OUT_CODE = 124  # as of timeout(1)
OUT_OF_MEMORY = "out of memory, as the cgroup tells"
OF_SHELLS = ("&&", "||", "$", "~", "|", ">")  # in arguments: they mean something to shells
NOBODY_LATER = float("inf"), signals.SIGTERM  # when a drain asked, and with what
LOOK_AGAIN_SECONDS = 0.02  # where the only ones left are not ours to reap, so that no signal tells


class Supervisor:
    """The rest of the loop, and what it knows.

    Attributes:
        report: takes the events.
        lifecycle: decides what is to be done, and when.
    """

    __slots__ = (
        "_asked_by",
        "_child",
        "_code",
        "_ending",
        "_escalated",
        "_has_begun",
        "_has_killed",
        "_last_words",
        "_leftovers",
        "_peeked",
        "_settings",
        "_survivors",
        "_usage",
        "lifecycle",
        "report",
    )

    def __init__(self, settings: "Settings", child: "Child", reserve: bytes | None) -> None:
        """Get ready.

        Args:
            settings: what the user asked for.
            child: the child, which runs already or will.
            reserve: a piece of memory to go on with; None where it is used up.
        """
        self._settings = settings
        self._child = child
        self.report = Report(settings, reserve)
        self.lifecycle = lifecycle.Lifecycle(settings, may_drain=True)
        self._code: int | None = None
        self._has_begun = child.pid > 0  # then there is nothing to tell of the start
        self._usage: struct_rusage | None = None
        self._survivors: Survivors | None = None
        self._peeked: Look | None = None
        self._asked_by: tuple[struct_siginfo, str | None] | None = None  # to stop; its name
        self._ending: tuple[int, float, str] | None = None  # of the child: status, seconds, reason
        self._has_killed = False  # whether SIGKILL was sent
        self._escalated = 0  # the signal of the last step of -k, behind the first
        self._leftovers: Leftovers | None = None
        self._last_words: LastWords | None = None
        if self._has_begun:
            self.report.open()
        self._note_child()  # it may have been reaped with orphans

    def prepare(self) -> None:
        """Make ready before the fork what an option or a surrounding asks for.

        Raises:
            StartError: it cannot be had, and somebody relies on it.
        """
        settings = self._settings
        if settings.parent_death_signal or posix.getpid() != 1:
            from pyinit.before import prctls

            adopts = prctls.prepare(settings, self.report)
            self.lifecycle = lifecycle.Lifecycle(settings, may_drain=adopts)
        elif settings.subreaper:
            self.report.tell(DEBUG, "subreaper_needless")
        if children.has_terminal():
            from pyinit.before.terminal import Terminal

            self._child.terminal = Terminal(group=settings.group)

    def begin(self) -> None:
        """Tell what there is to tell of the start, now that the child runs."""
        self._has_begun = True
        self.lifecycle.child_began(self._child.began)
        self.report.open()
        self.report.tell(INFO, "child_started", self._child.pid, self._settings.command[0])
        if posix.getpid() != 1:
            from pyinit.later import descendants  # noqa: F401 - while it is sure to be there
        if posix.getppid() == 1:
            from pyinit.later import shell_above

            shell_above.tell(self.report)
        if self._settings.unknown:
            from pyinit.later import variables

            variables.tell(self.report, self._settings.unknown)

    def is_over(self) -> bool:
        """Tell whether the child is dead and nobody is left to wait for."""
        return self.lifecycle.state == lifecycle.DONE

    def forward(self, received: "struct_siginfo") -> None:
        """Pass a signal on as the lifecycle has it."""
        life, child = self.lifecycle, self._child
        pid = child.pid if life.status is None else 0
        if child.terminal is not None and child.terminal.has_told(pid, received):
            return
        order = life.receive(received.si_signo, monotonic())
        if order is None:
            self.report.tell(INFO, "signal_dropped", received)
            return
        target, signum = order
        if life.asked is not None and self._asked_by is None:
            pid = received.si_pid if received.si_code <= 0 else 0
            self._asked_by = received, _name(pid) if pid > 0 else None  # it may be gone in a moment
        if child.terminal is not None and pid:
            child.terminal.passes(signum, pid)
        error = self._send(target, (signum,))
        facts = (received, signum, target, child.pid)
        if error is None:
            self.report.tell(INFO, "signal_forwarded", *facts)
        else:
            self.report.tell(WARNING, "forward_refused", *facts, error)

    def _send(self, target: int, signums: tuple[int, ...]) -> OSError | None:
        """Send signals, in their order, to a target of the lifecycle; return what came of it."""
        is_alive = self.lifecycle.status is None
        pid = self._child.pid if is_alive else 0
        try:
            if target == lifecycle.EVERYONE and posix.getpid() != 1:
                self._send_to_descendants(signums, pid)
            else:
                send = SENDERS[target]
                for signum in signums:
                    send(pid, signum)
            self._has_killed = self._has_killed or signals.SIGKILL in signums
        except OSError as error:
            if isinstance(error, ProcessLookupError) and not is_alive:
                return None  # the last of those that remained has just gone
            return error
        except BaseException as error:  # noqa: BLE001 - that of a walk is no reason to stop here
            self.report.tell_error(error)
        return None

    def _send_to_descendants(self, signums: tuple[int, ...], pid: int) -> None:
        try:
            from pyinit.later import descendants
        except BaseException as error:  # noqa: BLE001 - it is not there any more, say
            self.report.tell_error(error)
            for signum in signums if pid else ():
                processes.send(pid, signum)
        else:
            descendants.send(signums, pid)

    def reap(self) -> None:
        """Take the dead, with their names where they are told.

        Only so many, or orphans that come faster than they are reaped would starve the signals.
        """
        life, left = self.lifecycle, BATCH
        began = monotonic()
        life.reap_at = None
        self._note_child()
        while left > 0 or (life.status is not None and monotonic() < began + REAPING_SECONDS):
            left -= 1
            try:
                if self._is_quiet() and self.report.verbosity < INFO:  # what the child used is told
                    left -= BATCH
                    found = processes.reap_orphans(self._child, BATCH)
                    self._note_child()
                    if found == processes.MORE:
                        continue
                    if found == processes.NONE:
                        return
                dead = processes.next_dead()
            except ChildProcessError:
                self._note_no_children()
                return
            except OSError as error:  # a seccomp filter, say
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
        """Tell whether nobody wants to know of orphans, so that they need but be reaped."""
        if self._survivors is not None and self._survivors.wants_the_dead():
            return False
        return self._orphan_level() > self.report.verbosity

    def _wants_name(self, status: int) -> bool:
        if self._orphan_level() <= self.report.verbosity:
            return True
        was_killed = posix.WIFSIGNALED(status) and posix.WTERMSIG(status) == signals.SIGKILL
        return was_killed and not self._is_quiet()  # thousands more may just have exited

    def _orphan_level(self) -> int:
        """Return the level at which orphans are told of; ``-v`` is enough while all are to go."""
        if self._settings.warn_on_reap:
            return WARNING
        return INFO if self.lifecycle.stopping else DEBUG

    def _take(self, pid: int, status: int) -> bool:
        """Reap a zombie; return whether it could be had."""
        if pid == self._child.pid and self._child.status is None:
            self.lifecycle.child_died(status, monotonic())  # before anything can go wrong
            name, taken = None, self._take_child(status)
        else:
            name = _name(pid) if self._wants_name(status) else None
            taken = processes.take(pid)
        if taken is not None:
            self._note_dead(pid, name, taken)
        return taken is not None

    def _take_child(self, status: int) -> int | None:
        if not status and self.report.verbosity < INFO:
            return processes.take(self._child.pid)
        taken, self._usage = processes.take_with_usage(self._child.pid)
        return taken

    def _note_dead(self, pid: int, name: str | None, status: int) -> None:
        if pid == self._child.pid and self._child.status is None:
            self._child.status = status
            self._note_child()
            return
        if self._survivors is not None:
            self._survivors.reaped(pid, name, status)
        self.report.tell(self._orphan_level(), "orphan_reaped", pid, name, status)

    def _note_child(self) -> None:
        """Note that the child is reaped, if it is: what it told then counts."""
        if self._child.status is not None:
            self.lifecycle.child_died(self._child.status, monotonic())

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
            if not processes.is_gone(self._child.pid):
                msg = "the kernel knows of no children, and the child is not reaped yet"
                raise ChildProcessError(msg)
            self._child.status = UNKNOWN_STATUS  # an error came between
            self._note_child()
        if processes.is_anybody_here() and not _are_zombies():
            self.lifecycle.reap_at = monotonic() + LOOK_AGAIN_SECONDS
        else:
            self.lifecycle.nobody_left()

    def settle(self) -> None:
        """See to a child that has stopped, or is dead: its terminal, its code, what to tell."""
        if not self._has_begun:  # an error came between
            self.begin()
        status, child = self.lifecycle.status, self._child
        if status is None:
            if child.terminal is not None:
                child.terminal.follow_stop(child.pid)
            return
        if self._code is not None:
            return
        self._code = children.exit_code(status)
        if child.terminal is not None:
            child.terminal.take_back(child.pid)
        failure = self._failed_exec()
        if failure:
            self._explain(failure)
        else:
            self._tell_end(status)

    def _failed_exec(self) -> bytes:
        # All is in the pipe now that the child is dead: nothing, where the program began.
        try:
            return posix.read(self._child.failure, 65536)
        except OSError:
            return b""

    def _tell_end(self, status: int) -> None:
        child = self._child
        seconds = monotonic() - child.began
        kills, counted = 0, None
        if status and child.oom_kills is not None:  # of a SIGKILL a shell may have made a code
            from pyinit.later import oom

            counted = oom.kills()
            kills = (counted or 0) - child.oom_kills
        reason = "" if kills > 0 else self._reason(status, seconds, counts_oom=counted is not None)
        level = WARNING if kills or reason or self._is_crash(status) else INFO
        facts = (child.pid, status, seconds, self._usage, (kills, reason))
        self.report.tell(level, "child_exited", *facts)
        self._ending = status, seconds, OUT_OF_MEMORY if kills > 0 else reason

    def _reason(self, status: int, seconds: float, *, counts_oom: bool) -> str:
        """Return why the child ended, where neither its status nor pyinit or memory explain it."""
        command = self._settings.command
        if posix.WIFSIGNALED(status):
            if posix.WTERMSIG(status) == self._escalated and self._is_crash(status):
                return "pyinit sent that, a step of -k"
            is_clear = posix.WTERMSIG(status) != signals.SIGKILL or self._has_killed
        else:
            marks = OF_SHELLS if status else OF_SHELLS[:2]  # the others fail where they matter
            is_clear = self.lifecycle.asked is not None or not any(
                mark in word for mark in marks for word in command[1:]
            )
        if is_clear:
            return ""
        from pyinit.later import endings

        return endings.reason(command, status, seconds, counts_oom=counts_oom)

    def _is_crash(self, status: int) -> bool:
        """Tell whether whoever runs the container must know of it, as of no plain stop."""
        signum = posix.WTERMSIG(status) if posix.WIFSIGNALED(status) else 0
        terminal = self._child.terminal
        if signum == signals.SIGPIPE and terminal is not None and terminal.is_job:
            return False  # so a pipeline ends
        return signum not in signals.PLAIN_STOPS

    def _explain(self, failure: bytes) -> None:
        from pyinit.later import exec_failure

        command = self._settings.command[0]
        self._code, number, reason = exec_failure.explain(command, failure)
        self.report.tell(ERROR, "exec_failed", command, self._code, number, reason)

    def take_step(self) -> None:
        """Do what the clocks say is due. That it cannot be told is no reason not to."""
        if self._peeked is not None and self._peeked.is_over:
            self.lifecycle.peeked(monotonic())
        due = self.lifecycle.due(monotonic())
        if due is None:
            return
        step, target, signums = due
        self._try(self._tell_step, step, target, signums)
        error = self._send(target, signums) if signums else None
        if error is not None and step not in lifecycle.REPEATED:
            facts = (signums[0], target, self._child.pid, error)
            self.report.tell(WARNING, "kill_refused", *facts)
        number = (error.errno if error is not None else 0) or 0
        self._try(self._note_step, step, number)
        self.lifecycle.sent(step, number, monotonic())

    def _try(self, act: "Callable[..., None]", *arguments: object) -> None:
        try:
            act(*arguments)
        except BaseException as error:  # noqa: BLE001 - it does not concern what comes after it
            self.report.tell_error(error)

    def _tell_step(self, step: int, target: int, signums: tuple[int, ...]) -> None:
        if step == lifecycle.PEEK:
            self._peek(target)
        elif step == lifecycle.TIME_OUT:
            told = (target, self._child.pid, self._settings.timeout, signums[:1])
            self.report.tell(WARNING, "timed_out", *told, self._peeked)
        elif step == lifecycle.ESCALATE:
            self._escalated = signums[0]
            told = (target, self._child.pid, self._asked()[0], signums[:1])
            self.report.tell(INFO, "stop_escalated", *told)
        elif step == lifecycle.EXPLAIN:
            self.report.tell(WARNING, "stop_is_slow", self._child.pid, *self._asked(), self._peeked)
            self._try(self._leave_early_word)
        elif step == lifecycle.EXPIRE:
            facts = (target, self._child.pid, self._settings.kill_after, self._peeked)
            self.report.tell(WARNING, "kill_after_expired", *facts)
        elif step == lifecycle.ASK:
            from pyinit.later.survivors import Survivors

            self._survivors = Survivors(self.report, self._settings.drain)
            self._try(self._look_for_leftovers)
        elif step == lifecycle.KILL and self._survivors is not None:
            self._survivors.name_all(self._peeked)

    def _peek(self, target: int) -> None:
        """Begin to find out why they do not stop; see ``later.look``."""
        before, self._peeked = self._peeked, None
        if self.report.verbosity < WARNING:
            return
        self.report.expect()
        from pyinit.later.look import Look

        is_draining = self.lifecycle.state == lifecycle.DRAINING
        pids = None if is_draining else [self._child.pid]
        at, sent = NOBODY_LATER if is_draining else self.lifecycle.asked or NOBODY_LATER
        came = sent if is_draining or self._asked_by is None else self._asked_by[0].si_signo
        until = self.lifecycle.until() or monotonic()
        try:
            self._peeked = Look(
                pids, (at, sent, came), until, whom=target, stacks=self._settings.stacks
            )
            self._peeked.before = before
        except RuntimeError:  # no thread to be had, as where a container may have so many only
            pass

    def _asked(self) -> tuple[float, int]:
        """Return how long ago the child was first asked to stop, in seconds, and by what signal."""
        asked, signum = self.lifecycle.asked or (monotonic(), signals.SIGTERM)
        return round(monotonic() - asked, 1), signum

    def _note_step(self, step: int, number: int) -> None:
        if number == ENOENT and step in lifecycle.ASKING:
            self._survivors = None  # nobody can be found, so there is nobody to wait for
        if self._survivors is None:
            return
        if step == lifecycle.ASK:
            self._survivors.asked()
        elif step == lifecycle.KILL:
            self._survivors.tell_named()
        elif step == lifecycle.LOOK and self._survivors.look(self._child.terminal):
            self.lifecycle.look_again(monotonic())
        elif step == lifecycle.GIVE_UP:
            self._survivors.gave_up = True

    def leave(self) -> int:
        """Tell how it went; return the code to leave with."""
        self._try(self.settle)  # an error came between, perhaps
        self._try(self._end)
        code = self._final_code()
        if not code and self._settings.leftovers:
            self._try(self._tell_leftovers)
            if self._leftovers:
                code = self._settings.leftovers
        self._try(self._leave_word, code)
        self.report.close()
        if not code:
            return 0
        terminal, life = self._child.terminal, self.lifecycle
        if terminal is not None and life.status == signals.SIGINT and not life.timed_out:
            self._try(terminal.die_as_child_did)
        return code

    def _final_code(self) -> int:
        """Return the code to leave with, whoever the child left behind."""
        code, status = self._code, self.lifecycle.status or 0
        if code is None:
            code = UNKNOWN_CODE
        was_killed = posix.WIFSIGNALED(status) and posix.WTERMSIG(status) == signals.SIGKILL
        if self.lifecycle.timed_out and not was_killed:  # as timeout(1), of which see there
            code = TIMED_OUT_CODE
        return 0 if code in self._settings.expected_codes else code

    def _look_for_leftovers(self) -> None:
        """Note who is there before they are asked to go, if somebody wants to know."""
        if self._settings.leftovers:
            from pyinit.later.leftovers import Leftovers

            self._leftovers = Leftovers(self._child.pid, self._settings.command[0])

    def _tell_leftovers(self) -> None:
        if self._survivors is None:  # without a drain: they are there still
            self._look_for_leftovers()
        if self._leftovers:
            killed = self._survivors.killed if self._survivors is not None else frozenset()
            facts = (self._settings.leftovers, self._leftovers, killed)
            self.report.tell(WARNING, "leftovers", *facts)

    def _end(self) -> None:
        if self._survivors is not None:
            self._survivors.finished()
        if self._child.terminal is not None:
            self._child.terminal.end_loan(self._child.pid)

    def _leave_early_word(self) -> None:
        """Write into the termination log why the stop is slow: SIGKILL may be what comes next."""
        if self._asked_by is None or not self._has_termination_log():
            return
        from pyinit.later import events, last_words

        ago, sent = self._asked()
        keys = events.stop_is_slow(self._child.pid, ago, sent, self._peeked)
        asked = last_words.request(*self._asked_by, ago, "this")
        self._words().leave_soon([asked, last_words.trouble("stop_is_slow", keys)])

    def _leave_word(self, code: int) -> None:
        """Write into the termination log; nothing where all was as it should be."""
        is_plain = self._is_plain(code)
        is_named = bool(self._settings.termination_log)
        is_silent = is_plain and self._last_words is None and not is_named
        if is_silent or not self._has_termination_log():
            return
        from pyinit.later import last_words

        words = []
        if not is_plain:
            if self._asked_by is not None:
                words.append(last_words.request(*self._asked_by, self._asked()[0]))
            if self._ending is not None:
                command, is_own = self._settings.command[0], self._has_killed
                words.append(
                    last_words.ending(command, self._child.pid, self._ending, is_own=is_own)
                )
        self._words().leave(words)

    def _words(self) -> "LastWords":
        if self._last_words is None:
            from pyinit.later.last_words import LastWords

            named, began = self._settings.termination_log, self._child.began
            self._last_words = LastWords(named, began, self.report)
        return self._last_words

    def _has_termination_log(self) -> bool:
        # PID 1 is what the container is about: what `kubectl exec` starts has no say in it.
        try:
            return bool(self._settings.termination_log) or (
                posix.getpid() == 1 and bool(posix.lstat("/dev/termination-log"))
            )
        except OSError:
            return False

    def _is_plain(self, code: int) -> bool:
        """Tell whether the child ended well, or by what it was asked with, and all of the rest."""
        if self.report.kept:
            return False
        status, _, reason = self._ending or (0, 0.0, "")
        was_asked = self._asked_by is not None and posix.WIFSIGNALED(status)
        return not reason and (not code or (was_asked and not self._is_crash(status)))


SENDERS = (processes.send, processes.send_to_group, processes.send_to_all)  # by the target


def _name(pid: int) -> str | None:
    try:
        from pyinit.later import proc

        return proc.name(pid)
    except BaseException:  # noqa: BLE001 - the package was replaced under us, say: then no name
        return None


def _are_zombies() -> bool:
    # kill(2) reaches zombies as well, which are their parents' business.
    try:
        from pyinit.later import survivors

        return survivors.are_zombies()
    except BaseException:  # noqa: BLE001 - who cannot be looked at is there, until the deadline
        return False
