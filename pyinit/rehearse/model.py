"""What a rehearsal is asked to do and what it saw: plain data, from which all reports are made.

Times are seconds. Those of a run count from the first stop signal, so a time before it is negative.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

GRACEFUL = "graceful"  # every process exited in time, no work was lost, and nothing is left behind
SLOW = "slow"  # the stop took more than half of the grace period
FAILED = "failed"  # the exit code is that of a failure, or a process crashed
UNTIDY = "untidy"  # a PID file, a socket or shared memory is left behind
LOST = "lost work"  # a request was not answered, or a process was killed while it worked
KILLED = "killed"  # the grace period was over, so the rehearsal sent SIGKILL as an engine does
VERDICTS = (GRACEFUL, SLOW, FAILED, UNTIDY, LOST, KILLED)  # from good to bad: the worst one counts

# How a process ended; None if that is not known.
BY_ITSELF = "ended"  # with an exit code, or killed by a signal in none of the ways below
ASKED = "asked"  # in time, after pyinit had asked it in the drain
KILLED_BY_INIT = "killed by the init"  # SIGKILL at the end of -d or -k
KILLED_BY_ENGINE = "killed by the engine"  # SIGKILL at the end of the grace period
KILLED_WITH_PID1 = "killed with PID 1"  # by the kernel, because PID 1 had exited
KILLED_BY_ANOTHER = "killed by another process"  # SIGKILL from inside the container
FATES = (BY_ITSELF, ASKED, KILLED_BY_INIT, KILLED_BY_ENGINE, KILLED_WITH_PID1, KILLED_BY_ANOTHER)

NONE = "none"  # in place of an init: the command is PID 1 itself
CODE_OF_SIGNAL = 128  # 128 + N is the exit code of a process that signal N killed


@dataclass(frozen=True, slots=True)
class Plan:
    """What to rehearse.

    Attributes:
        command: the program and its arguments; may begin with an init and its options.
        signal: the number of the stop signal.
        grace: seconds from the stop signal to SIGKILL.
        ready_when: a text in the output that shows that the command is ready; empty for none.
        ready_port: a TCP port that accepts connections once the command is ready; 0 for none.
        after: seconds to wait before the stop, from the start, or with ``ready_when``,
            ``ready_port`` or ``load`` from the moment the command is ready; None for no wait.
        ready_within: seconds in which the command must become ready.
        during_boot: stop the command as soon as it runs, before it is ready.
        twice: send the stop signal a second time.
        load: a shell command that uses the program during the stop; empty for none.
        expected_code: the exit code of the stop; None for 0 and 128 plus the stop signal.
        beside: other inits to rehearse the stop under.
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
        by: ``engine``, the name of the init, or ``drain`` for the drain of pyinit.
    """

    at: float
    signal: str
    by: str


@dataclass(slots=True)
class Process:
    """A process of the container.

    Attributes:
        pid: in the PID namespace, so PID 1 is the init.
        name: from /proc/PID/comm, when it was last seen.
        command: its words joined by blanks, 200 characters at most.
        parent: the pid of its parent when it was first seen; 0 if that is outside.
        began: when it was first seen.
        ended: when it ended; None if that was not seen.
        fate: one of FATES; None if that is not known.
        code: its exit code; None if a signal killed it, or if that is not known.
        signal: the signal that killed it; None if it exited, or if that is not known.
        marks: the signals that the engine and the init sent to it, as far as they are known.
        is_left: whether it was running when the child of the init ended; it is not that child. An
            init that exits with its child would have left it to SIGKILL.
        reason: why it did not stop, if pyinit found that out.
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
        name: a path, or the id of a System V segment.
        detail: more about it, such as ``4,096 bytes``; may be empty.
        counts: whether it makes the verdict worse. A plain file is only reported.
    """

    kind: str
    name: str
    detail: str = ""
    counts: bool = True


@dataclass(slots=True)
class Load:
    """How the client ended that used the program during the stop.

    Attributes:
        command: its shell command.
        began, ended: when; ended is None if it had to be killed at the end.
        code: its exit code; None if it had to be killed.
    """

    command: str
    began: float
    ended: float | None
    code: int | None


@dataclass(slots=True)
class Run:
    """A stop under one init.

    Attributes:
        init: ``pyinit``, ``tini``, ..., or NONE.
        words: the init with its options; empty for NONE.
        command: the command that the init ran.
        signal: the name of the stop signal.
        grace: the grace period.
        expected_code: the exit code of the stop; None for 0 and that of the stop signal.
        ready: what showed that the command was ready, such as ``port 8000``.
        booted: seconds from the start to the stop signal.
        verdict: one of VERDICTS.
        cause: why, in one sentence without a full stop.
        advice: what to change, each in one sentence without a full stop; may be empty.
        again: when the stop signal was sent the second time; None if it was not.
        child_ended: when the child of the init ended; None if it did not.
        seconds: until the last process had ended.
        unwatched: seconds right before the end of the last process in which the rehearsal itself
            did not run, for example because of ^Z; 0 if it did.
        code: the exit code of the container, that is of PID 1; 137 if it was killed.
        enough: a grace period in whole seconds that would be enough; None if none is known.
        processes: all that were seen, in that order.
        leaks: what is left behind.
        load: the client; None if there was none.
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
        """Whether the verdict is graceful."""
        return self.verdict == GRACEFUL

    def as_json(self) -> dict[str, Any]:
        """Return the run as data for a JSON file."""
        return {"graceful": self.is_graceful, **asdict(self)}
