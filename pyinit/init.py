"""Be init: prepare, fork, and then wait, forward and reap until nobody is left."""

import posix
import sys
from errno import ENOENT  # builtin
from time import monotonic, sleep  # a builtin module

from pyinit import child, processes, rules, signals
from pyinit.report import Report
from pyinit.settings import DEBUG, ERROR, INFO, WARNING, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from resource import struct_rusage
    from signal import struct_siginfo
    from typing import NoReturn

    from pyinit.cli import Inspection
    from pyinit.later.survivors import Survivors
    from pyinit.rare.terminal import Terminal

UNKNOWN_CODE = 1  # where the kernel never told how the child ended
IN_A_ROW = 16  # signals, and then the dead are looked for although no SIGCHLD came
BATCH = 64  # orphans, and then signals are looked for although more are dead
REAPING_SECONDS = 0.05  # at the end: the dead are nobody to drain
RETRY_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.02  # where the only ones left are not ours to reap, so that no signal tells
PAUSE_SECONDS = 0.05  # where the kernel refuses to wait, PID 1 must not turn at full speed


class Init:
    """What the loop knows.

    Attributes:
        settings: what the user asked for.
        report: takes the events.
        rules: decide what is to be done, and when.
        terminal: None where there is none to share.
        child: its pid and, if it leads one of its own, its process group.
        failure: the descriptor on which a failed exec is told.
        began: when it was forked, on the monotonic clock.
        is_reaped: whether the child is, so that its pid may be another's.
        usage: what it used, if that was asked for.
        code: what its status is worth; None until its end is told.
        oom_kills: how often memory had run out before it ran; None where nobody tells.
        survivors: those that the child left behind; None until then.
    """

    __slots__ = (
        "began",
        "child",
        "code",
        "failure",
        "is_reaped",
        "oom_kills",
        "report",
        "rules",
        "settings",
        "survivors",
        "terminal",
        "usage",
    )

    child: int
    failure: int

    def __init__(
        self, settings: Settings, report: Report, terminal: "Terminal | None", *, adopts: bool
    ) -> None:
        """Get ready for a child.

        Args:
            settings: what the user asked for.
            report: takes the events.
            terminal: what pyinit has of a terminal.
            adopts: whether orphans will be pyinit's.
        """
        self.settings = settings
        self.report = report
        self.rules = rules.Rules(settings, may_drain=adopts)
        self.terminal = terminal
        self.began = monotonic()
        self.is_reaped = False
        self.usage: struct_rusage | None = None
        self.code: int | None = None
        self.oom_kills: int | None = None
        self.survivors: Survivors | None = None


def begin(inherited_mask: "set[int]") -> "NoReturn":
    """Call oneself pyinit, which env(1) in a #! line has undone, and start.

    What pyinit-launcher writes ends here.

    Args:
        inherited_mask: which signals were blocked before all were.
    """
    try:
        comm = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
        posix.write(comm, b"pyinit")
        posix.close(comm)
    except OSError:  # no /proc: then it has the interpreter's name
        pass
    main(inherited_mask)


def main(inherited_mask: "set[int]") -> "NoReturn":
    """Do what the command line says, then leave.

    Args:
        inherited_mask: which signals were blocked before all were.
    """
    try:
        wish = _plain_settings() or _parsed()
        if isinstance(wish, Settings):
            code = run(wish, inherited_mask)
        elif isinstance(wish, str):
            from pyinit.rare import usage

            code = usage.show(wish)
        else:
            from pyinit.inspect import page

            code = page.show(wish)
    except BaseException as error:  # noqa: BLE001 - raised before the child runs only: it may give up
        from pyinit.rare import usage

        code = usage.complain(error)
    # sys.exit would run exit handlers, one of which might change the code.
    posix._exit(code)  # noqa: SLF001 - so it is called


def _plain_settings() -> Settings | None:
    """Return the settings of a command without options; None where there are any, or variables."""
    words = sys.argv[1:]
    if words[:1] == ["--"]:
        del words[0]
    elif words and words[0].startswith("-"):
        return None
    if not words or any(name.startswith((b"PYINIT_", b"TINI_")) for name in posix.environ):
        return None
    return Settings(tuple(words))


