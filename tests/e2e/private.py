"""Run a command in namespaces of its own, so that nothing of it is left, however it ends.

Usage: private.py PYINIT COMMAND [ARGUMENT]...

PYINIT becomes PID 1 of a PID namespace and runs COMMAND: with PID 1 the kernel ends all the rest,
daemons and containers included. Mounts are private. /run, /dev/shm and TMPDIR are empty and in
memory; so is what is written to /etc, /opt and /var/lib. /sys/fs/cgroup shows but one group, below
which all other groups are made. That group is all that can outlive the namespaces; it is removed
here, and by the next run should this one be killed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWPID = 1 << 17, 1 << 25, 1 << 27, 1 << 29
PR_SET_PDEATHSIG = 1
PREFIX = "pyinit-e2e-"
TEMPORARY = "/run/tmp"
PATIENCE_SECONDS = 30  # for an interrupted run to end by itself
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}

libc = ctypes.CDLL(None, use_errno=True)


def hierarchies() -> dict[str, tuple[str, str]]:
    """Return where each cgroup hierarchy is mounted, with its type and options."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        fields = [line.split() for line in mounts]
    return {at: (kind, opts) for _, at, kind, opts, *_ in fields if kind in {"cgroup", "cgroup2"}}


def unshare(flags: int) -> None:
    """Leave some of the namespaces that this process shares; Python 3.11 has no os.unshare."""
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def keep_writes(directory: str) -> None:
    """Have what is written to a directory go to memory."""
    upper, work = (f"/run/overlay{directory}/{name}" for name in ("upper", "work"))
    os.makedirs(upper)
    os.makedirs(work)
    options = f"lowerdir={directory},upperdir={upper},workdir={work}"
    mount("-t", "overlay", "-o", options, "overlay", directory)


def join(group: str) -> None:
    """Put this process into a cgroup, which is made for it."""
    os.makedirs(group)
    for name in ("cpuset.cpus", "cpuset.mems"):  # version 1: without them no process may join
        with contextlib.suppress(FileNotFoundError):
            with open(f"{os.path.dirname(group)}/{name}") as above:
                value = above.read()
            with open(f"{group}/{name}", "w") as own:
                own.write(value)
    with open(f"{group}/cgroup.procs", "w") as processes:
        processes.write("0")


def enclose_cgroups(name: str) -> None:
    """Let this process and its descendants see and make no cgroups but those below one."""
    found = hierarchies()
    for at in found:
        join(f"{at}/{name}")
    unshare(CLONE_NEWCGROUP)
    for at, (kind, options) in found.items():
        subprocess.run(["umount", at], check=True)
        if kind == "cgroup":
            controllers = [word for word in options.split(",") if word not in {"rw", "relatime"}]
            mount("-t", kind, "-o", ",".join(controllers), kind, at)
        elif len(found) == 1:  # with version 1 it is not needed, and crun 1.8 refuses both
            mount("-t", kind, kind, at)
            join(f"{at}/init")  # a group that has groups below may have no processes


def inside(name: str, command: list[str]) -> None:
    """Be the first process of the namespaces: set them up, then become pyinit."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    unshare(CLONE_NEWNS | CLONE_NEWIPC)
    mount("--make-rprivate", "/")
    mount("-t", "proc", "proc", "/proc")
    for directory in ("/run", "/dev/shm"):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", directory)
    for directory in ("/etc", "/opt", "/var/lib"):  # containerd, CNI and podman write there
        if not f"{os.getcwd()}/".startswith(f"{directory}/"):
            keep_writes(directory)
    enclose_cgroups(name)
    os.makedirs(TEMPORARY)
    os.environ["TMPDIR"] = TEMPORARY
    os.execv(command[0], command)


def wait(process: subprocess.Popen) -> int:
    """Wait for the end; pass on what asks for it, and do not wait for ever then."""
    deadline = None
    while process.poll() is None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        got = signal.sigwaitinfo(SIGNALS) if left is None else signal.sigtimedwait(SIGNALS, left)
        if got is None:
            process.kill()
            deadline = None
        elif got.si_signo != signal.SIGCHLD:
            process.terminate()
            deadline = deadline or time.monotonic() + PATIENCE_SECONDS
    return process.returncode


def remove_cgroups(name: str) -> None:
    """Remove the cgroups of a run that is over."""
    for at in hierarchies():
        for directory, _, _ in os.walk(f"{at}/{name}", topdown=False):
            os.rmdir(directory)


def remove_abandoned() -> None:
    """Remove the cgroups of runs that were killed."""
    for at in hierarchies():
        for name in os.listdir(at):
            pid = name.removeprefix(PREFIX)
            if pid != name and not os.path.exists(f"/proc/{pid}"):
                remove_cgroups(name)


def main(command: list[str]) -> int:
    remove_abandoned()
    name = f"{PREFIX}{os.getpid()}"
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    unshare(CLONE_NEWPID)
    try:
        return wait(subprocess.Popen([sys.executable, __file__, "--inside", name, *command]))
    finally:
        remove_cgroups(name)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(sys.argv[2], sys.argv[3:])
    sys.exit(main(sys.argv[1:]))
