"""Be init: run a command, pass signals on to it, reap, and leave with its code.

The loop is here (:func:`_live`), and the usual case whole: a command without options, no terminal,
a child that lives. Once it is dead, or anything else comes up, the loop asks the ``supervisor``:
that sends SIGTERM to whatever is left, SIGKILL to what stays, and tells.
"""

import posix
import sys
from time import monotonic, sleep  # builtin: it needs no file

from pyinit import child, processes, signals
from pyinit.child import UNKNOWN_CODE
from pyinit.processes import BATCH, RETRY_SECONDS
from pyinit.signals import REQUESTS_TO_STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import struct_siginfo
    from typing import NoReturn

    from pyinit.child import Child
    from pyinit.settings import Settings
    from pyinit.supervisor import Supervisor

    class Init:
        """What the usual case knows.

        Attributes:
            command: the program and its arguments.
            settings: what the user asked for; None for nothing.
            child: the child.
            reserve: a piece of memory to go on with where there is none left. Never touched, so
                that it takes nothing but room below a limit.
            patience: how long to wait for a signal: 0.0 where more may be dead, None for as long as
                it takes. Once there is a supervisor its clocks say.
            has_looked: False where the last look for the dead, or what comes after it, raised. Then
                there is another one soon, although no SIGCHLD will tell, but not at once.
            supervisor: the rest, which decides from then on; None as long as all is as usual.
        """

        command: tuple[str, ...]
        settings: Settings | None
        child: Child
        reserve: bytes | None
        patience: float | None
        has_looked: bool
        supervisor: Supervisor | None

        def __init__(self, **known: object) -> None:
            """Keep what is known."""

else:
    Init = child.RECORD

RESERVE = 1 << 20  # bytes
IN_A_ROW = 16  # signals, and then the dead are looked for: SIGCHLD may be pending behind them
TRIES = 3  # in a row, to load the supervisor
MANY = 100  # turns in a row that raised: then nothing more is to be had, of memory for one
PAUSE_SECONDS = 0.05  # where the kernel refuses to wait, PID 1 must not turn at full speed

modules_stay_open = False  # whether modules come from a file that is open, see before/bundle


def ready(command: tuple[str, ...], settings: "Settings | None") -> Init:
    """Return what there is to know before there is a child."""
    return Init(
        command=command,
        settings=settings,
        child=child.unborn(),
        reserve=bytes(RESERVE),
        patience=None,
        has_looked=True,
        supervisor=None,
    )


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
        command = _plain_command()
        code = run(command, None, inherited_mask) if command else _do_as_told(inherited_mask)
    except BaseException as error:  # noqa: BLE001 - raised before the child runs only: it may give up
        from pyinit.before import usage

        code = usage.complain(error)
    # sys.exit would run exit handlers, one of which might change the code.
    posix._exit(code)  # noqa: SLF001 - so it is called


def _plain_command() -> tuple[str, ...]:
    """Return a command without options; none where there are any, or variables, or no command."""
    words = sys.argv[1:]
    if words[:1] == ["--"]:
        del words[0]
    elif words and words[0].startswith("-"):
        return ()
    if any(name.startswith((b"PYINIT_", b"TINI_")) for name in posix.environ):
        return ()
    return tuple(words)


def _do_as_told(inherited_mask: "set[int]") -> int:
    from pyinit.before import cli

    wish = cli.parse(sys.argv[1:], cli.own_variables())
    if isinstance(wish, str):
        from pyinit.before import usage

        return usage.show(wish)
    if isinstance(wish, cli.Inspection):
        from pyinit.inspect import page

        return page.show(wish)
    return run(wish.command, wish, inherited_mask)


def run(command: tuple[str, ...], settings: "Settings | None", inherited_mask: "set[int]") -> int:
    """Run the command until it and what it left have gone; return the code to leave with.

    Args:
        command: the program and its arguments, never empty.
        settings: what the user asked for; None for nothing.
        inherited_mask: the mask the child gets; by now every signal is blocked.

    Raises:
        RefusalError: nothing was run.
    """
    init = ready(command, settings)
    if settings is not None or posix.getpid() != 1 or child.has_terminal():
        _supervisor(init).prepare()
    child.spawn(init.child, command, inherited_mask)

    # -------------------------------------------------------------------------------------
    # The child runs. From here on nothing may give up, block or slow down: where PID 1 goes,
    # the kernel kills all that is left in the container.
    # -------------------------------------------------------------------------------------

    is_past_fork = False
    while True:
        try:
            if not is_past_fork:
                is_past_fork = True
                _once_after_fork(init)
            return _live(init)
        except BaseException:  # noqa: BLE001 - without memory even a guard may fail
            init.has_looked = False
            pause()


