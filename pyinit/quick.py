"""Begin as fast as Python can: load what every start needs without importlib.

importlib looks for each module in folders, asks for its source twice and keeps a specification:
as much work as to run what is in it. Here each file is opened and run, if its source is as it was
when it was compiled. Whatever is wrong with one is left to importlib, which is slow and right.
"""

import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import NoReturn

# Each after those that it imports.
HOT = (
    "settings",
    "signals",
    "terminal",
    "child",
    "reaping",
    "everyone",
    "ending",
    "telling",
    "lifecycle",
    "report",
    "supervise",
    "start",
    "cli",
)
HEADER = 16  # bytes: magic number, flags, and when and how large the source was (PEP 552)
LARGEST = 1 << 20
OPTIMIZED = f".opt-{sys.flags.optimize}" if sys.flags.optimize else ""
ENDING = f".{sys.implementation.cache_tag}{OPTIMIZED}.pyc"
NAME = b"pyinit"


def begin(inherited_mask: "set[int]") -> "NoReturn":
    """Call oneself pyinit, which env(1) in a #! line has undone, and start.

    What pyinit-launcher writes ends here.

    Args:
        inherited_mask: which signals were blocked before all were.
    """
    load_hot()
    try:
        comm = posix.open("/proc/self/comm", posix.O_WRONLY | posix.O_CLOEXEC)
        posix.write(comm, NAME)
        posix.close(comm)
    except OSError:  # no /proc: then it has the interpreter's name
        pass
    from pyinit.cli import main

    main(inherited_mask)


def load_hot() -> None:
    """Load them; from the first on that cannot be loaded this way the rest is not."""
    package = sys.modules["pyinit"]
    try:
        for name in HOT:
            _load(package, name)
    except Exception:  # noqa: BLE001 - importlib finds out what it is, and says so
        pass


def _load(package: "ModuleType", name: str) -> None:
    full, folder = f"pyinit.{name}", package.__path__[0]
    module = type(sys)(full)
    module.__file__ = f"{folder}/{name}.py"
    module.__package__ = "pyinit"
    code = _code(module.__file__, f"{folder}/__pycache__/{name}{ENDING}")
    sys.modules[full] = module
    try:
        exec(code, vars(module))  # noqa: S102 - as importlib would
    except BaseException:
        del sys.modules[full]
        raise
    setattr(package, name, module)


def _code(source: str, compiled: str) -> "CodeType":
    """Return the code of a module.

    Raises:
        ImportError: it is not what this Python would make of the source as it is now.
        OSError: one of the two is not there.
        ValueError, EOFError, TypeError: it is spoilt.
    """
    descriptor = posix.open(compiled, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        data = posix.read(descriptor, LARGEST)
    finally:
        posix.close(descriptor)
    now = posix.stat(source)
    times = (0, int(now.st_mtime), now.st_size)
    if data[:HEADER] != MAGIC_NUMBER + b"".join(n.to_bytes(4, "little") for n in times):
        raise ImportError(compiled)
    code: CodeType = loads(data[HEADER:])  # noqa: S302 - what importlib does, from the same place
    return code
