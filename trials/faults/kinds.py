"""The faults: which calls fail, how, and when."""

import dataclasses
from collections.abc import Iterator

ONCE, ON = "once", "from then on"
MEMORY = "malloc"  # not a system call: nomemory.c makes it fail, for a while instead of for ever


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """Calls that fail, and how.

    Attributes:
        calls: their names, for strace.
        errors: the errnos with which they fail, in turn.
        everybody: whether they fail for all threads and processes, not only for pyinit's loop.
        lasting: whether they may fail for ever; CPython itself repeats an interrupted call.
        most: how many a run may make, by process or thread; more means that it spins.
        spared: whether the workload must still get its signals, and its helper its SIGTERM.
    """

    calls: str
    errors: tuple[str, ...]
    everybody: bool = False
    lasting: bool = True
    most: int = 1000
    spared: bool = False


KINDS = (
    Kind("clone,clone3,fork,vfork", ("EAGAIN", "ENOMEM")),
    Kind("clone,clone3,fork,vfork", ("EAGAIN", "ENOMEM"), everybody=True),
    Kind("kill", ("EPERM", "ESRCH")),
    Kind("waitid", ("EAGAIN", "EINVAL", "EPERM", "ENOSYS"), spared=True),
    Kind("wait4", ("ECHILD", "EINVAL", "ENOSYS")),
    Kind("wait4,waitid,rt_sigtimedwait", ("EINTR",), lasting=False),
    Kind("rt_sigtimedwait", ("EAGAIN", "EINVAL", "EPERM", "ENOSYS"), spared=True),
    Kind("rt_sigtimedwait,rt_sigpending", ("EPERM",)),
    Kind("rt_sigtimedwait,waitid", ("EPERM",)),
    Kind("write", ("EAGAIN", "EPIPE", "ENOSPC", "EIO"), everybody=True),
    Kind("write,read", ("EINTR",), everybody=True, lasting=False),
    Kind("openat,open", ("EMFILE", "ENFILE", "EACCES"), everybody=True),
    Kind("read", ("EIO",), everybody=True),
    Kind("getdents64", ("EIO",), everybody=True),
    Kind("readlink,readlinkat", ("EACCES",), everybody=True),
    Kind("mmap", ("ENOMEM",), everybody=True, most=100_000),  # malloc(3) tries again in each thread
    Kind(MEMORY, ("ENOMEM",), most=100_000),
    Kind("prctl", ("EPERM", "EINVAL", "ENOSYS")),
    Kind("pidfd_open", ("ENOSYS", "EPERM", "EMFILE"), spared=True),
    Kind("pidfd_send_signal", ("ENOSYS", "EPERM"), spared=True),
    Kind("ioctl", ("ENOTTY", "ENXIO", "EPERM", "EBADF", "ESRCH"), everybody=True),
    Kind("pipe2", ("EMFILE", "ENFILE")),
    Kind("setpgid", ("EPERM", "ESRCH"), spared=True),
    Kind("sched_yield", ("ENOSYS",), spared=True),
    Kind("close", ("EIO",), everybody=True),
    Kind("poll", ("EINVAL",), everybody=True),
    Kind("rt_sigaction", ("EINVAL",)),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """Calls that fail in one way, from one call on.

    Attributes:
        kind: which calls.
        error: the errno with which they fail.
        number: which of the calls is the first to fail, from 1.
        last: ONCE or ON.
        as_pid1: whether pyinit is PID 1 of a namespace.
    """

    kind: Kind
    error: str
    number: int
    last: str
    as_pid1: bool

    def __str__(self) -> str:
        """Return the fault as a word for --fault."""
        where = "pid1" if self.as_pid1 else "not-pid1"
        who = "everybody" if self.kind.everybody or self.as_pid1 else "init"
        end = "+" if self.last == ON else ""
        return f"{self.kind.calls}:{self.error}:{self.number}{end}:{who}:{where}"

    def options(self) -> list[str]:
        """Return the option of strace."""
        when = f"{self.number}{'+' if self.last == ON else ''}"
        inject = f"inject={self.kind.calls}:error={self.error}:when={when}"
        return ["-e", f"trace={self.kind.calls}", "-e", inject]


def parse(word: str) -> Fault:
    """Return the fault of a word of --fault."""
    calls, error, when, who, where = word.split(":")
    number, plus, _ = when.partition("+")
    everybody = who == "everybody"
    alike = [kind for kind in KINDS if kind.calls == calls] or [Kind(calls, (error,))]
    kind = dataclasses.replace(alike[0], errors=(error,), everybody=everybody)
    return Fault(kind, error, int(number), ON if plus else ONCE, as_pid1=where == "pid1")


def chosen(only: str | None) -> Iterator[Kind]:
    """Return the kinds that have this call; all without one."""
    return (kind for kind in KINDS if not only or only in kind.calls.split(","))