def _parsed() -> "Settings | Inspection | str":
    from pyinit import cli

    return cli.parse(sys.argv[1:], cli.own_variables())


def run(settings: Settings, inherited_mask: "set[int]") -> int:
    """Run the command until it and what it left have gone; return the code to leave with.

    Args:
        settings: what the user asked for.
        inherited_mask: the mask the child gets; by now every signal is blocked.

    Raises:
        StartError: nothing was run.
    """
    init = _prepare(settings)
    try:
        init.failure, failure_in = child.failure_pipe()
        init.child = child.spawn(settings.command, inherited_mask, init.terminal, failure_in)
    except OSError as error:
        from pyinit.rare.errors import StartError

        limits = "is the limit on processes, memory or open files reached?"
        msg = f"cannot start {settings.command[0]!r}: {error.strerror}; {limits}"
        raise StartError(msg) from error

    # -------------------------------------------------------------------------------------
    # The child runs. From here on nothing may give up, block or slow down: where PID 1 goes,
    # the kernel kills all that is left in the container.
    # -------------------------------------------------------------------------------------

    is_begun = False
    while True:
        try:
            if not is_begun:
                is_begun = True
                guard(init, _begin)
            init.report.open()  # also where that failed: nothing is written until then
            _live(init)
            return _leave(init)
        except BaseException:  # noqa: BLE001 - without memory even a guard may fail
            _pause()


def _prepare(settings: Settings) -> Init:
    report, terminal, adopts = Report(settings), None, True
    if settings.parent_death_signal or posix.getpid() != 1:
        from pyinit.rare import prctls

        adopts = prctls.prepare(settings, report)
    elif settings.subreaper:
        report.tell(DEBUG, "subreaper_needless")
    if child.has_terminal():
        from pyinit.rare.terminal import Terminal

        terminal = Terminal(group=settings.group)
    return Init(settings, report, terminal, adopts=adopts)


def _live(init: Init) -> None:
    in_a_row = 0
    while init.rules.state != rules.DONE:
        received = _wait(init)
        if received is not None and received.si_signo != signals.SIGCHLD:
            guard(init, _forward, received)
            in_a_row += 1
            if in_a_row < IN_A_ROW:
                continue
        in_a_row = 0
        if not guard(init, _reap):
            init.rules.reap_at = monotonic() + RETRY_SECONDS
        guard(init, _settle)
        guard(init, _take_step)


