#!python
"""Write a `pyinit` command that starts faster and ignores the environment: pyinit-launcher PATH.

Run it once, when an image is built. The command contains the paths of its interpreter and modules,
so run it again when Python or pyinit is upgraded.
"""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the directory of this script: it has no modules of ours

import hashlib
import marshal
import os
import re
import shutil
import subprocess
import tempfile
from importlib.util import MAGIC_NUMBER, find_spec
from pathlib import Path
from types import CodeType
from typing import NoReturn

PACKAGES = ("pyinit", "structlog")
IF_THERE = "prctl"  # without python-prctl, ctypes is used
# The files beside the command. Python recognises bytecode by its name. Not PATH.pyc: that would be
# the module pyinit for every other script in that folder, such as pytest.
BYTECODE, REST = ".run.pyc", ".rest"
SIGN = b"pyinit\0\0"  # in its header, in place of a time and a size, which are not used here
HEADER = MAGIC_NUMBER + bytes(4) + SIGN
SUM_BYTES = 16  # of the rest: a command uses only the file that was written with it
PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)  # for env -S, which splits and expands words
BLOCKING = "-S --block-signal"  # of env(1), since coreutils 8.31
# Isolated, without site, one codec less to look up; in one word: a #! line passes only one.
OPTIONS = "-ISXutf8"
LONGEST_LINE = 127  # of a #! line, before Linux 5.1
MARK = "A `pyinit` command, written by pyinit-launcher."
HOT = ("__init__", "signals", "processes", "child", "init")  # in the order of their imports
REPLACED = (f'"""{MARK}', '"""The `pyinit` command:')  # the second is the one that pip installs

HELP = """\
Usage: pyinit-launcher PATH

Write to PATH a pyinit command for this image, this Python and this version of
pyinit. It starts faster, blocks signals before Python starts if env(1) can do
that (coreutils 8.31), and ignores the Python variables and modules of your
program. The command is tried before it is put in place, and may replace a
pyinit command at PATH. Run pyinit-launcher again after an upgrade of Python or
pyinit.

  -h, --help     print this page
  -V, --version  print the version

In a Dockerfile:
  RUN pyinit-launcher /usr/local/bin/pyinit
"""

TEXT = '''\
#!{interpreter}
"""{mark}"""

# First: until this statement has run, the kernel drops signals that are sent to PID 1.
from _signal import SIG_BLOCK, pthread_sigmask, valid_signals

inherited_mask = pthread_sigmask(SIG_BLOCK, valid_signals())

import sys

stdlib = sys.path[:]
sys.path[:0] = {folders!r}  # first, so that no other folder is searched for pyinit

from pyinit.init import begin

sys.path[:] = [*stdlib, *{folders!r}]  # last for all other modules
begin({mask})
'''

# The program in the bytecode beside the command; each string is replaced by what it names.
PROGRAM = """\
from _signal import SIG_BLOCK, pthread_sigmask, valid_signals

pthread_sigmask(SIG_BLOCK, valid_signals())  # as env(1) has done, if the #! line has it

names = {}
exec("bundle", names)
names["start"]("hot", "head", "rest", "folders")
"""


def main(arguments: list[str]) -> None:
    """Write the command to the given path, after trying it."""
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(HELP)
        return
    if arguments in (["-V"], ["--version"]):
        from pyinit import __version__

        sys.stdout.write(f"pyinit-launcher {__version__}\n")
        return
    if len(arguments) != 1 or arguments[0].startswith("-"):
        fail("expected one path, for example: pyinit-launcher /usr/local/bin/pyinit")
    path = os.path.abspath(arguments[0])
    check(path)
    for suffix in (BYTECODE, REST):
        check_beside(path + suffix)
    write(path)
    sys.stdout.write(f"{path}: {first_line(path)}\n")


def check(path: str) -> None:
    """Refuse to overwrite a program that is not pyinit."""
    if os.path.isdir(path):
        fail(f"{path} is a directory: name a file, such as {path.rstrip('/')}/pyinit")
    if os.path.exists(path) and not os.path.isfile(path):
        fail(f"{path} is not a file: name another path")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = file.read(1000)
    except (FileNotFoundError, NotADirectoryError):
        return
    if not any(line.startswith(REPLACED) for line in head.splitlines()):
        fail(f"{path} exists and is not a pyinit command: remove it, or name another path")


def check_beside(path: str) -> None:
    """Refuse to overwrite a file that is not of pyinit-launcher."""
    if not os.path.lexists(path):
        return
    if not os.path.isfile(path) or not Path(path).read_bytes()[: len(HEADER)].endswith(SIGN):
        fail(f"{path} exists and is not a file of pyinit-launcher: remove it, or name another path")


def text_of(bytecode: str) -> str:
    """Return the script; its first line names the file of bytecode, if that is possible."""
    python = os.path.realpath("/proc/self/exe")
    texts = {"mark": MARK, "folders": folders()}
    # PATH may have relative folders, and the working directory will be another one.
    env = os.path.abspath(shutil.which("env") or "env")
    blocking = f"{env} {BLOCKING} {python} {OPTIONS}"
    if can_block():
        for line in (f"{blocking} {bytecode}", blocking):
            if fits(line) and (line == blocking or PLAIN.fullmatch(bytecode)):
                # env has blocked the signals, but the child must get the mask from before.
                return TEXT.format(interpreter=line, mask="set()", **texts)
    plain = f"{python} {OPTIONS}"
    if not fits(plain):
        fail(f"the path of the interpreter is too long for a #! line: {python}")
    sys.stderr.write(
        f"pyinit-launcher: no env with {BLOCKING} here: the command works, but blocks signals "
        f"only after Python has started, so an earlier signal may be lost\n"
    )
    return TEXT.format(interpreter=plain, mask="inherited_mask", **texts)


