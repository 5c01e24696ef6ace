"""Be init: run a command, forward signals to it, reap, and exit with its code.

The loop is here (:func:`_live`), with all of the usual case: a command without options, no
terminal, a child that runs. For everything else, such as the exit of the child, the loop asks the
``supervisor``. That one sends SIGTERM and then SIGKILL to the processes that are left, and logs.
"""

import posix
import sys
from time import monotonic, sleep  # builtin: no file is read

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
        """The state of the usual case.

        Attributes:
            command: the program and its arguments.
            settings: what the user asked for; None if there are no options.
            child: the child.
            reserve: memory to free when there is none left. It is never written to, so it counts
                against a limit but uses no memory.
            patience: how long to wait for a signal: 0.0 if more processes may have exited, None for
                without limit. Once there is a supervisor, its clocks decide.
            has_looked: False if the last attempt to reap, or what follows it, raised an error. Then
                there is another attempt soon, but not at once, although no SIGCHLD will come.
            supervisor: handles the rest, and decides from then on; None in the usual case.
        """

        command: tuple[str, ...]
        settings: Settings | None
        child: Child
        reserve: bytes | None
        patience: float | None
        has_looked: bool
        supervisor: Supervisor | None

        def __init__(self, **known: object) -> None:
            """Keep the values."""

else:
    Init = child.RECORD

RESERVE = 1 << 20  # bytes
IN_A_ROW = 16  # signals; then exited processes are reaped: SIGCHLD may be pending behind them
TRIES = 3  # in a row, to load the supervisor
MANY = 100  # turns in a row with an error: then it will not get better, for example without memory
PAUSE_SECONDS = 0.05  # if the kernel refuses to wait, PID 1 must not spin

modules_stay_open = False  # whether modules come from an open file: see before/bundle


def ready(command: tuple[str, ...], settings: "Settings | None") -> Init:
    """Return the state before there is a child."""
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
    """Set the process name to pyinit, and start: a #! line with env(1) has set another name.

    The command that pyinit-launcher writes calls this.

    Args:
        inherited_mask: the signals that were blocked before pyinit blocked all.
    """
    try:
        comm = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
        posix.write(comm, b"pyinit")
        posix.close(comm)
    except OSError:  # no /proc: the name remains that of the interpreter
        pass
    main(inherited_mask)


def main(inherited_mask: "set[int]") -> "NoReturn":
    """Do what the command line says, then exit.

    Args:
        inherited_mask: the signals that were blocked before pyinit blocked all.
    """
    try:
        command = _plain_command()
        code = run(command, None, inherited_mask) if command else _do_as_told(inherited_mask)
    except BaseException as error:  # noqa: BLE001 - only before the child runs, so pyinit may exit
        from pyinit.before import usage

        code = usage.complain(error)
    # sys.exit would run exit handlers, and one of them might change the code.
    posix._exit(code)  # noqa: SLF001 - its name in posix


def _plain_command() -> tuple[str, ...]:
    """Return the command; empty if there are options or variables of pyinit, or no command."""
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
    """Run the command until it and all that it left behind have exited; return the exit code.

    Args:
        command: the program and its arguments, never empty.
        settings: what the user asked for; None if there are no options.
        inherited_mask: the signal mask for the child; by now every signal is blocked.

    Raises:
        RefusalError: the command was not started.
    """
    init = ready(command, settings)
    if settings is not None or posix.getpid() != 1 or child.has_terminal():
        _supervisor(init).prepare()
    child.spawn(init.child, command, inherited_mask)

    # -------------------------------------------------------------------------------------
    # The child runs. From here on no error may end pyinit, and nothing may block it: when
    # PID 1 exits, the kernel kills every other process in the container.
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
    """Loop until no process is left; return the exit code."""
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
        else:  # the supervisor cannot be loaded, or fails each time
            tries += 1
            most = TRIES if init.supervisor is None else MANY
            if tries >= most and (code := _code_of_child(init)) is not None:
                return code
    return init.supervisor.leave()


def guard(init: Init, act: "Callable[..., None]", *arguments: object) -> None:
    """Call ``act``, and survive every error; the border in :func:`run` says why."""
    try:
        act(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, PID 1 must go on
        init.has_looked = False
        _tell_error(init, error)


def _tell_error(init: Init, error: BaseException) -> None:
    if isinstance(error, MemoryError):
        init.reserve = None
    try:
        _supervisor(init).report.tell_error(error)
    except BaseException:  # noqa: BLE001 - then it cannot be logged
        pass


def _once_after_fork(init: Init) -> None:
    """Do what has to be done once, while the child starts."""
    guard(init, child.let_go)
    guard(init, _note_oom_kills, init)
    if init.supervisor is not None:
        guard(init, init.supervisor.begin)
    if not modules_stay_open:
        guard(init, _load_supervisor)


def _note_oom_kills(init: Init) -> None:
    if init.supervisor is None or init.supervisor.report.verbosity > 0:  # 0: only errors are logged
        from pyinit.later import outcome

        init.child.oom_kills = outcome.oom_kills()


def _load_supervisor() -> None:
    from pyinit import settings, supervisor  # noqa: F401 - now, because they may be removed later


def _wait(init: Init) -> "struct_siginfo | None":
    """Wait for a signal until there is something else to do."""
    try:
        patience = init.patience
        if init.supervisor is not None:
            patience = init.supervisor.lifecycle.patience(monotonic())
        if not init.has_looked:
            patience = RETRY_SECONDS if patience is None else patience
            patience = min(max(patience, PAUSE_SECONDS), RETRY_SECONDS)
        return signals.wait(patience)
    except BaseException as error:  # noqa: BLE001 - exited processes must be reaped nevertheless
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
    """Forward a signal unchanged, to the child alone; any other case is the supervisor's."""
    signum = received.si_signo
    # A request to stop starts clocks, and the supervisor has them.
    if init.supervisor is None and init.child.status is None and signum not in REQUESTS_TO_STOP:
        try:
            processes.send(init.child.pid, signum)
        except OSError:  # the supervisor tries again, and logs why
            pass
        else:
            return
    _supervisor(init).forward(received)


def _reap(init: Init) -> None:
    """Reap orphans that are not logged; the child, and any other case, is the supervisor's."""
    init.patience = None
    if init.supervisor is None:
        try:
            left = processes.reap_orphans(init.child, BATCH)
        except OSError as error:  # for example a seccomp filter
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
    """Return the supervisor; the first call makes it, and from then on the loop uses it."""
    if init.supervisor is None:
        from pyinit.settings import Settings
        from pyinit.supervisor import Supervisor

        settings = init.settings or Settings(init.command)
        init.supervisor = Supervisor(settings, init.child, init.reserve)
        init.reserve = None
    return init.supervisor


def _code_of_child(init: Init) -> int | None:
    """Reap the child if it has exited, and return its code; None if it still runs."""
    status = init.child.status
    try:
        if status is None:
            status = processes.take(init.child.pid)
    except OSError:
        return UNKNOWN_CODE
    return None if status is None else child.exit_code(status)


def pause() -> None:
    """Let some time pass, if the kernel allows it."""
    try:
        sleep(PAUSE_SECONDS)
    except BaseException:  # noqa: BLE001 - refused as well: then the loop spins, but goes on
        pass