def guard(init: Init, act: "Callable[..., None]", *arguments: object) -> bool:
    """Return whether ``act`` came to its end; the border in :func:`run` says why."""
    try:
        act(init, *arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, PID 1 goes on
        init.report.tell_error(error)
        return False
    return True


def _begin(init: Init) -> None:
    guard(init, _let_go)
    init.report.tell(INFO, "child_started", init.child, init.settings.command[0])
    if posix.getppid() == 1:
        from pyinit.later import shell_form

        shell_form.tell(init.report)
    if init.report.verbosity >= WARNING:
        from pyinit.later import oom

        init.oom_kills = oom.kills()
    if posix.getpid() != 1:
        from pyinit.later import descendants  # noqa: F401 - while it is sure to be there


def _let_go(init: Init) -> None:
    child.let_go(init.failure)


def _wait(init: Init) -> "struct_siginfo | None":
    try:
        return signals.wait(init.rules.patience(monotonic()))
    except BaseException as error:  # noqa: BLE001 - there are the dead to look for all the same
        init.report.tell_error(error)
    try:
        from pyinit.later import refused

        received = refused.take_pending()
    except BaseException:  # noqa: BLE001 - as above
        received = None
    if received is None:
        _pause()
    return received


def _forward(init: Init, received: "struct_siginfo") -> None:
    pid = init.child if init.rules.status is None else 0
    if init.terminal is not None and init.terminal.has_told(pid, received):
        return
    order = init.rules.receive(received.si_signo, monotonic())
    if order is None:
        init.report.tell(INFO, "signal_dropped", received)
        return
    target, signum = order
    if init.terminal is not None and pid:
        init.terminal.passes(signum, pid)
    error = _send(init, target, (signum,))
    if error is None:
        init.report.tell(INFO, "signal_forwarded", received, signum, target, init.child)
    else:
        init.report.tell(WARNING, "forward_refused", received, signum, target, init.child, error)


def _send(init: Init, target: int, signums: tuple[int, ...]) -> OSError | None:
    """Send signals to a target of the rules; return the error that came of it."""
    is_alive = init.rules.status is None
    pid = init.child if is_alive else 0
    try:
        if target == rules.EVERYONE and posix.getpid() != 1:
            from pyinit.later import descendants

            descendants.send(signums, pid)
        else:
            processes.send(target, signums, pid)
    except OSError as error:
        if isinstance(error, ProcessLookupError) and not is_alive:
            return None  # the last of those that remained has just gone
        return error
    except BaseException as error:  # noqa: BLE001 - a module that is not there any more, say
        init.report.tell_error(error)
    return None


def _reap(init: Init) -> None:
    """Take the dead, with their names where they are told.

    Only so many, or orphans that come faster than they are reaped would starve the signals.
    """
    life = init.rules
    life.reap_at = None
    end = monotonic() + REAPING_SECONDS
    left = BATCH
    while left > 0 or (life.status is not None and monotonic() < end):
        is_quiet = _orphan_level(init) > init.report.verbosity and not _is_counting(init)
        left -= BATCH if is_quiet else 1
        try:
            if is_quiet:
                dead = processes.next_but_orphans(0 if init.is_reaped else init.child, BATCH)
            else:
                dead = processes.next_dead()
        except ChildProcessError:
            if life.status is None:
                raise  # but there is one, not reaped yet
            _note_no_children(init)
            return
        except OSError as error:  # a seccomp filter, say
            init.report.tell_error(error)
            _reap_unseen(init)
            return
        if dead is None or not _take(init, *dead):
            return
    life.reap_at = monotonic()


def _orphan_level(init: Init) -> int:
    """Return the level at which orphans are told of; ``-v`` is enough while all are to go."""
    if init.settings.warn_on_reap:
        return WARNING
    return INFO if init.rules.stopping else DEBUG


def _is_counting(init: Init) -> bool:
    return init.survivors is not None and init.survivors.wants_the_dead()


def _take(init: Init, pid: int, status: int) -> bool:
    """Reap a zombie; return whether it could be had."""
    if pid == init.child and not init.is_reaped:
        init.rules.child_died(status, monotonic())  # before anything can go wrong
        if status or init.report.verbosity >= INFO:
            taken, init.usage = processes.take_with_usage(pid)
        else:
            taken = processes.take(pid)
        if taken is not None:
            _note_dead(init, pid, taken, None)
        return taken is not None
    is_named = _orphan_level(init) <= init.report.verbosity or _is_counting(init)
    name = _name(pid) if is_named else None
    taken = processes.take(pid)
    if taken is not None:
        _note_dead(init, pid, taken, name)
    return taken is not None


def _name(pid: int) -> str | None:
    try:
        from pyinit.later import proc

        return proc.name(pid)
    except BaseException:  # noqa: BLE001 - the package was replaced under us, say: then no name
        return None


def _note_dead(init: Init, pid: int, status: int, name: str | None) -> None:
    """Note that one is reaped."""
    if pid == init.child and not init.is_reaped:
        init.is_reaped = True
        init.rules.child_died(status, monotonic())
        return
    if init.survivors is not None:
        init.survivors.reaped(pid, name, status)
    init.report.tell(_orphan_level(init), "orphan_reaped", pid, name, status)


def _reap_unseen(init: Init) -> None:
    for _ in range(BATCH):
        dead = processes.take_any()
        if dead is None:
            return
        _note_dead(init, *dead, None)
    init.rules.reap_at = monotonic()


def _note_no_children(init: Init) -> None:
    if processes.is_anybody_here() and not _are_zombies():
        init.rules.reap_at = monotonic() + LOOK_AGAIN_SECONDS
    else:
        init.rules.nobody_left()


def _are_zombies() -> bool:
    # kill(2) reaches zombies as well, which are their parents' business.
    try:
        from pyinit.later import survivors

        return survivors.are_zombies()
    except BaseException:  # noqa: BLE001 - who cannot be looked at is there, until the deadline
        return False


def _settle(init: Init) -> None:
    """See to a child that has stopped or is dead: the terminal, its code, what there is to tell."""
    status, terminal = init.rules.status, init.terminal
    if status is None and terminal is not None:
        terminal.follow_stop(init.child)
    if status is None or init.code is not None:
        return
    init.code = child.exit_code(status)
    if terminal is not None:
        terminal.take_back(init.child)
    seconds = monotonic() - init.began
    failure = child.exec_failure(init.failure)
    if failure is not None:
        from pyinit.later import exec_failure

        init.code, reason = exec_failure.explain(init.settings.command[0], *failure)
        command = init.settings.command[0]
        init.report.tell(ERROR, "exec_failed", command, init.code, failure[0], reason)
        return
    kills = _count_oom_kills(init) if status else 0
    level = WARNING if kills or _is_crash(init, status) else INFO
    init.report.tell(level, "child_exited", init.child, status, seconds, init.usage, kills)


def _count_oom_kills(init: Init) -> int:
    # A shell may have made a plain code of a SIGKILL for want of memory.
    if init.oom_kills is None:
        return 0
    from pyinit.later import oom

    return (oom.kills() or 0) - init.oom_kills


def _is_crash(init: Init, status: int) -> bool:
    """Tell whether whoever runs the container must know of it, as of no plain stop."""
    signum = posix.WTERMSIG(status) if posix.WIFSIGNALED(status) else 0
    if signum == signals.SIGPIPE and init.terminal is not None and init.terminal.is_job:
        return False  # so a pipeline ends
    return signum not in signals.PLAIN_STOPS


def _take_step(init: Init) -> None:
    """Do what the rules say is due. That it cannot be told is no reason not to."""
    due = init.rules.due(monotonic())
    if due is None:
        return
    step, target, signums = due
    guard(init, _tell_step, step, target)
    error = _send(init, target, signums) if signums else None
    if error is not None and step not in rules.REPEATED:
        init.report.tell(WARNING, "kill_refused", signums[0], target, init.child, error)
    number = 0 if error is None or error.errno is None else error.errno
    guard(init, _note_step, step, number)
    init.rules.sent(step, number, monotonic())


def _tell_step(init: Init, step: int, target: int) -> None:
    if step == rules.EXPIRE:
        seconds = init.settings.kill_after
        init.report.tell(WARNING, "kill_after_expired", target, init.child, seconds)
    elif step == rules.ASK:
        from pyinit.later.survivors import Survivors

        init.survivors = Survivors(init.report, init.settings.drain)
    elif step == rules.KILL and init.survivors is not None:
        init.survivors.name_all()


def _note_step(init: Init, step: int, number: int) -> None:
    if number == ENOENT:
        init.survivors = None  # nobody can be found, so there is nobody to wait for
    if init.survivors is None:
        return
    if step == rules.ASK:
        init.survivors.asked()
    elif step == rules.LOOK and init.survivors.look(init.terminal):
        init.rules.look_again(monotonic())
    elif step == rules.GIVE_UP:
        init.survivors.gave_up = True


def _leave(init: Init) -> int:
    """Tell how it went; return the code to leave with."""
    guard(init, _settle)  # an error came between, perhaps
    if init.survivors is not None:
        guard(init, _note_end)
    init.report.close()
    code = UNKNOWN_CODE if init.code is None else init.code
    if code in init.settings.expected_codes:
        return 0
    if init.terminal is not None and init.rules.status == signals.SIGINT:
        guard(init, _die_as_child_did)
    return code


def _note_end(init: Init) -> None:
    if init.survivors is not None:
        init.survivors.finished()
    if init.terminal is not None:
        init.terminal.end_loan(init.child)


def _die_as_child_did(init: Init) -> None:
    if init.terminal is not None:
        init.terminal.die_as_child_did()


def _pause() -> None:
    try:
        sleep(PAUSE_SECONDS)
    except BaseException:  # noqa: BLE001 - refused as well: then it turns, and goes on
        pass
