"""Start out of what pyinit-launcher has written, where no module is looked for.

To find a module and to open its file takes importlib longer than to run it. So the bytecode that
every start needs is in one file, and the rest is in another one, which is kept open.
"""

import posix
import sys
from marshal import loads  # a builtin module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

    Hot = tuple[
        str, str, int, int, CodeType
    ]  # name, source, its mtime and size, what it consists of
    Place = tuple[
        str, int, int, str | None
    ]  # name, where it begins, how long it is, the folder of a package

RECORD: "Any" = type(sys.implementation)  # types.SimpleNamespace, see pyinit.child


def start(
    hot: "Sequence[Hot]", head: bytes, rest: "Sequence[Place]", folders: "Sequence[str]"
) -> "NoReturn":
    """Be pyinit.

    Args:
        hot: the modules that every start needs, in the order in which they are.
        head: what the file of the others begins with.
        rest: where in there they are.
        folders: where to look for what is not pyinit's.
    """
    file = sys.argv.pop(0)  # next is the command, as the kernel adds it to what its #! line says
    stdlib = sys.path[:]
    if all(is_as_it_was(source, mtime, size) for _, source, mtime, size, _ in hot):
        load(hot)
        keep(f"{file.removesuffix('.run.pyc')}.rest", head, rest)
    else:  # pyinit was upgraded, and the command was not written anew
        sys.path[:0] = folders  # first, so that no other is searched for pyinit
    from pyinit.init import begin

    sys.path[:] = [*stdlib, *folders]  # and last for all the rest
    begin(set())


def is_as_it_was(source: str, mtime: int, size: int) -> bool:
    """Tell whether a source has not changed, as importlib does; one that is gone has not."""
    try:
        found = posix.stat(source)
    except OSError:
        return True
    return (int(found.st_mtime), found.st_size) == (mtime, size)


def load(hot: "Sequence[Hot]") -> None:
    """Make modules."""
    for name, source, _, _, code in hot:
        module = sys.modules[name] = type(sys)(name)
        package, _, own = name.rpartition(".")
        if package:
            setattr(sys.modules[package], own, module)
        else:
            module.__path__ = [source.rpartition("/")[0]]
        exec(code, module.__dict__)  # noqa: S102 - what else is a module


def keep(file: str, head: bytes, rest: "Sequence[Place]") -> None:
    """Have the others come out of the file, which stays open: pyinit may be replaced meanwhile.

    Where that cannot be had, or is another one's, they come from where they are installed.
    """
    from pyinit import child, init

    try:
        child.fill_holes()  # or it could become the workload's stdin
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
        except (OSError, EOFError, ValueError, TypeError):  # it was written over
            return None
        spec = ModuleSpec(name, loader, loader_state=code)
        spec.submodule_search_locations = [folder] if folder else None
        return spec

    def exec_module(module: "ModuleType") -> None:
        exec(module.__spec__.loader_state, module.__dict__)  # type: ignore[union-attr]  # noqa: S102

    loader = RECORD(create_module=lambda _: None, exec_module=exec_module)
    sys.meta_path.insert(0, RECORD(find_spec=find_spec))
    init.modules_stay_open = True
