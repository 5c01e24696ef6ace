"""Make root file systems of Debian releases, and run commands in them; takes root and mmdebstrap.

Usage: python3 -m testkit.roots NAME COMMAND [ARGUMENT]...

A file system lies below .venv/roots and is made once, unless what it is made of has changed.
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
    """What a root file system is made of."""

    suite: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()  # of mmdebstrap; "$1" is the directory
    architecture: str = ""
    variant: str = "minbase"


KNOWN = {
    # Where `make run` starts from: a fresh Debian with git and make.
    "trixie": Root("trixie", ("ca-certificates", "git", "make")),
    "sid": Root("sid", ("ca-certificates", "git", "make")),
    # As the official slim images: pip may write, there is no compiler. Nor is there libcap.so.2.
    "bare": Root(
        "bookworm",
        ("python3", "python3-pip"),
        ('rm "$1"/usr/lib/*/libcap.so.2* "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED',),
    ),
    # What the tests need, and what unpacks Alpine and compiles for its C library: trials/musl.
    "musl": Root(
        "bookworm",
        (
            "busybox", "ca-certificates", "catatonit", "dpkg-dev", "dumb-init", "e2fsprogs",
            "faketime", "gcc", "libc6-dev", "libcap-dev", "make", "musl-tools", "procps",
            "qemu-utils", "strace", "tini", "unzip", "valgrind",
        ),
    ),
    # Nothing is configured, which an emulator would take minutes for: see trials/platforms.
    "arm64": Root(
        "trixie",
        ("base-files", "coreutils", "dash", "mount", "python3-prctl", "python3-structlog"),
        architecture="arm64",
        variant="extract",
    ),
}  # fmt: skip


def make(name: str) -> Path:
    """Return the directory of a root file system of ``KNOWN``; it is made where it is not there."""
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
    # A snapshot of a release that goes on says that it is too old; apt is not told to worry.
    options = ('Apt::Install-Recommends "false";', 'Acquire::Check-Valid-Until "false";')
    command += [f"--aptopt={line}" for line in (*options, *registries.apt_options())]
    command += [f"--dpkgopt=path-exclude=/usr/share/{left_out}/*" for left_out in LEFT_OUT]
    command += ["--dpkgopt=force-unsafe-io"]  # what is lost with the machine's power is made anew
    command += [f"--customize-hook={hook}" for hook in (f"tar-in {settings} /", *root.hooks)]
    subprocess.run([*command, root.suite, str(directory)], check=True)
    settings.unlink()
    made.write_text(repr(root))
    return directory


def entering(directory: Path, *command: object, as_init: bool = False) -> list[str]:
    """Return the command that runs another in a root file system, with namespaces of its own.

    PID 1 there is `sh`, or the command itself, and the kernel ends all that is left with it. /proc
    is the new namespace's; /dev, /sys and the network are the machine's, but for shared memory.
    """
    # Not chroot: in one no user namespace can be made, `unshare --mount-proc` wants a mount, and a
    # process that enters the namespaces later, as nsenter(1) does, would be outside of it.
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
    """Put this tree, without what git ignores, into a root file system, as /pyinit.

    What make has installed there stays, so that a second run is quick.
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
    """Return what a shell has after a login there; this machine's own is about its own files."""
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    return {"HOME": "/root", "LANG": "C.UTF-8", "PATH": PATH, **proxies}


def main(name: str, command: list[str]) -> None:
    """Become a command in a root file system, with a copy of this tree as its directory."""
    directory = make(name)
    copy_tree(directory)
    os.chdir("/")
    entered = entering(directory, "/usr/bin/env", "--chdir=/pyinit", *command)
    os.execvpe(entered[0], entered, environment())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
