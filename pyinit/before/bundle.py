"""Start from the files that pyinit-launcher has written, without a search for modules.

To find a module and to open its file takes importlib longer than to run the module. So one file has
the bytecode that every start needs, and another one, which stays open, has the rest.
"""

import posix
import sys
from marshal import loads  # a builtin module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

    Hot = tuple[str, str, int, int, CodeType]  # name, source, its mtime and size, code
    Place = tuple[str, int, int, str | None]  # name, offset, size, the folder if it is a package

RECORD: "Any" = type(sys.implementation)  # types.SimpleNamespace, see pyinit.child


def start(
    hot: "Sequence[Hot]", head: bytes, rest: "Sequence[Place]", folders: "Sequence[str]"
) -> "NoReturn":
    """Load the modules and become pyinit.

    Args:
        hot: the modules that every start needs, in the order in which they are imported.
        head: the first bytes of the file with the other modules.
        rest: where these modules are in that file.
        folders: where the modules of other packages are.
    """
    file = sys.argv.pop(0)  # next is the path of the command, which the kernel adds
    stdlib = sys.path[:]
    if all(is_as_it_was(source, mtime, size) for _, source, mtime, size, _ in hot):
        load(hot)
        keep(f"{file.removesuffix('.run.pyc')}.rest", head, rest)
    else:  # pyinit was upgraded, and pyinit-launcher did not run again
        sys.path[:0] = folders  # first, so that no other folder is searched for pyinit
    from pyinit.init import begin

    sys.path[:] = [*stdlib, *folders]  # last for all other modules
    begin(set())


def is_as_it_was(source: str, mtime: int, size: int) -> bool:
    """Tell whether a source is unchanged, as importlib does; a missing one counts as unchanged."""
    try:
        found = posix.stat(source)
    except OSError:
        return True
    return (int(found.st_mtime), found.st_size) == (mtime, size)


def load(hot: "Sequence[Hot]") -> None:
    """Make modules out of their code."""
    for name, source, _, _, code in hot:
        module = sys.modules[name] = type(sys)(name)
        package, _, own = name.rpartition(".")
        if package:
            setattr(sys.modules[package], own, module)
        else:
            module.__path__ = [source.rpartition("/")[0]]
        exec(code, module.__dict__)  # noqa: S102 - this makes the module


def keep(file: str, head: bytes, rest: "Sequence[Place]") -> None:
    """Import the other modules from the file, which stays open: pyinit may be replaced meanwhile.

    If the file cannot be opened, or does not belong to this command, they are imported as usual.
    """
    from pyinit import child, init

    try:
        child.fill_holes()  # or the file could become the stdin of the child
        descriptor = posix.open(file, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
        if posix.pread(descriptor, len(head), 0) != head:
            posix.close(descriptor)
            return
    except OSError:
        return

    places = {place[0]: place for place in rest}

    def find_spec(name: str, *_: object) -> object:
        if name not in places:
            return None
        from _frozen_importlib import ModuleSpec  # a builtin module

        begin, size, folder = places[name][1:]
        try:
            code = loads(posix.pread(descriptor, size, begin))  # noqa: S302 - our own
        except (OSError, EOFError, ValueError, TypeError):  # it was overwritten
            return None
        spec = ModuleSpec(name, loader, loader_state=code)
        spec.submodule_search_locations = [folder] if folder else None
        return spec

    def exec_module(module: "ModuleType") -> None:
        exec(module.__spec__.loader_state, module.__dict__)  # type: ignore[union-attr]  # noqa: S102

    loader = RECORD(create_module=lambda _: None, exec_module=exec_module)
    sys.meta_path.insert(0, RECORD(find_spec=find_spec))
    init.modules_stay_open = True
