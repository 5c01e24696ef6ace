"""Act: wait, forward and reap until the child and what it left behind have gone."""

import posix
from errno import EAGAIN, ENOENT  # builtin
from time import monotonic, sleep  # a builtin module

from pyinit import child, everyone, lifecycle, reaping, signals
from pyinit.ending import Ending
from pyinit.telling import Telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import struct_siginfo

    from pyinit.child import Child
    from pyinit.drain import Drain
    from pyinit.lifecycle import Lifecycle
    from pyinit.report import Report
    from pyinit.settings import Settings
    from pyinit.terminal import Terminal

UNKNOWN_CODE = 1  # where the kernel never told how the child ended
REAPED_AT_ONCE = 64
REAPING_SECONDS = 0.05  # at the end: the dead are nobody to drain
RETRY_SECONDS = 1.0
ASK_AGAIN_SECONDS = 0.1
LOOK_AGAIN_SECONDS = 0.02  # where the only ones left are not ours to reap, so that no signal tells
PAUSE_SECONDS = 0.05  # where the kernel refuses to wait, PID 1 must not turn at full speed


class Supervisor:
    """One child and what it leaves behind: take a signal, pass it on, reap what is dead."""

    __slots__ = (
        "_acts",
        "_begun",
        "_code",
        "_drain",
        "_ending",
        "_gave_up",
        "_interrupted",
        "_left",
        "_life",
        "_owed",
        "_parts",
        "_process",
        "_reaped",
        "_report",
        "_retry",
        "_settings",
        "_status",
        "_telling",
        "_terminal",
    )

    def __init__(
        self,
        settings: "Settings",
        report: "Report",
        life: "Lifecycle",
        process: "Child",
        terminal: "Terminal",
    ) -> None:
        """Get ready for a child."""
        # Now, since later it may fail: a method that is handed on takes memory.
        self._acts = self._begin, self._turn, self._end
        self._parts = self._reap, self._note_end, self._ask_again, self._pass_on
        self._settings = settings
        self._report = report
        self._life = life
        self._terminal = terminal
        self._telling = Telling(report, settings)
        self._process = process
        command = settings.command[0]
        self._ending = Ending(process, command, report, is_job=terminal.is_job)
        self._status: int | None = None  # of the child, once it is dead
        self._reaped = False  # the child; its pid may be another's from then on
        self._code: int | None = None
        self._drain: Drain | None = None
        self._gave_up = False
        self._begun = self._left = False
        self._owed: tuple[int, ...] = ()  # signals that everyone is still to get
        self._interrupted = False  # by ^C, which a script around pyinit hears as well
        self._retry: float | None = None  # seconds to when there is more to do without a signal

    def supervise(self) -> int:
        """Forward and reap until nobody is left to wait for; return the code to leave with."""
        while not self._left:
            try:
                self._live()
            except BaseException:  # noqa: BLE001 - without memory even a guard may fail
                _pause()
        code = UNKNOWN_CODE if self._code is None else self._code
        if code in self._settings.expected_codes:
            return 0
        if self._status == signals.SIGINT:
            self._guard(self._die_as_child_did)
        return code

    def _die_as_child_did(self) -> None:
        # A script goes on if what it runs only says 130.
        is_pending = self._terminal.is_job and signals.SIGINT in signals.pending()
        if self._interrupted or is_pending:
            signals.die_of(signals.SIGINT)

    def _live(self) -> None:
        begin, turn, end = self._acts
        if not self._begun:
            self._guard(begin)
        self._report.open()  # also where that failed: nothing is written until then
        while self._life.state != lifecycle.DONE:
            if not self._guard(turn):
                _pause()
        self._guard(end)
        self._report.close()
        self._left = True

    def _guard(self, act: "Callable[..., None]", *arguments: object) -> bool:
        """Return whether ``act`` came to its end; the border in start.run() says why."""
        try:
            act(*arguments)
        except BaseException as error:  # noqa: BLE001 - whatever it is, PID 1 goes on
            self._report.tell_internal_error(error)
            return False
        return True

    def _begin(self) -> None:
        self._begun = True
        self._guard(self._process.let_go)
        self._telling.started(self._process.pid)
        self._guard(self._telling.outer_shell)
        self._ending.watch_memory()
        everyone.get_ready()

    def _turn(self) -> None:
        reap, note_end, ask_again, pass_on = self._parts
        received = self._wait()
        self._retry = None
        if received is not None and received.si_signo != signals.SIGCHLD:
            self._guard(pass_on, received)
        if not self._guard(reap):
            self._retry = RETRY_SECONDS  # there may be dead that were not taken
        if self._terminal.may_stop and self._status is None:
            self._guard(self._terminal.follow_stop, self._process.pid)
        self._guard(note_end)
        self._guard(ask_again)
        step = self._life.due(monotonic())
        if step is not None:
            self._take_step(*step)
            self._retry = ASK_AGAIN_SECONDS if self._owed else self._retry

    def _wait(self) -> "struct_siginfo | None":
        try:
            return signals.wait(self._patience())
        except BaseException as error:  # noqa: BLE001 - there are the dead to look for all the same
            self._report.tell_internal_error(error)
        try:
            received = signals.take_pending()
        except BaseException:  # noqa: BLE001 - as above
            received = None
        if received is None:
            _pause()
        return received

    def _patience(self) -> float | None:
        """Return how long to wait for a signal, in seconds; None for as long as it takes."""
        deadline = self._life.deadline
        if deadline is None:
            return self._retry
        left = max(0.0, deadline - monotonic())
        return left if self._retry is None else min(left, self._retry)

    def _pass_on(self, received: "struct_siginfo") -> None:
        if received.si_code > 0 and self._terminal.is_job:  # from the kernel (sigaction(2))
            self._interrupted |= received.si_signo == signals.SIGINT
            if self._status is None and self._terminal.has_told(self._process.pid, received):
                return
        order = self._life.receive(received.si_signo, monotonic())
        if order is None:
            self._telling.dropped(received)
            return
        target, signum = order
        if self._terminal.may_stop and self._status is None:
            self._terminal.passes(signum, self._process.pid)
        refusal = self._kill(target, (signum,))
        whom = (target, self._process.pid)
        if refusal is None:
            self._telling.forwarded(received, signum, whom)
        else:
            self._telling.refused_forward(received, signum, whom, refusal)

    def _kill(self, target: int, signums: tuple[int, ...]) -> OSError | None:
        """Send signals to a target of the lifecycle, whose rules say that it is still ours."""
        pid = self._process.pid
        try:
            if target == lifecycle.EVERYONE:
                everyone.send(signums, pid if self._status is None else None)
            else:
                send = _kill_group if target == lifecycle.GROUP else posix.kill
                for signum in signums:
                    send(pid, signum)
        except OSError as error:
            if isinstance(error, ProcessLookupError) and self._status is not None:
                return None  # the last of those that remained has just gone
            return error
        except BaseException as error:  # noqa: BLE001 - a module that is not there any more, say
            self._report.tell_internal_error(error)
        return None

    def _reap(self) -> None:
        # At every wake-up, not just at SIGCHLD, which a flood of lower numbers starves. And only
        # so many, or orphans that come faster than they are reaped would starve the signals.
        began = monotonic()
        count = 0
        while count < REAPED_AT_ONCE or self._may_go_on(began):
            count += 1
            try:
                dead = self._next_dead()
            except ChildProcessError:
                if self._status is None:
                    raise  # but there is one, not reaped yet
                self._note_no_children()
                return
            if dead == reaping.MORE:
                count = REAPED_AT_ONCE
            elif dead is None or not self._take(*dead):
                return
        self._retry = 0.0

    def _next_dead(self) -> tuple[int, int] | None:
        try:
            if self._is_quiet():
                return reaping.next_but_orphans(self._process.pid, REAPED_AT_ONCE)
            return reaping.next_dead()
        except ChildProcessError:
            raise
        except OSError as error:
            self._report.tell_internal_error(error)
            return reaping.next_unseen()

    def _is_quiet(self) -> bool:
        """Tell whether nobody wants to know of orphans, so that they need but be reaped."""
        if self._drain is not None and self._drain.wants_the_dead():
            return False
        return not self._telling.wants_orphans(stopping=self._life.stopping)

    def _may_go_on(self, began: float) -> bool:
        return self._status is not None and monotonic() - began < REAPING_SECONDS

    def _note_no_children(self) -> None:
        if everyone.any_without_parent_here():
            self._retry = LOOK_AGAIN_SECONDS
        else:
            self._life.nobody_left()

    def _take(self, pid: int, status: int) -> bool:
        if pid != self._process.pid or self._reaped:
            return self._take_orphan(pid)
        # Both before anything can go wrong.
        self._status = status
        self._life.child_gone(monotonic())
        taken = self._ending.take(status)
        if taken is not None:
            self._status = taken
            self._reaped = True
        return self._reaped

    def _take_orphan(self, pid: int) -> bool:
        stopping = self._life.stopping
        is_named = self._telling.wants_orphans(stopping=stopping) or (
            self._drain is not None and self._drain.is_killing
        )
        name = self._telling.orphan_name(pid) if is_named else None
        status = reaping.take(pid)
        if status is None:
            return False
        if self._drain is not None:
            self._drain.reaped(pid, name, status)
        self._telling.orphan(pid, name, status, stopping=stopping)
        return True

    def _note_end(self) -> None:
        if self._status is None or self._code is not None:
            return
        self._code = child.exit_code(self._status)
        self._terminal.take_back(self._process.pid)
        self._code = self._ending.tell(self._status)

    def _take_step(self, step: int, target: int, signums: tuple[int, ...]) -> None:
        if step == lifecycle.LOOK:
            self._guard(self._look)
            return
        self._gave_up = step == lifecycle.GIVE_UP
        whom = (target, self._process.pid)
        if step == lifecycle.LOST_PATIENCE:
            self._telling.lost_patience(whom)
        elif step == lifecycle.ASK:
            self._guard(self._count_remaining)
        elif step == lifecycle.KILL and self._drain is not None:
            self._guard(self._drain.lost_patience)
        refusal = self._kill(target, signums) if signums else None
        self._owed = ()
        if refusal is not None and step != lifecycle.KILL_AGAIN:
            self._telling.refused_kill(signums[0], whom, refusal)
        if step == lifecycle.ASK:
            self._note_asked(signums, refusal)

    def _look(self) -> None:
        if self._drain is not None and self._drain.look(self._terminal):
            self._life.look_again(monotonic())

    def _note_asked(self, signums: tuple[int, ...], refusal: OSError | None) -> None:
        if refusal is not None and refusal.errno == ENOENT:
            self._drain = None  # nobody can be found, so there is nobody to wait for
            self._life.nobody_left()
            return
        if refusal is not None and refusal.errno == EAGAIN:
            self._owed = signums
        if self._drain is not None:
            self._guard(self._drain.started)
        self._life.asked(monotonic())

    def _ask_again(self) -> None:
        """Ask those to go who could not be found when it was time."""
        if not self._owed:
            return
        refusal = self._kill(lifecycle.EVERYONE, self._owed)
        if refusal is not None and refusal.errno == EAGAIN:
            self._retry = ASK_AGAIN_SECONDS if self._retry is None else self._retry
        else:
            self._owed = ()
            self._life.asked(monotonic())

    def _count_remaining(self) -> None:
        from pyinit.drain import Drain

        self._drain = Drain(self._report, self._settings.drain)

    def _end(self) -> None:
        self._guard(self._note_end)  # an error came between, perhaps
        if self._drain is not None:
            self._drain.finished(gave_up=self._gave_up)
            self._guard(self._terminal.end_loan, self._process.pid)


def _kill_group(child: int, signum: int) -> None:
    """Send to the group that the child began with, and to the child wherever it is.

    Raises:
        OSError: the child may not be signalled; kill(-1) as PID 1 tells of the child only, too.
    """
    is_member = posix.getpgid(child) == child
    try:
        posix.kill(-child, signum)
    except OSError:  # it went, and nobody is left there; or nobody there may be signalled
        if is_member:
            raise
    posix.kill(child, 0 if is_member else signum)  # 0 asks: of a group one is enough for success


def _pause() -> None:
    try:
        sleep(PAUSE_SECONDS)
    except BaseException:  # noqa: BLE001 - refused as well: then it turns, and goes on
        pass
