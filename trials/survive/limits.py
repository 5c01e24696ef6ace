"""Limits of the kernel: from the start, reached later, and by seccomp."""

import os
import resource
import signal
from collections.abc import Callable, Iterable

from trials.survive.case import Case, Surrounding
from trials.survive.ordeal import Ordeal
from trials.survive.places import as_user, full_pipe

KIB, MIB = 1024, 1 << 20
FLOOD = 500  # signals
# Close together around the sizes with which Python, and its log, can just start.
AS_SIZES = (*range(2 * MIB, 40 * MIB, 2 * MIB), *range(40 * MIB, 129 * MIB, 22 * MIB))
DATA_SIZES = (*range(0, 20 * MIB, MIB), *range(20 * MIB, 49 * MIB, 7 * MIB))
# Each run has a user of its own, because the processes of a user are counted together.
ALONE = 100_000 + os.getpid() % 100_000
ONE_LINE = r"\Apyinit: cannot start '.*': Resource temporarily unavailable; .*\n\Z"


def limit(**limits: int) -> tuple[str, ...]:
    """Return a command that sets limits and execs the init."""
    return ("prlimit", *(f"--{name}={value}" for name, value in limits.items()))


def _sweep(name: str, sizes: Iterable[int]) -> tuple[Case, ...]:
    return tuple(
        Case(
            name=f"{size // KIB} KiB" if size >= KIB else str(size),
            prefix=limit(**{name: size}),
            refuses=None,
            mute=True,
        )
        for size in sizes
    )


def _later(*numbers: int) -> Callable[[Ordeal], None]:
    """Return a function that sets these limits of the init to 0, and then makes it work."""

    def take(ordeal: Ordeal) -> None:
        for number in numbers:
            resource.prlimit(ordeal.init, number, (0, 0))
        for _ in range(20):
            ordeal.send(signal.SIGUSR1)

    return take


def _flood(ordeal: Ordeal) -> None:
    """Let its log fill up while it gets no more memory."""
    for number in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        resource.prlimit(ordeal.init, number, (0, 0))
    for _ in range(FLOOD):
        ordeal.send(signal.SIGUSR2)


LATER = {
    "memory": (resource.RLIMIT_AS, resource.RLIMIT_DATA),
    "files": (resource.RLIMIT_NOFILE,),
    "file size": (resource.RLIMIT_FSIZE,),
    "stack": (resource.RLIMIT_STACK,),
    "queued signals": (resource.RLIMIT_SIGPENDING,),
    "all": (
        resource.RLIMIT_AS,
        resource.RLIMIT_DATA,
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_STACK,
        resource.RLIMIT_SIGPENDING,
    ),
}


def _real_time(ordeal: Ordeal) -> None:
    for _ in range(10):
        ordeal.send(signal.SIGRTMIN + 3)


LIMITS = (
    Surrounding(
        "RLIMIT_NPROC: no process may start",
        (
            Case(
                prefix=(*as_user(f"--reuid={ALONE}"), *limit(nproc=1)),
                refuses=True,
                told=ONE_LINE,
                root=True,
            ),
        ),
    ),
    Surrounding(
        "RLIMIT_NPROC: the workload is the last process that may start",
        (
            Case(
                prefix=(*as_user(f"--reuid={ALONE}"), *limit(nproc=2)),
                mute=True,
                root=True,
            ),
        ),
    ),
    Surrounding("RLIMIT_NOFILE: 0 to 10", _sweep("nofile", range(11))),
    Surrounding("RLIMIT_FSIZE: 0, stderr is a file", (Case(prefix=limit(fsize=0), mute=True),)),
    Surrounding("RLIMIT_AS: 2 to 128 MiB", _sweep("as", AS_SIZES)),
    Surrounding("RLIMIT_DATA: 0 to 48 MiB", _sweep("data", DATA_SIZES)),
    Surrounding("RLIMIT_STACK: 0 to 512 KiB", _sweep("stack", range(0, 513 * KIB, 64 * KIB))),
    Surrounding("RLIMIT_CORE: 0", (Case(prefix=limit(core=0)),)),
    Surrounding("RLIMIT_CPU: a second", (Case(prefix=limit(cpu=1)),)),
    Surrounding(
        "RLIMIT_SIGPENDING: 0, no signal is queued",
        (Case(prefix=limit(sigpending=0), during=_real_time),),
    ),
    Surrounding(
        "limits that are reached later",
        tuple(
            Case(name=name, during=_later(*numbers), mute=True) for name, numbers in LATER.items()
        ),
    ),
    Surrounding(
        "memory runs out while no process reads the log",
        (Case(prepare=full_pipe, during=_flood, mute=True),),
    ),
    Surrounding(
        "seccomp: the filters of Docker, today's and older ones",
        tuple(
            # With EPERM for clone3 the C library has no threads, and so pyinit has no log.
            Case(name=name, prefix=("CONFINE", name), mute=name == "old-eperm")
            for name in ("default", "old-eperm", "old-enosys")
        ),
    ),
)
