"""Why an exec failed, and what to do about it."""

import os
import stat
import struct
from errno import EACCES, ENOENT, ENOEXEC, ENOTDIR
from json import dumps, loads
from shlex import quote

from pyinit.child import DEFAULT_PATH, candidates
from pyinit.before.failed_exec import SHELL
from pyinit.settings import ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from pyinit.report import Report

NOT_FOUND, NOT_EXECUTABLE = 127, 126
HEAD = 4096
LONGEST_SHOWN = 300
MOST_INTERPRETERS = 5  # of scripts in a row; the kernel follows no more
ELF_MAGIC = b"\x7fELF"
ELF_HEADER = 52  # bytes of the smaller one
ELF_PROGRAMS = frozenset({2, 3})  # ET_EXEC, ET_DYN
PT_INTERP = 3
# e_machine of elf(5) for what container images are built for.
MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 21: "ppc64", 22: "s390x"}
MACHINES |= {243: "riscv64", 8: "mips", 258: "loongarch64"}

NO_SHELL = "pyinit starts the command without a shell"
# Commands that are built into a shell and are not programs.
BUILTINS = frozenset({"cd", "eval", "export", "set", "source", "trap", "ulimit", "umask"})
OF_SHELLS = ("&&", "||", ";", "|", "<", ">")  # operators of a shell
IN_WORDS = ("$", "~", "`", "*", "'", '"')  # what a shell replaces
DASHES = ("-", "\N{EN DASH}", "\N{EM DASH}")  # word processors replace "-" and "--"
QUOTES = {'""', "''", "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"}
RUN_BY = {b".py": "python3 ", b".sh": "sh ", b".js": "node "}  # for files without an x bit
# Without a backslash: JSON and the console would double it, and the command would not work.
WITHOUT_CR = "sed -i 's/[[:cntrl:]]$//'"


def tell(report: "Report", name: str, told: bytes) -> int:
    """Log why a command could not be run; return the exit code.

    Args:
        report: takes the event.
        name: the command as it was given.
        told: what the child wrote; see :func:`explain`.
    """
    code, number, reason = explain(name, told)
    report.tell(ERROR, "exec_failed", name, code, number, reason)
    return code


def explain(name: str, told: bytes) -> "tuple[int, int, str]":
    """Return the exit code, the errno, and the reason why a command could not be run.

    Args:
        name: the command as it was given.
        told: what the child wrote (see ``before.failed_exec``): the errno of exec; the file that
            failed, empty if PATH has none; the working directory, empty if it is deleted; and
            whether the child may not search that directory.
    """
    number, _, paths = told.partition(b" ")
    error = int(number)
    path, _, rest = paths.partition(b"\0")
    folder, _, closed = rest.partition(b"\0")
    refusal = _go_to(folder)  # pyinit has left the working directory
    try:
        is_nowhere = refusal and not path.startswith(b"/")
        if error in {ENOENT, ENOTDIR} and (is_nowhere or not os.path.lexists(path)):
            return NOT_FOUND, error, _not_found(name, folder, is_closed=closed == b"1")
        if is_nowhere:
            where = "" if closed == b"1" else f"working directory {show(folder)}: "
            reason = f"cannot be accessed: {where}{os.strerror(refusal)}"
            return NOT_EXECUTABLE, error, f"{show(path)} {reason}"
        return NOT_EXECUTABLE, error, f"{show(path)} {_unusable(error, path)}"
    finally:
        os.chdir("/")


def _go_to(folder: bytes) -> int:
    """Change the directory; return the errno if that fails, else 0."""
    try:
        os.chdir(folder)
    except OSError as error:
        return error.errno or ENOENT
    return 0


def show(path: bytes) -> str:
    """Return a path as text without line breaks; a very long one is cut off."""
    text = path.decode("utf-8", "backslashreplace")
    if len(text) > LONGEST_SHOWN:
        text = f"{text[:LONGEST_SHOWN]}..."
    return text if text.isprintable() else ascii(text)[1:-1]


def _not_found(name: str, folder: bytes, *, is_closed: bool) -> str:
    if not name:
        return "the command is an empty string; give the name of a program"
    where = _searched(name, folder, is_closed=is_closed)
    hint = _in_working_directory(name, folder) or _for_a_slip(name) or _for_a_shell(name)
    return f"{where}; {hint}" if hint else where


