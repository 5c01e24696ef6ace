"""Note which lines of pyinit run after which, in every process and thread that loads `site`.

`trials.coverage` puts this where `site` finds it. It must not disturb pyinit: coverage.py itself
would import a hundred modules before the first statement of PID 1, and would see neither a thread
that is started without `threading` nor what a child does before its exec. So this imports only
built-in modules, opens nothing before the end, and reads no variable, because tests pin the
environment. It notes the same arcs as the tracer of coverage.py.
"""

import _thread
import atexit
import os
import posix
import sys
from marshal import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

    Tracing = Callable[[FrameType, str, object], "Tracing | None"]

NOTES = f"{__file__.rpartition('/')[0]}/pyinit_arcs/"
FOLDERS = (
    "/pyinit",
    "/pyinit/inspect",
    "/pyinit/later",
    "/pyinit/later/stacks",
    "/pyinit/before",
    "/pyinit/rehearse",
    "/pyinit/rehearse/reports",
)
RESUME = (lambda: 0).__code__.co_code[0]  # with which a call begins, and a generator continues

arcs: "dict[str, set[tuple[int, int]]]" = {}
arcs_by_path: "dict[str, set[tuple[int, int]] | None]" = {}
_exit, execv, start_new_thread = posix._exit, posix.execv, _thread.start_new_thread  # noqa: SLF001
start_joinable_thread: "Callable[..., object]"  # since 3.13
start_joinable_thread = getattr(_thread, "start_joinable_thread", start_new_thread)


def trace(frame: "FrameType", _event: str, _arg: object) -> "Tracing | None":
    """Return the function to call for each line of this call; None for no line."""
    code = frame.f_code
    try:
        found = arcs_by_path[code.co_filename]
    except KeyError:
        found = arcs_by_path[code.co_filename] = arcs_of(code.co_filename)
    if found is None:
        return None
    begin = -code.co_firstlineno
    is_new = code.co_code[frame.f_lasti + 1] == 0
    last = begin if is_new else frame.f_lineno

    def note(frame: "FrameType", event: str, _arg: object) -> "Tracing":
        nonlocal last
        if event == "line":
            found.add((last, frame.f_lineno))
            last = frame.f_lineno
        elif event == "return" and not is_yield(code.co_code, frame.f_lasti):
            found.add((last, begin))
        return note

    return note


def is_yield(bytecode: bytes, place: int) -> bool:
    """Tell whether a generator continues here; its position then depends on Python."""
    return RESUME in bytecode[place : place + 3 : 2]


def arcs_of(path: str) -> "set[tuple[int, int]] | None":
    """Return the set for the arcs of a source; None if it is not part of pyinit."""
    if not path.rpartition("/")[0].endswith(FOLDERS):
        return None
    return arcs.setdefault(path.rpartition("/pyinit/")[2], set())


def save() -> None:
    """Write all arcs to a new file; if that fails, ignore it."""
    if not arcs:
        return
    try:
        name = NOTES + posix.urandom(8).hex()
        file = posix.open(name, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC)
        posix.write(file, dumps(arcs))
        posix.close(file)
    except Exception:  # noqa: BLE001 - another root, a read-only one, no memory, no descriptors
        pass


def exit_noted(status: int) -> "NoReturn":
    """Write, then do as os._exit."""
    save()
    _exit(status)


def execv_noted(path: "str | bytes", argv: "list[str] | list[bytes]", /) -> "NoReturn":
    """Write, then do as os.execv."""
    save()
    execv(path, argv)


def start_traced_thread(act: "Callable[..., object]", given: "tuple[object, ...]") -> int:
    """Do as _thread.start_new_thread, with tracing."""

    def act_traced(*given: object) -> None:
        sys.settrace(trace)
        act(*given)

    return start_new_thread(act_traced, given)


def start_traced_joinable_thread(act: "Callable[[], object]", **how: object) -> object:
    """Do as _thread.start_joinable_thread, which threading uses, with tracing."""

    def act_traced() -> None:
        sys.settrace(trace)
        act()

    return start_joinable_thread(act_traced, **how)


def begin() -> None:
    """Trace this process from now on."""
    for module in (posix, os):
        vars(module).update(_exit=exit_noted, execv=execv_noted)
    vars(_thread).update(start_new_thread=start_traced_thread)
    if start_joinable_thread is not start_new_thread:
        vars(_thread).update(start_joinable_thread=start_traced_joinable_thread)
    atexit.register(save)
    sys.settrace(trace)
