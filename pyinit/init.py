"""Be init: prepare, fork, and then wait, forward and reap until nobody is left.

The usual case is here whole: a command without options, no terminal, a child that lives. What else
there is to do is in ``supervisor``, and is asked for when the first such thing comes up.
"""

import posix
import sys
from time import monotonic, sleep  # a builtin module

from pyinit import child, processes, signals
from pyinit.child import UNKNOWN_CODE
from pyinit.processes import BATCH, RETRY_SECONDS
from pyinit.settings import WARNING, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import struct_siginfo
    from typing import NoReturn

    from pyinit.cli import Inspection
    from pyinit.supervisor import Supervisor

RESERVE = 1 << 20  # bytes
IN_A_ROW = 16  # signals, and then the dead are looked for although no SIGCHLD came
PAUSE_SECONDS = 0.05  # where the kernel refuses to wait, PID 1 must not turn at full speed


class Init:
    """What the usual case knows.

    Attributes:
        settings: what the user asked for.
        child: the child.
        reserve: a piece of memory to go on with where there is none left. Never touched, so that it
            takes nothing but room below a limit.
        patience: how long to wait for a signal, in seconds; None for as long as it takes.
        supervisor: the rest, which decides from then on; None as long as all is as usual.
    """

    __slots__ = ("child", "patience", "reserve", "settings", "supervisor")

    def __init__(self, settings: Settings) -> None:
        """Get ready for a child."""
        self.settings = settings
        self.child = child.Child()
        self.reserve: bytes | None = bytes(RESERVE)
        self.patience: float | None = None
        self.supervisor: Supervisor | None = None


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
        RefusalError: nothing was run.
    """
    init = Init(settings)
    if not settings.is_plain() or posix.getpid() != 1 or child.has_terminal():
        _supervisor(init).prepare()
    child.spawn(init.child, settings.command, inherited_mask)

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
            return _live(init)
        except BaseException:  # noqa: BLE001 - without memory even a guard may fail
            pause()


def _live(init: Init) -> int:
    """Go on until nobody is left; return the code to leave with."""
    in_a_row = 0
    while init.supervisor is None or not init.supervisor.is_over():
        received = _wait(init)
        if received is not None and received.si_signo != signals.SIGCHLD:
            guard(init, _forward, received)
            in_a_row += 1
            if init.supervisor is None and in_a_row < IN_A_ROW:
                continue  # of several that are pending the lowest comes first
        in_a_row = 0
        is_reaped = guard(init, _reap)
        if init.supervisor is not None:
            guard(init, _settle)
            guard(init, _take_step)
        elif not is_reaped and (code := _code_of_child(init)) is not None:
            return code  # what there would be to do cannot be loaded: leave with the child
    return init.supervisor.leave()


def guard(init: Init, act: "Callable[..., None]", *arguments: object) -> bool:
    """Return whether ``act`` came to its end; the border in :func:`run` says why."""
    try:
        act(init, *arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, PID 1 goes on
        _tell_error(init, error)
        return False
    return True


def _tell_error(init: Init, error: BaseException) -> None:
    if isinstance(error, MemoryError):
        init.reserve = None
    try:
        _supervisor(init).report.tell_error(error)
    except BaseException:  # noqa: BLE001 - there is nobody left to tell
        pass


def _begin(init: Init) -> None:
    guard(init, _let_go)
    guard(init, _note_memory)
    if init.supervisor is not None:
        init.supervisor.begin()
    from pyinit import supervisor  # noqa: F401 - while it is sure to be there


def _let_go(_: Init) -> None:
    child.let_go()


def _note_memory(init: Init) -> None:
    if init.settings.verbosity >= WARNING:
        from pyinit.later import oom

        init.child.oom_kills = oom.kills()


def _wait(init: Init) -> "struct_siginfo | None":
    """Wait for a signal, for as long as nothing else is to be done."""
    try:
        if init.supervisor is None:
            return signals.wait(init.patience)
        return signals.wait(init.supervisor.lifecycle.patience(monotonic()))
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
    """Pass a signal on, as it is and to the child alone; otherwise ask the supervisor."""
    if init.supervisor is None:
        try:
            processes.send(init.child.pid, received.si_signo)
        except OSError:  # the long way tries again, and says why
            pass
        else:
            return
    _supervisor(init).forward(received)


def _reap(init: Init) -> None:
    """Reap orphans that nobody asks about; otherwise, and for the child, go the long way."""
    init.patience = RETRY_SECONDS  # where an error comes between there may be dead not taken
    if init.supervisor is None:
        try:
            left = processes.reap_orphans(init.child.pid, BATCH)
        except OSError as error:  # a seccomp filter, say
            _tell_error(init, error)
        else:
            if left != processes.OTHERS:
                init.patience = 0.0 if left == processes.MORE else None
                return
    _supervisor(init).reap()


def _settle(init: Init) -> None:
    """See to a child that has stopped or is dead: the terminal, its code, what there is to tell."""
    _supervisor(init).settle()


def _take_step(init: Init) -> None:
    """Do what the clocks say is due."""
    _supervisor(init).take_step()


def _supervisor(init: Init) -> "Supervisor":
    """Return the rest, which the first that asks for it has loaded."""
    if init.supervisor is None:
        from pyinit.supervisor import Supervisor

        init.supervisor = Supervisor(init.settings, init.child, init.reserve)
        init.reserve = None
    return init.supervisor


def _code_of_child(init: Init) -> int | None:
    """Reap the child, if it is dead, and return its code."""
    try:
        status = processes.take(init.child.pid)
    except OSError:
        return UNKNOWN_CODE
    return None if status is None else child.exit_code(status)


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


def pause() -> None:
    """Let some time pass, if the kernel lets it."""
    try:
        sleep(PAUSE_SECONDS)
    except BaseException:  # noqa: BLE001 - refused as well: then it turns, and goes on
        pass