def _searched(name: str, folder: bytes, *, is_closed: bool) -> str:
    if "/" in name:
        return f"there is no such file (working directory {show(folder or b'deleted')})"
    path = os.environb.get(b"PATH")
    if path is None:
        what = f"not found: PATH is not set, so only {show(DEFAULT_PATH)} was searched"
    else:
        what = f"not found in PATH ({show(path)})"
    places = candidates(os.fsencode(name))
    shut = [_folder(place) for place in places if _is_shut(place, is_closed=is_closed)]
    return f"{what}; uid {os.geteuid()} may not search {show(b', '.join(shut))}" if shut else what


def _for_a_slip(name: str) -> str:
    """Say what to write instead of a word that looks like a typing error."""
    if name.startswith(DASHES):
        return (
            "the command begins after --, so put options of pyinit before --; "
            "docker run IMAGE OPTION replaces CMD by OPTION"
        )
    words = _of_list(name)
    if words:
        return f"it is a list in one word: write each word separately, as in {_list(*words)}"
    bare = name.strip()
    if bare != name and bare.split() == [bare]:
        return f"it contains a space or a line ending: write {show(os.fsencode(bare))}"
    bare = name[1:-1]
    if name[0] + name[-1] in QUOTES and bare.split() == [bare]:
        return f"the quotes are part of the word: write {show(os.fsencode(bare))}"
    return ""


def _of_list(name: str) -> list[str]:
    """Return the words of a JSON list; none if it is anything else."""
    if not name.startswith("["):
        return []
    try:
        words = loads(name)
    except (ValueError, RecursionError):
        return []
    words = [word for word in words if isinstance(word, str)]
    return [show(word.encode("utf-8", "backslashreplace")) for word in words]


def _for_a_shell(name: str) -> str:
    """Say what to write instead of a command that only a shell understands."""
    words = [show(os.fsencode(word)) for word in name.split()]
    first = words[0] if words else ""
    variable, equals, _ = first.partition("=")
    if equals and variable.isidentifier():
        env = f'["env", "{variable}=...", "PROGRAM"]'
        return (
            f"{NO_SHELL}, so {variable}=... sets no variable: use ENV in the Dockerfile, or {env}"
        )
    if first == "exec":
        return f"exec is a shell command, but {NO_SHELL}: leave it out"
    if first in BUILTINS:
        use = "WORKDIR in the Dockerfile, or " if first == "cd" else ""
        own = "." if first == "source" else first  # sh has no "source"
        text = " ".join([own, *words[1:]]) if len(words) > 1 else f"{own} ... && exec PROGRAM"
        return f"{first} is a shell command, but {NO_SHELL}: use {use}{_list('sh', '-c', text)}"
    marks = [mark for mark in (*OF_SHELLS, *IN_WORDS) if mark in name]
    if marks:
        text = " ".join(words if marks[0] in OF_SHELLS else ["exec", *words])
        instead = f"use {_list('sh', '-c', text)}"
        if len(words) == 1:
            instead = f"write it in full, or {instead}"
        return f"{NO_SHELL}, so {marks[0]} has no special meaning: {instead}"
    if len(words) > 1 and ("/" not in name or os.path.lexists(name.split(maxsplit=1)[0])):
        return f"it is one word with spaces: write each word separately, as in {_list(*words)}"
    return ""


