"""In the child, after exec has failed: try again as execvp(3) does, and say why it fails."""

import posix
from errno import EACCES, ENODEV, ENOENT, ENOEXEC, ENOTDIR, ESTALE, ETIMEDOUT

SHELL = b"/bin/sh"
LONGEST_PATH = 4096  # PATH_MAX; two of them fit into a pipe without a reader
SEARCH_GOES_ON = frozenset({EACCES, ENODEV, ENOENT, ENOTDIR, ESTALE, ETIMEDOUT})


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def try_again(paths: "Iterable[bytes]", arguments: list[bytes], failure: int) -> None:
    """Exec the command; if that fails, write why into a pipe, for ``later.exec_failure``.

    Args:
        paths: the paths that the command may have.
        arguments: the command.
        failure: the pipe's descriptor.
    """
    error, path = _exec(paths, arguments)
    is_closed = not posix.access(b".", posix.X_OK, effective_ids=True)
    told = error, path[:LONGEST_PATH], _folder(), is_closed
    posix.write(failure, b"%d %s\0%s\0%d" % told)


def _exec(paths: "Iterable[bytes]", arguments: list[bytes]) -> tuple[int, bytes]:
    # A file without permission does not end the search; a file that fails in another way does. In a
    # folder that may not be searched, no file is found.
    worst = (ENOENT, b"")
    for path in paths:
        error = _exec_file(path, arguments)
        if error not in SEARCH_GOES_ON or b"/" in arguments[0]:
            return error, path
        if (error == EACCES or worst[0] == ENOENT) and _is_there(path):
            worst = (error, path)
    return worst


def _exec_file(path: bytes, arguments: list[bytes]) -> int:
    try:
        posix.execv(path, arguments)
    except OSError as error:
        if error.errno == ENOEXEC and _is_text(path):
            return _exec_shell(path, arguments)
        return error.errno or ENOENT


def _exec_shell(path: bytes, arguments: list[bytes]) -> int:
    try:
        posix.execv(SHELL, [SHELL, path, *arguments[1:]])
    except OSError:
        return ENOEXEC


def _is_text(path: bytes) -> bool:
    # A shell would only report a syntax error in a program for another machine.
    try:
        with open(path, "rb") as file:
            return b"\0" not in file.read(256)
    except OSError:
        return True


def _is_there(path: bytes) -> bool:
    try:
        posix.lstat(path)
    except (OSError, ValueError):
        return False
    return True


def _folder() -> bytes:
    try:
        return posix.getcwdb()[:LONGEST_PATH]
    except OSError:
        return b""
