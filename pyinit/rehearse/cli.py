"""The command line of ``pyinit-rehearse``."""

import argparse
import contextlib
import io
import os
import resource
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import NoReturn, TypeVar

from pyinit import __version__
from pyinit.before import names
from pyinit.child import fill_holes
from pyinit.later.plain import wants_colour
from pyinit.rehearse.container import Container
from pyinit.rehearse.inits import KNOWN, Init, called, split
from pyinit.rehearse.errors import MissingLibraryError, NotRehearsedError
from pyinit.rehearse.model import CODE_OF_SIGNAL, Plan, Run
from pyinit.rehearse.reports import junit, text
from pyinit.rehearse.reports.columns import plain, safe

GRACEFUL, NOT_GRACEFUL, NOT_REHEARSED = range(3)
INTERRUPTED = CODE_OF_SIGNAL + signal.SIGINT
STDOUT, STDERR = 1, 2
FILES = {
    "svg": "a drawing of the stop",
    "html": "a page with the drawing and every detail",
    "json": "everything that was recorded",
    "junit": "a test result for CI",
}
DRAWN = {"svg", "html"}

DESCRIPTION = """
Run COMMAND as a container would, stop it as a container engine would, and report how every process
ended. If COMMAND begins with an init and its options, as in an ENTRYPOINT (pyinit -g -- app), that
init is PID 1; otherwise pyinit is. Without --ready-when, --ready-port or --after, the command is
ready when all of its processes have been asleep for half a second.
"""
EPILOG = """
Exit code: 0 if the stop was graceful, 1 if it was not, 2 if it could not be rehearsed, 130 on ^C.
With --beside, the first run decides.
"""


T = TypeVar("T")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong."""
        _show(f"{self.prog}: {message}; see {self.prog} --help")
        raise SystemExit(NOT_REHEARSED)


def _value(read: Callable[[str], T], expected: str) -> Callable[[str], T]:
    """Return a function that reads the value of an option; its error says what was expected."""

    def found(word: str) -> T:
        try:
            return read(word)
        except ValueError:
            msg = f"expected {expected}, not {word!r}"
            raise argparse.ArgumentTypeError(msg) from None

    return found


def _seconds(word: str) -> float:
    value = float(word)
    if not 0 <= value < 1e9:  # noqa: PLR2004 - not infinite, not NaN
        raise ValueError
    return value


def _signal(word: str) -> int:
    value = names.number(word)
    if value == signal.SIGKILL:  # a process cannot handle it, so there is nothing to rehearse
        raise ValueError
    return value


def _port(word: str) -> int:
    value = int(word)
    if not 0 < value < 1 << 16:
        raise ValueError
    return value


def _code(word: str) -> int:
    value = int(word)
    if not 0 <= value < 1 << 8:
        raise ValueError
    return value


SECONDS = _value(_seconds, "a number of seconds without a unit, such as 5 or 0.5")
SIGNAL = _value(_signal, "a signal other than KILL, such as TERM or SIGQUIT")
PORT = _value(_port, "a port from 1 to 65535")
CODE = _value(_code, "an exit code from 0 to 255")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = _Parser(
        prog="pyinit-rehearse",
        usage="pyinit-rehearse [OPTION]... -- COMMAND [ARG]...",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    add = found.add_argument
    add(
        "--signal",
        type=SIGNAL,
        default="TERM",
        metavar="SIGNAL",
        help="the stop signal (default: TERM)",
    )
    add(
        "--grace",
        type=SECONDS,
        default=10.0,
        metavar="SECONDS",
        help="time from the stop signal to SIGKILL (default: 10, as with Docker; Kubernetes: 30)",
    )
    add(
        "--ready-when",
        default="",
        metavar="TEXT",
        help="the command is ready when it has written TEXT to stdout or stderr",
    )
    add(
        "--ready-port",
        type=PORT,
        default=0,
        metavar="PORT",
        help="the command is ready when PORT of this machine accepts connections",
    )
    add(
        "--ready-within",
        type=SECONDS,
        default=60.0,
        metavar="SECONDS",
        help="give up if the command is not ready by then (default: 60)",
    )
    add(
        "--after",
        type=SECONDS,
        metavar="SECONDS",
        help="stop the command this long after its start; with --ready-when, --ready-port or "
        "--load, this long after it is ready",
    )
    add("--during-boot", action="store_true", help="stop it as soon as it runs, before it is ready")
    add("--twice", action="store_true", help="send the stop signal again half a second later")
    add(
        "--load",
        default="",
        metavar="COMMAND",
        help="a shell command, such as curl, that uses the program during the stop; work is lost "
        "if it does not exit with 0",
    )
    add(
        "--expect",
        type=CODE,
        metavar="CODE",
        help="the exit code that the stop must have (default: 0 or 128 + the stop signal)",
    )
    add(
        "--beside",
        default="",
        metavar="LIST",
        help=f"rehearse it under these inits as well, separated by commas: {', '.join(KNOWN)}",
    )
    for name, what in FILES.items():
        add(f"--{name}", default="", metavar="FILE", help=f"write {what} to FILE")
    add("-V", "--version", action="version", version=f"pyinit-rehearse {__version__}")
    # The first word that is not an option, and all that follow it, are the command.
    add("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Rehearse what the command line asks for; return the exit code."""
    _get_ready()
    options = parser().parse_args(arguments)
    command = options.command[options.command[:1] == ["--"] :]
    if not command:
        parser().error(
            "no command was given: write pyinit-rehearse [OPTION]... -- COMMAND [ARG]..."
        )
    plan = Plan(
        command=tuple(command),
        signal=options.signal,
        grace=options.grace,
        ready_when=options.ready_when,
        ready_port=options.ready_port,
        after=options.after,
        ready_within=options.ready_within,
        during_boot=options.during_boot,
        twice=options.twice,
        load=options.load,
        expected_code=options.expect,
        beside=tuple(filter(None, map(str.strip, options.beside.split(",")))),
    )
    runs: list[Run] = []
    try:
        _check_files(options)
        try:
            runs.extend(rehearse(plan, _tell, _show))  # an error keeps the runs before it
        except NotRehearsedError:
            if runs:
                _report(runs, options)
            raise
        _report(runs, options)
    except NotRehearsedError as error:
        _show(f"pyinit-rehearse: {error}")
        if options.junit and not runs:
            with contextlib.suppress(NotRehearsedError):  # this file may be what was wrong
                _write("junit", options.junit, junit.render_error(command, str(error)))
        return NOT_REHEARSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return GRACEFUL if runs[0].is_graceful else NOT_GRACEFUL