def fits(line: str) -> bool:
    """Tell whether a text is short enough for a #! line."""
    return len("#!") + len(os.fsencode(line)) <= LONGEST_LINE


def bytecode() -> tuple[bytes, bytes]:
    """Return what every start needs, as a program in bytecode (see before/bundle), and the rest."""
    package = Path(folder_of("pyinit"), "pyinit")
    begin = len(HEADER) + SUM_BYTES
    rest, places = b"", []
    for source in sorted(package.rglob("*.py")):
        if source.parent == package and source.stem in HOT:
            continue
        if source.is_relative_to(package / "rehearse"):  # another command
            continue
        code = marshal.dumps(compiled(source))
        folder = str(source.parent) if source.stem == "__init__" else None
        places.append((module_of(package, source), begin + len(rest), len(code), folder))
        rest += code
    head = HEADER + hashlib.sha256(rest).digest()[:SUM_BYTES]
    # All of them hashable: a free-threaded Python keeps constants in a table.
    constants = {
        "bundle": compiled(package / "before/bundle.py"),
        "hot": tuple(hot(package, package / f"{name}.py") for name in HOT),
        "head": head,
        "rest": tuple(places),
        "folders": tuple(folders()),
    }
    program = compile(PROGRAM, "pyinit", "exec", dont_inherit=True)
    filled = [constants.get(x, x) if isinstance(x, str) else x for x in program.co_consts]
    return HEADER + marshal.dumps(program.replace(co_consts=tuple(filled))), head + rest


def module_of(package: Path, source: Path) -> str:
    """Return a module's name."""
    parts = source.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def hot(package: Path, source: Path) -> tuple[str, str, int, int, CodeType]:
    """Return the record of a module that every start needs."""
    found = source.stat()
    name = module_of(package, source)
    return name, str(source), int(found.st_mtime), found.st_size, compiled(source)


def compiled(source: Path) -> CodeType:
    """Return the code of a module, without docstrings."""
    code: CodeType = compile(
        source.read_bytes(), str(source), "exec", dont_inherit=True, optimize=2
    )
    return code


def can_block() -> bool:
    """Tell whether env(1) can block signals, as in coreutils, but not in busybox."""
    try:
        done = subprocess.run(
            ["env", f"{BLOCKING} true"], check=False, capture_output=True, timeout=60
        )
    except OSError:
        return False
    return done.returncode == 0


def folders() -> list[str]:
    """Return the folders of pyinit and its dependencies, without those that `site` adds."""
    names = [*PACKAGES, IF_THERE] if find_spec(IF_THERE) else PACKAGES
    return list(dict.fromkeys(map(folder_of, names)))


def folder_of(name: str) -> str:
    """Return the folder in which a module or package is installed."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        fail(f"{name} is not installed for {sys.executable}")
    folder = os.path.dirname(os.path.abspath(spec.origin))
    return os.path.dirname(folder) if spec.submodule_search_locations else folder


def write(path: str) -> None:
    """Put the script and its files in place, after they have run in a scratch folder."""
    folder, name = os.path.split(path)
    try:
        scratch = tempfile.mkdtemp(dir=folder, prefix=".")
    except OSError as error:
        fail(f"cannot write into {folder}: {error.strerror}")
    try:
        new = os.path.join(scratch, name)
        text = text_of(new + BYTECODE)  # the longer of the two paths
        Path(new).write_text(text, encoding="utf-8")
        os.chmod(new, 0o755)  # noqa: S103 - a command
        for suffix, content in zip((BYTECODE, REST), bytecode(), strict=True):
            Path(new + suffix).write_bytes(content)
        try_out(new)
        has_bytecode = BYTECODE in first_line(new)
        Path(new).write_text(text.replace(new + BYTECODE, path + BYTECODE), encoding="utf-8")
        for suffix in (REST, BYTECODE):
            if has_bytecode:
                os.replace(new + suffix, path + suffix)
            else:
                Path(path + suffix).unlink(missing_ok=True)
        os.replace(new, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def try_out(command: str) -> None:
    """Run a program with the new command; this also compiles all modules that it loads."""
    # Not true(1): an image without a shell may not have it.
    tried = [command, "-v", "--", sys.executable, "-IS", "-c", ""]
    # Variables of pyinit in the image are not for this, and may silence the expected log line.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYINIT_", "TINI_"))}
    done = subprocess.run(tried, check=False, capture_output=True, text=True, timeout=60, env=kept)
    if done.returncode != 0 or "child_exited" not in done.stderr:
        fail(f"the new command does not run, so nothing was changed: {done.stderr.strip()}")


def first_line(path: str) -> str:
    """Return the #! line."""
    with open(path, encoding="utf-8") as file:
        return file.readline().rstrip("\n")


def fail(what: str) -> NoReturn:
    """Exit with one line and code 1."""
    line = f"pyinit-launcher: {what}"
    raise SystemExit(line)


try:
    main(sys.argv[1:])
except (OSError, subprocess.SubprocessError, UnicodeError) as error:
    fail(str(error))