def _live(init: Init) -> int:
    """Go on until nobody is left; return the code to leave with."""
    in_a_row = tries = 0
    while init.supervisor is None or not init.supervisor.is_over():
        received = _wait(init)
        if received is not None and received.si_signo != signals.SIGCHLD:
            guard(init, _forward, init, received)
            in_a_row += 1
            if init.supervisor is None and in_a_row < IN_A_ROW:
                continue
        in_a_row = 0
        init.has_looked = False
        guard(init, _reap, init)
        if init.supervisor is not None:
            guard(init, init.supervisor.settle)
            guard(init, init.supervisor.take_step)
        if init.has_looked:
            tries = 0
        else:  # the supervisor cannot be loaded, or can do nothing
            tries += 1
            most = TRIES if init.supervisor is None else MANY
            if tries >= most and (code := _code_of_child(init)) is not None:
                return code
    return init.supervisor.leave()


def guard(init: Init, act: "Callable[..., None]", *arguments: object) -> None:
    """Do it, and survive whatever it raises; the border in :func:`run` says why."""
    try:
        act(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, PID 1 goes on
        init.has_looked = False
        _tell_error(init, error)


def _tell_error(init: Init, error: BaseException) -> None:
    if isinstance(error, MemoryError):
        init.reserve = None
    try:
        _supervisor(init).report.tell_error(error)
    except BaseException:  # noqa: BLE001 - there is nobody left to tell
        pass


def _once_after_fork(init: Init) -> None:
    """Do what is to be done once, beside the child."""
    guard(init, child.let_go)
    guard(init, _note_oom_kills, init)
    if init.supervisor is not None:
        guard(init, init.supervisor.begin)
    if not modules_stay_open:
        guard(init, _load_supervisor)


def _note_oom_kills(init: Init) -> None:
    if init.supervisor is None or init.supervisor.report.verbosity > 0:  # 0 tells only errors
        from pyinit.later import outcome

        init.child.oom_kills = outcome.oom_kills()


def _load_supervisor() -> None:
    from pyinit import settings, supervisor  # noqa: F401 - while they are sure to be there


def _wait(init: Init) -> "struct_siginfo | None":
    """Wait for a signal, for as long as nothing else is to be done."""
    try:
        patience = init.patience
        if init.supervisor is not None:
            patience = init.supervisor.lifecycle.patience(monotonic())
        if not init.has_looked:
            patience = RETRY_SECONDS if patience is None else patience
            patience = min(max(patience, PAUSE_SECONDS), RETRY_SECONDS)
        return signals.wait(patience)
    except BaseException as error:  # noqa: BLE001 - there are the dead to look for all the same
        _tell_error(init, error)
    try:
        from pyinit.later import wait_refused

        received = wait_refused.take_pending()
    except BaseException:  # noqa: BLE001 - as above
        received = None
    if received is None:
        pause()
    return received


def _forward(init: Init, received: "struct_siginfo") -> None:
    """Pass a signal on, as it is and to the child alone; otherwise the supervisor does."""
    signum = received.si_signo
    # One that asks to stop starts clocks, which the supervisor has.
    if init.supervisor is None and init.child.status is None and signum not in REQUESTS_TO_STOP:
        try:
            processes.send(init.child.pid, signum)
        except OSError:  # the long way tries again, and says why
            pass
        else:
            return
    _supervisor(init).forward(received)


def _reap(init: Init) -> None:
    """Reap orphans that nobody asks about; otherwise, and for the child, the supervisor does."""
    init.patience = None
    if init.supervisor is None:
        try:
            left = processes.reap_orphans(init.child, BATCH)
        except OSError as error:  # a seccomp filter, say
            _tell_error(init, error)
            left = processes.CHILD_OR_NOBODY
        if left == processes.CHILD_OR_NOBODY or init.child.status is not None:
            _supervisor(init).reap()
        elif left == processes.MORE:
            init.patience = 0.0
    else:
        init.supervisor.reap()
    init.has_looked = True


def _supervisor(init: Init) -> "Supervisor":
    """Return the supervisor. The first that asks has it made, and the loop asks it from then on."""
    if init.supervisor is None:
        from pyinit.settings import Settings
        from pyinit.supervisor import Supervisor

        settings = init.settings or Settings(init.command)
        init.supervisor = Supervisor(settings, init.child, init.reserve)
        init.reserve = None
    return init.supervisor


def _code_of_child(init: Init) -> int | None:
    """Reap the child, if it is dead, and return its code."""
    status = init.child.status
    try:
        if status is None:
            status = processes.take(init.child.pid)
    except OSError:
        return UNKNOWN_CODE
    return None if status is None else child.exit_code(status)


def pause() -> None:
    """Let some time pass, if the kernel lets it."""
    try:
        sleep(PAUSE_SECONDS)
    except BaseException:  # noqa: BLE001 - refused as well: then it turns, and goes on
        pass