def _get_ready() -> None:
    """Prepare this process: signals that clean up, enough descriptors, and usable streams."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) == signal.SIG_DFL:
            signal.signal(signum, _leave)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for each process
    fill_holes()
    sys.stdout = sys.stdout or io.StringIO()  # None if it was closed
    sys.stderr = sys.stderr or io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _leave(signum: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(CODE_OF_SIGNAL + signum)  # on the way out, all that was started is killed


def rehearse(plan: Plan, tell: Callable[[str], None], show: Callable[[str], None]) -> Iterator[Run]:
    """Rehearse a stop; under other inits as well, if the plan names some.

    Args:
        plan: what to rehearse.
        tell: gets lines about the progress.
        show: gets the output of the command.

    Yields:
        The run that was asked for, and one under each other init.

    Raises:
        NotRehearsedError: it could not be rehearsed.
    """
    init, command = split(plan.command, plan.grace)
    inits = dict.fromkeys([init, *(called(name, plan.grace) for name in plan.beside)])
    for each in inits:
        try:
            yield _run(plan, each, command, tell, show)
        except NotRehearsedError as error:
            if each is init:
                raise
            msg = f"under {each.name}: {error}"
            raise NotRehearsedError(msg, error.output) from error


def _run(
    plan: Plan,
    init: Init,
    command: tuple[str, ...],
    tell: Callable[[str], None],
    show: Callable[[str], None],
) -> Run:
    tell(f"init: {init.name}, command: {plain(safe(shlex.join(command)))}")
    with Container(plan, init, command, tell=tell, show=show) as container:
        container.wait_until_ready()
        return container.stop()


def _tell(line: str) -> None:
    _show(f"rehearsal: {line}")


def _show(line: str) -> None:
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:  # its reader is gone
        _turn_off(STDERR)


def _turn_off(descriptor: int) -> None:
    """Send a stream to /dev/null, with what is still in its buffer: Python flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _report(runs: list[Run], options: argparse.Namespace) -> None:
    """Print the report and write the files that were asked for."""
    try:
        _print(text.render(runs, colour=wants_colour(STDOUT)))
    finally:
        for name, path in _files(options).items():
            _write(name, path, import_module(f"pyinit.rehearse.reports.{name}").render(runs))


def _print(report: str) -> None:
    try:
        sys.stdout.write(report)
        sys.stdout.flush()
    except BrokenPipeError:  # its reader has exited, as head does
        _turn_off(STDOUT)
    except OSError as error:
        _turn_off(STDOUT)
        msg = f"the report cannot be written: {error.strerror}"
        raise NotRehearsedError(msg) from error


def _check_files(options: argparse.Namespace) -> None:
    """Check before anything runs that the reports can be written at the end.

    Raises:
        NotRehearsedError: a file cannot be written, or drawsvg is needed and not installed.
    """
    files = _files(options)
    if not files.keys().isdisjoint(DRAWN) and find_spec("drawsvg") is None:
        raise MissingLibraryError
    for name, path in files.items():
        place = path if os.path.lexists(path) else os.path.dirname(path) or "."
        if os.path.isdir(path) or not os.access(place, os.W_OK):
            msg = (
                f"--{name}: {path} cannot be written: it is a directory, or its directory is "
                "missing or not writable"
            )
            raise NotRehearsedError(msg)
    if len({*map(os.path.realpath, files.values())}) < len(files):
        msg = f"--{' and --'.join(files)}: each needs a file of its own"
        raise NotRehearsedError(msg)


def _files(options: argparse.Namespace) -> dict[str, str]:
    return {name: path for name in FILES if (path := getattr(options, name))}


def _write(name: str, path: str, document: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(document)
    except OSError as error:
        msg = f"--{name}: {path} cannot be written: {error.strerror}"
        raise NotRehearsedError(msg) from error
