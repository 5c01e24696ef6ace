"""Make root file systems of Debian releases and run commands in them; needs root and mmdebstrap.

Usage: python3 -m testkit.roots NAME COMMAND [ARGUMENT]...

A file system is below .venv/roots, and is made once, unless its description has changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from testkit import registries

TREE = Path(__file__).parent.parent
ROOTS = TREE / ".venv" / "roots"
LEFT_OUT = ("doc", "info", "locale", "man")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Root(NamedTuple):
    """The description of a root file system."""

    suite: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()  # of mmdebstrap; "$1" is the directory
    architecture: str = ""
    variant: str = "minbase"


KNOWN = {
    # Where `make run` begins: a fresh Debian with git and make.
    "trixie": Root("trixie", ("ca-certificates", "git", "make")),
    "sid": Root("sid", ("ca-certificates", "git", "make")),
    # Like the official slim images: pip may write, and there is neither a compiler nor libcap.so.2.
    "bare": Root(
        "bookworm",
        ("python3", "python3-pip"),
        ('rm "$1"/usr/lib/*/libcap.so.2* "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED',),
    ),
    # What the tests need, and what unpacks Alpine and compiles for its C library: trials/platforms.
    "musl": Root(
        "bookworm",
        (
            "busybox", "ca-certificates", "catatonit", "dpkg-dev", "dumb-init", "e2fsprogs",
            "faketime", "gcc", "libc6-dev", "libcap-dev", "make", "musl-tools", "procps",
            "qemu-utils", "strace", "tini", "unzip", "valgrind",
        ),
    ),
    # Nothing is configured, because an emulator needs minutes for that: see trials/platforms.
    "arm64": Root(
        "trixie",
        ("base-files", "coreutils", "dash", "mount", "python3-prctl", "python3-structlog"),
        architecture="arm64",
        variant="extract",
    ),
}  # fmt: skip


def make(name: str) -> Path:
    """Return the directory of a root file system of ``KNOWN``; make it if it is missing."""
    root = KNOWN[name]
    directory, made = ROOTS / name, ROOTS / f"{name}.made"
    if made.exists() and made.read_text() == repr(root):
        return directory
    ROOTS.mkdir(parents=True, exist_ok=True)
    made.unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)
    settings = ROOTS / f"{name}.tar"
    registries.pack(registries.files(), settings)
    command = ["mmdebstrap", "--quiet", "--mode=root", f"--variant={root.variant}"]
    command += [f"--include={','.join(root.packages)}"]
    command += [f"--architectures={root.architecture}"] if root.architecture else []
    # A snapshot of a release that changes is soon too old for apt, which is told not to check that.
    options = ('Apt::Install-Recommends "false";', 'Acquire::Check-Valid-Until "false";')
    command += [f"--aptopt={line}" for line in (*options, *registries.apt_options())]
    command += [f"--dpkgopt=path-exclude=/usr/share/{left_out}/*" for left_out in LEFT_OUT]
    command += ["--dpkgopt=force-unsafe-io"]  # after a power cut it is made again
    command += [f"--customize-hook={hook}" for hook in (f"tar-in {settings} /", *root.hooks)]
    subprocess.run([*command, root.suite, str(directory)], check=True)
    settings.unlink()
    made.write_text(repr(root))
    return directory


def entering(directory: Path, *command: object, as_init: bool = False) -> list[str]:
    """Return a prefix that runs a command in a root file system, with namespaces of its own.

    PID 1 is `sh`, or the command itself, and with it the kernel ends all others. /proc is that of
    the new namespace; /dev, /sys and the network are those of the machine, except shared memory.
    """
    # Not chroot: in one no user namespace can be made, `unshare --mount-proc` needs a mount point,
    # and a process that enters the namespaces later, as nsenter(1) does, would be outside it.
    mounts = (
        'mount --bind "$0" "$0"; cd "$0"; '
        "mount --rbind /dev dev; mount --rbind /sys sys; mount -t proc proc proc; "
        "for one in dev/shm run tmp; do mount -t tmpfs tmpfs $one; done; "
        "pivot_root . .; umount -l .; cd /; "
    )
    run = 'exec "$@"' if as_init else '"$@"'
    unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
    return [*unshare, "sh", "-ec", mounts + run, str(directory), *map(str, command)]


def copy_tree(directory: Path) -> None:
    """Copy this tree, without what git ignores, to /pyinit in a root file system.

    What make has installed there stays, so that a second run is fast.
    """
    copy = directory / "pyinit"
    for old in copy.iterdir() if copy.exists() else ():
        if old.name != ".venv":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(
        TREE, copy, symlinks=True, dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "dist"),
    )  # fmt: skip


def environment() -> dict[str, str]:
    """Return the environment of a shell after a login there, without that of this machine."""
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    return {"HOME": "/root", "LANG": "C.UTF-8", "PATH": PATH, **proxies}


def main(name: str, command: list[str]) -> None:
    """Exec a command in a root file system, in the directory of a copy of this tree."""
    directory = make(name)
    copy_tree(directory)
    os.chdir("/")
    entered = entering(directory, "/usr/bin/env", "--chdir=/pyinit", *command)
    os.execvpe(entered[0], entered, environment())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
