#!python
"""Write a `pyinit` command that starts faster and is deaf to the environment: pyinit-launcher PATH.

For images, once, when they are built. What is written has its interpreter, options and folders in
it, so it is to be written anew when Python or pyinit is upgraded.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from typing import NoReturn

PACKAGES = ("pyinit", "structlog", "prctl")
BLOCKING = "-S --block-signal"  # of env(1), coreutils 8.31
LONGEST_LINE = 127  # of a #! line, before Linux 5.1
MARK = "A `pyinit` command, written by pyinit-launcher."
REPLACED = (f'"""{MARK}', '"""The `pyinit` command:')  # and the one that pip installs

HELP = """\
Usage: pyinit-launcher PATH

Write to PATH a pyinit command for this image, this Python and this version of
pyinit: it starts faster, blocks signals before Python boots where env(1) can
do that (coreutils 8.31), and is deaf to the Python variables and modules of
the workload. It is tried before it is put in its place, and may replace a
pyinit that is there. Write it anew when Python or pyinit is upgraded.

  -h, --help     print this page
  -V, --version  print the version

In a Dockerfile:
  RUN pyinit-launcher /usr/local/bin/pyinit
"""

TEXT = '''\
#!{interpreter}
"""{mark}"""

# First of all: until this statement ran, the kernel drops what is sent to PID 1.
from _signal import SIG_BLOCK, pthread_sigmask, valid_signals

inherited_mask = pthread_sigmask(SIG_BLOCK, valid_signals())

import sys

stdlib = sys.path[:]
sys.path[:0] = {folders!r}  # first, so that no other is searched for pyinit

from pyinit.init import begin

sys.path[:] = [*stdlib, *{folders!r}]  # and last for all the rest
begin({mask})
'''


def main(arguments: list[str]) -> None:
    """Write the command to the path that is given, and try it."""
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(HELP)
        return
    if arguments in (["-V"], ["--version"]):
        from pyinit import __version__

        sys.stdout.write(f"pyinit-launcher {__version__}\n")
        return
    if len(arguments) != 1 or arguments[0].startswith("-"):
        fail("expected one path, as in: pyinit-launcher /usr/local/bin/pyinit")
    path = os.path.abspath(arguments[0])
    check(path)
    write(path, text_of(path))
    sys.stdout.write(f"{path}: {first_line(path)}\n")


def check(path: str) -> None:
    """Refuse to write over a program that is not pyinit."""
    if os.path.isdir(path):
        fail(f"{path} is a directory: name the file, as {path.rstrip('/')}/pyinit")
    if os.path.exists(path) and not os.path.isfile(path):
        fail(f"{path} is not a file: name another path")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = file.read(1000)
    except (FileNotFoundError, NotADirectoryError):
        return
    if not any(line.startswith(REPLACED) for line in head.splitlines()):
        fail(f"{path} is there already and is no pyinit: remove it, or name another path")


def text_of(path: str) -> str:
    """Return the script."""
    python = os.path.realpath("/proc/self/exe")
    texts = {"mark": MARK, "folders": folders()}
    # PATH may have folders in it that are relative, and the working directory will be another.
    env = os.path.abspath(shutil.which("env") or "env")
    blocking = f"{env} {BLOCKING} {python} -I -S"
    if can_block() and len(blocking) + len("#!") <= LONGEST_LINE:
        # What env has blocked was not: the child is to get what init would have got.
        return TEXT.format(interpreter=blocking, mask="set()", **texts)
    plain = f"{python} -IS"
    if len(plain) + len("#!") > LONGEST_LINE:
        fail(f"the path of the interpreter is too long for a #! line: {python}")
    sys.stderr.write(
        f"pyinit-launcher: no env with {BLOCKING} here, so signals are blocked only when Python "
        f"has started: {path} is slower to hear, and works all the same\n"
    )
    return TEXT.format(interpreter=plain, mask="inherited_mask", **texts)


def can_block() -> bool:
    """Tell whether env(1) can block signals: that of coreutils can, that of busybox cannot."""
    try:
        done = subprocess.run(
            ["env", f"{BLOCKING} true"], check=False, capture_output=True, timeout=60
        )
    except OSError:
        return False
    return done.returncode == 0


def folders() -> list[str]:
    """Return where pyinit and what it loads later are, without what `site` would add."""
    found: list[str] = []
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            fail(f"{name} is not installed for {sys.executable}")
        folder = os.path.dirname(os.path.abspath(spec.origin))
        folder = os.path.dirname(folder) if spec.submodule_search_locations else folder
        if folder not in found:
            found.append(folder)
    return found


def write(path: str, text: str) -> None:
    """Put the script in its place, but not before it was seen to run."""
    folder = os.path.dirname(path)
    try:
        descriptor, new = tempfile.mkstemp(dir=folder, prefix=".pyinit-")
    except OSError as error:
        fail(f"nothing can be written into {folder}: {error.strerror}")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(new, 0o755)  # noqa: S103 - a command
        try_out(new)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def try_out(command: str) -> None:
    """Run something with it; that leaves compiled all that it loads, too."""
    # Not true(1): an image without a shell may be without that as well.
    tried = [command, "-v", "--", sys.executable, "-IS", "-c", ""]
    # What the image sets for pyinit is not about the launcher, and may silence what is looked for.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYINIT_", "TINI_"))}
    done = subprocess.run(tried, check=False, capture_output=True, text=True, timeout=60, env=kept)
    if done.returncode != 0 or "child_exited" not in done.stderr:
        fail(f"what was written does not run, so it is not kept: {done.stderr.strip()}")


def first_line(path: str) -> str:
    """Return the #! line."""
    with open(path, encoding="utf-8") as file:
        return file.readline().rstrip("\n")


def fail(what: str) -> NoReturn:
    """Leave with one line and code 1."""
    line = f"pyinit-launcher: {what}"
    raise SystemExit(line)


try:
    main(sys.argv[1:])
except (OSError, subprocess.SubprocessError, UnicodeError) as error:
    fail(str(error))