def _list(*words: str) -> str:
    """Return words as a list in a Dockerfile, with brackets."""
    text = dumps(words, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _in_working_directory(name: str, folder: bytes) -> str:
    """Say what to write for a file in the working directory that is not in PATH."""
    path = os.fsencode(name)
    if not folder or b"/" in path or not os.path.isfile(path):
        return ""
    shown, program = quote(show(path)), RUN_BY.get(os.path.splitext(path)[1])
    is_executable = os.access(path, os.X_OK, effective_ids=True)
    if program and not (is_executable and _head(path).startswith(b"#!")):
        write = program + shown
    else:
        write = f"./{shown}" if is_executable else f"./{shown}, after chmod +x ./{shown}"
    return (
        f"{shown} is in the working directory {show(folder)}, which is not in PATH: write {write}"
    )


def _folder(path: bytes) -> bytes:
    return os.path.dirname(path) or b"."


def _is_shut(path: bytes, *, is_closed: bool) -> bool:
    """Tell whether the directory of a path may not be searched.

    Args:
        path: the path.
        is_closed: whether the working directory may not be searched.
    """
    if is_closed and not path.startswith(b"/"):
        return True
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def _unusable(error: int, path: bytes) -> str:
    head = _head(path)
    if error == ENOENT:
        return _missing_interpreter(path, head)
    if error == EACCES:
        return _no_access(path, head)
    if error == ENOEXEC:
        return _bad_format(head)
    return f"cannot be run: {os.strerror(error)}"


def _head(path: bytes) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(descriptor, HEAD)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _missing_interpreter(path: bytes, head: bytes, depth: int = 0) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return f"is a link to {show(os.readlink(path))}, which does not exist"
    if head.startswith(b"#!"):
        return _missing_script_interpreter(path, head, depth)
    loader = elf_interpreter(head)
    if loader:
        return (
            f"needs the loader {show(loader)}, which does not exist here: "
            "it was built for another C library (glibc or musl) or another architecture"
        )
    return "exists, but another file that it needs to start does not"


def _missing_script_interpreter(path: bytes, head: bytes, depth: int) -> str:
    interpreter = script_interpreter(head)
    if interpreter.endswith(b"\r"):
        return (
            "has Windows line endings, so the kernel looks for an interpreter whose name ends in a "
            f"carriage return; remove them with: {WITHOUT_CR} {quote(show(path))}"
        )
    what = "does not exist"
    if depth < MOST_INTERPRETERS and os.path.lexists(interpreter):  # a script as well, perhaps
        what = _missing_interpreter(interpreter, _head(interpreter), depth + 1)
    return f"names the interpreter {show(interpreter)} in its #! line, which {what}"


def script_interpreter(head: bytes) -> bytes:
    """Return the text between ``#!`` and the first space, with any carriage return."""
    words = head.split(b"\n", 1)[0][2:].strip(b" \t").replace(b"\t", b" ").split(b" ")
    return words[0]


def elf_interpreter(head: bytes) -> bytes:
    """Return the loader that an ELF program needs (PT_INTERP, elf(5)); empty if none."""
    try:
        wide, order = head[4] == 2, "<" if head[5] == 1 else ">"  # noqa: PLR2004 - ELFCLASS64
        table = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
        size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
        for entry in range(table, table + size * count, size):
            if struct.unpack_from(order + "I", head, entry)[0] == PT_INTERP:
                form, at = (order + "Q", (8, 32)) if wide else (order + "I", (4, 16))
                start, length = (struct.unpack_from(form, head, entry + n)[0] for n in at)
                return head[start : start + length].rstrip(b"\0")
    except (struct.error, IndexError, ValueError):
        pass
    return b""


def _no_access(path: bytes, head: bytes) -> str:
    what, reason = "", _forbidden(path)
    for _ in range(MOST_INTERPRETERS):
        if reason:
            return what + reason
        interpreter = script_interpreter(head) if head.startswith(b"#!") else elf_interpreter(head)
        if not interpreter:
            break
        what += f"names the interpreter {show(interpreter)}, which "
        reason, head = _forbidden(interpreter), _head(interpreter)
    return "may not be executed, though its mode allows it: does a security module (LSM) forbid it?"


def _forbidden(path: bytes) -> str:
    try:
        mode = os.stat(path).st_mode
        is_noexec = os.statvfs(path).f_flag & os.ST_NOEXEC
    except OSError as error:
        return f"cannot be accessed: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a directory, not a program"
    if not stat.S_ISREG(mode):
        return "is not a regular file"
    if is_noexec:  # access(2) returns the same errno as for a missing x bit
        return "is on a file system that is mounted noexec"
    if not os.access(path, os.X_OK, effective_ids=True):
        return _no_permission(path, mode)
    return ""


def _no_permission(path: bytes, mode: int) -> str:
    shown = f"mode {stat.S_IMODE(mode):04o}, {stat.filemode(mode)}"
    if mode & 0o111:
        return f"may not be executed by this user ({shown}, uid {os.geteuid()})"
    return f"is not executable ({shown}); fix it with: chmod +x {show(path)}"


def _bad_elf(head: bytes) -> str:
    order: Literal["little", "big"] = "little" if head[5:6] == b"\x01" else "big"
    kind, machine = (int.from_bytes(head[at : at + 2], order) for at in (16, 18))
    own = _head(b"/proc/self/exe")
    if len(head) < ELF_HEADER:
        return "is a truncated ELF file: copy or build it again"
    if head[5:6] + head[18:20] != own[5:6] + own[18:20]:
        built = MACHINES.get(machine, f"machine {machine}")
        here = os.uname().machine
        return f"was built for {built}, but this machine is {here}: use a build for {here}"
    if kind not in ELF_PROGRAMS:
        return "is an ELF file but not a program: an object file or a core dump"
    return "is a program for this machine but damaged or truncated: copy or build it again"


def _bad_format(head: bytes) -> str:
    if head.startswith(ELF_MAGIC):
        return _bad_elf(head)
    if b"\0" in head:
        return "is a binary file in a format that this kernel cannot run"
    return f"has no #! line and {show(SHELL)}, which would run it, cannot be started"
