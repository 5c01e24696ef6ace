"""What a rehearsal is asked for and what it saw: plain data, that all reports are made from.

Times are seconds on the monotonic clock. In what was seen they count from the first stop signal,
so that what came before has a time below 0.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

GRACEFUL = "graceful"  # it ended in time, by itself, and left nothing behind
SLOW = "slow"  # it did, but took more than half of the grace period
FAILED = "failed"  # its code is one of a failure
UNTIDY = "untidy"  # something outlives it that the next start or the machine has to bear
LOST = "lost work"  # a request was not answered, or a process was killed in the middle of its work
KILLED = "killed"  # the grace period was over, so it got SIGKILL as from an engine
VERDICTS = (GRACEFUL, SLOW, FAILED, UNTIDY, LOST, KILLED)  # from good to bad: the worst one counts

# How a process ended. None of them: nothing can be told of it.
BY_ITSELF = "ended"  # with a code, or by the signal in `signal` that was not one of those below
ASKED = "asked"  # after the init had asked it in the drain, in time
KILLED_BY_INIT = "killed by the init"  # SIGKILL at the end of -d or -k
KILLED_BY_ENGINE = "killed by the engine"  # SIGKILL at the end of the grace period
KILLED_WITH_PID1 = "killed with PID 1"  # by the kernel, because PID 1 had left
KILLED_BY_ANOTHER = "killed by another process"  # SIGKILL from within
FATES = (BY_ITSELF, ASKED, KILLED_BY_INIT, KILLED_BY_ENGINE, KILLED_WITH_PID1, KILLED_BY_ANOTHER)

NONE = "none"  # in place of an init: the command is PID 1 itself
CODE_OF_SIGNAL = 128  # 128 + N is the exit code of a process that signal N killed


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be rehearsed.

    Attributes:
        command: the program and its arguments; may begin with an init and its options.
        signal: the number of the stop signal.
        grace: seconds from it to SIGKILL.
        ready_when: a text in the output that says that the command is ready; empty for none.
        ready_port: a TCP port that takes connections as soon as it is ready; 0 for none.
        after: seconds to wait before the stop: from the start, or from readiness where one of the
            two above is given; None for no wait.
        ready_within: seconds in which the command has to be ready.
        during_boot: stop it before it is ready.
        twice: send the stop signal a second time.
        load: a shell command that uses the program meanwhile; empty for none.
        expected_code: the code it has to exit with; None for 0 and 128 plus the stop signal.
        beside: other inits to try it under.
        environment: for the command and the load; None for that of the caller.
        directory: to run both in; None for that of the caller.
    """

    command: tuple[str, ...]
    signal: int = 15
    grace: float = 10.0
    ready_when: str = ""
    ready_port: int = 0
    after: float | None = None
    ready_within: float = 60.0
    during_boot: bool = False
    twice: bool = False
    load: str = ""
    expected_code: int | None = None
    beside: tuple[str, ...] = ()
    environment: dict[str, str] | None = None
    directory: str | None = None


@dataclass(slots=True)
class Mark:
    """A signal that was sent to a process.

    Attributes:
        at: when.
        signal: its name.
        by: ``engine``, the name of the init, or ``drain`` of pyinit's.
    """

    at: float
    signal: str
    by: str


@dataclass(slots=True)
class Process:
    """A process of the container.

    Attributes:
        pid: in the PID namespace, so PID 1 is the init.
        name: as of /proc/PID/comm when it was last seen.
        command: its words joined by blanks, 200 characters at most.
        parent: the pid of the parent when it was first seen; 0 where that was outside.
        began: when it was first seen.
        ended: when it ended; None where it was never seen to.
        fate: one of FATES, or None where nothing can be told.
        code: what it exited with; None where a signal killed it or that is not known.
        signal: what killed it; None where it exited or that is not known.
        marks: the signals that it was sent by the engine or the init, as far as those are told.
        is_left: whether it was there when the child of the init ended (the child itself aside):
            an init that leaves with its child would have left it to SIGKILL.
        reason: why it did not end, where pyinit found that out.
    """

    pid: int
    name: str
    command: str
    parent: int
    began: float
    ended: float | None = None
    fate: str | None = None
    code: int | None = None
    signal: str | None = None
    marks: list[Mark] = field(default_factory=list)
    is_left: bool = False
    reason: str = ""


@dataclass(slots=True)
class Leak:
    """Something that outlives the container.

    Attributes:
        kind: ``System V shared memory``, ``POSIX shared memory``, ``PID file``, ``socket``,
            ``file``.
        name: a path, or a key or an id of System V.
        detail: a word on it, such as ``4,096 bytes``; may be empty.
        counts: whether the verdict is worse for it. A plain file is told and no more.
    """

    kind: str
    name: str
    detail: str = ""
    counts: bool = True


@dataclass(slots=True)
class Load:
    """What became of the client that used the program meanwhile.

    Attributes:
        command: what it was.
        began, ended: when; ended is None where it had to be stopped at the end.
        code: what it exited with; None where it had to be stopped.
    """

    command: str
    began: float
    ended: float | None
    code: int | None


@dataclass(slots=True)
class Run:
    """A stop under one init, as it was seen.

    Attributes:
        init: ``pyinit``, ``tini``, ..., or NONE.
        words: the init with its options; empty for NONE.
        command: what it ran.
        signal: the name of the stop signal.
        grace: the grace period.
        expected_code: the code it has to exit with; None for 0 and that of the stop signal.
        ready: how it was known to be ready, such as ``port 8000``.
        booted: seconds from the start to the stop signal.
        verdict: one of VERDICTS.
        cause: one sentence on why, without a full stop.
        advice: what to change, each a sentence or a line of a Dockerfile; may be empty.
        again: when the stop signal was sent the second time; None where it was not.
        child_ended: when the child of the init ended; None where it did not.
        seconds: until nobody was left.
        code: of the container: what PID 1 exited with; 137 where it was killed.
        unwatched: seconds right before the last process was seen to end in which the rehearsal did
            not run, for example because of ^Z; 0 if it did.
        enough: a grace period in seconds that would be enough, whole; None where none is known.
        processes: by pid.
        leaks: what outlived it.
        load: the client; None where there was none.
        events: of pyinit, as it wrote them, each with ``at`` added.
        output: the last lines that the command wrote.
    """

    init: str
    words: list[str]
    command: list[str]
    signal: str
    grace: float
    expected_code: int | None = None
    ready: str = ""
    booted: float = 0.0
    verdict: str = GRACEFUL
    cause: str = ""
    advice: list[str] = field(default_factory=list)
    again: float | None = None
    child_ended: float | None = None
    seconds: float = 0.0
    unwatched: float = 0.0
    code: int | None = None
    enough: int | None = None
    processes: list[Process] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    load: Load | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)

    @property
    def is_graceful(self) -> bool:
        """Whether all was as it should be."""
        return self.verdict == GRACEFUL

    def as_json(self) -> dict[str, Any]:
        """Return it for a JSON file."""
        return {"graceful": self.is_graceful, **asdict(self)}
