"""Find out why processes do not stop, and make the keys of their events; see ``look``."""

import os
from time import monotonic, sleep

from pyinit.later import causes, proc, waits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.later.look import Keys, Look
    from pyinit.later.stacks.frames import Frame
    from pyinit.later.verdicts import Process

RESTING = 0.1  # seconds to wait for the threads of a process to sleep
PASSING, RUNNING = "Dt", "R"  # states: D for a disk, a page or vfork(2); t also under strace
PASSING_SECONDS = 0.02  # after which such a state, if it is short, has changed
MOST_FRAMES = 12  # of a thread that are logged
MOST_THREADS = 8
MOST_CHARACTERS = 8000  # of the stacks in an event: engines split a line of more than 16 KiB
NO_ROOM = "the stack does not fit into the log line"
MAY_NOT = "pyinit may not read its memory: it runs as another user, or is not dumpable"
NO_PROC = "/proc is missing, or shows another PID namespace: run mount -t proc proc /proc"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Subject:
    """What is known of one process.

    Attributes:
        pid, parent, group: its pid, its parent's, and its process group.
        name: its name, made safe to show.
        state: a letter (proc(5)); empty if it is gone.
        is_alive: whether it has not exited; its first thread may have exited.
        began: when it started, on the monotonic clock, rounded down to a tick; None if unknown.
        process: what it does with signals; None if unknown.
        wait: what its first thread waits for.
        stacks: the frames of each thread that runs Python, innermost first, by tid.
        unread: why there are no stacks; empty where there are.
    """

    def __init__(self, pid: int) -> None:
        """Read what is cheap to read."""
        stat = proc.stat(pid)
        self.pid = pid
        self.parent = stat.parent if stat is not None else 0
        self.group = stat.group if stat is not None else 0
        self.name = proc.name(pid) or "?"
        self.state = stat.state.decode("ascii", "replace") if stat is not None else ""
        self.is_alive = stat is not None and not stat.is_dead()
        self.began = _began(stat.birth) if stat is not None else None
        self.wait = waits.of(pid, pid)
        self.process: Process | None = None
        self.stacks: dict[int, list[Frame]] = {}
        self.unread = ""

    def __str__(self) -> str:
        """Return its name and pid for a sentence."""
        return proc.called(self.name, self.pid)

    @property
    def main_stack(self) -> "list[Frame]":
        """The frames of its first thread."""
        return self.stacks.get(self.pid, [])

    def look_closer(self, deadline: float, *, stacks: bool) -> None:
        """Find out what it does with signals, and its stacks."""
        try:
            from pyinit.later import signal_state

            self.process = signal_state.look(self.pid, min(deadline, monotonic() + RESTING))
        except Exception:  # noqa: BLE001 - it is gone, or pyinit may not look
            self.process = None
        if stacks:
            self._read_stacks(deadline)
        else:
            self.unread = "PYINIT_STACKS is off"
        if self.state in PASSING:
            self._look_again()

    def _look_again(self) -> None:
        """Check whether a state that mostly lasts for a moment lasts longer."""
        before = _switches(self.pid)
        sleep(PASSING_SECONDS)
        stat = proc.stat(self.pid)
        if stat is not None and _switches(self.pid) != before:
            state = stat.state.decode("ascii", "replace")
            self.state = RUNNING if state in PASSING else state
            self.wait = waits.of(self.pid, self.pid)

    def _read_stacks(self, deadline: float) -> None:
        try:
            from pyinit.later import stacks

            # The interpreter knows its threads by their numbers in its own PID namespace.
            first = self.process.namespace_pid if self.process is not None else self.pid
            found = stacks.read(self.pid, deadline, first)
        except Exception as error:  # noqa: BLE001 - its memory may hold anything
            may_not = isinstance(error.__cause__, PermissionError)
            self.unread = MAY_NOT if may_not else str(error)
            return
        self.stacks = {self.pid if tid == first else tid: each for tid, each in found.items()}

    def told(self) -> list[str]:
        """Return the stacks as lines for the log, the main thread first."""
        lines: list[str] = []
        tids = sorted(self.stacks, key=lambda tid: tid != self.pid)
        for tid in tids[:MOST_THREADS]:
            thread = "" if tid == self.pid else f" [thread {_thread_name(self.pid, tid)}]"
            for frame in self.stacks[tid][:MOST_FRAMES]:
                mark = " (signal handler)" if frame.is_handler else ""
                mark = " (awaits)" if frame.is_awaiting else mark
                mark = " (greenlet)" if frame.is_greenlet else mark
                lines.append(f"{frame}{mark}{thread}")
        return lines


def _switches(pid: int) -> list[str]:
    """Return how often the first thread was switched out; empty if it is gone."""
    from pyinit.later import thread_signals

    try:
        fields = thread_signals.fields_of(f"/proc/{pid}/task/{pid}/status")
    except OSError:
        return []
    return [fields[key] for key in fields if key.endswith("voluntary_ctxt_switches")]


def _thread_name(pid: int, tid: int) -> str:
    name = proc.thread_name(pid, tid)
    return f"{tid}" if name in {None, proc.name(pid)} else f"{tid} {name}"


def _began(birth: int) -> float | None:
    try:
        from time import CLOCK_BOOTTIME, clock_gettime

        return monotonic() - (clock_gettime(CLOCK_BOOTTIME) - birth / CLOCK_TICKS)
    except OSError:
        return None


def look(sight: "Look") -> None:
    """Fill in the keys of each process, as far as the time allows."""
    if not proc.is_ours():  # there, this pid is another process
        sight.found = {pid: {"no_stack": NO_PROC} for pid in sight.pids or ()}
        return
    if sight.pids is None:
        _look_at_all(sight)
    else:
        for pid in sight.pids:
            _look_at(pid, sight)


def _look_at_all(sight: "Look") -> None:
    from pyinit.later.survivors import alive

    for pid, _stat in alive(sight.deadline - monotonic()):
        if monotonic() > sight.deadline:
            return
        subject = Subject(pid)
        subject.look_closer(sight.deadline, stacks=sight.may_read_stacks)
        sight.found[pid] = _keys_of(subject, [], sight)


def _look_at(pid: int, sight: "Look") -> None:
    subject = Subject(pid)
    sight.found[pid] = {"waits_for": str(subject.wait)}  # in case the time runs out
    subject.look_closer(sight.deadline, stacks=sight.may_read_stacks)
    below = [Subject(each) for each in _below(pid)]
    for each in below:
        if monotonic() > sight.deadline:
            break
        each.look_closer(sight.deadline, stacks=sight.may_read_stacks)
    sight.found[pid] = _keys_of(subject, below, sight)


def _keys_of(subject: Subject, below: list[Subject], sight: "Look") -> "Keys":
    at, sent, came = sight.asked
    keys: Keys = {
        "reason": causes.explain(
            subject,
            below,
            sent,
            asked_at=at,
            came=came,
            target=sight.target,
            is_left=sight.pids is None,
        ),
        "waits_for": _waits_for(subject, below),
        **_stack_of(subject, MOST_CHARACTERS // 2 if below else MOST_CHARACTERS),
    }
    if below:
        room = MOST_CHARACTERS // 2 // len(below)
        keys["below"] = [
            {
                "pid": each.pid,
                "name": each.name,
                "state": proc.STATES.get(each.state, each.state),
                "seconds": None if each.began is None else round(monotonic() - each.began, 1),
                "waits_for": _waits_for(each, below),
                **_stack_of(each, room),
            }
            for each in below
        ]
    return keys


def _stack_of(subject: Subject, room: int) -> "Keys":
    """Return its stacks, as far as they fit, or why there are none."""
    if not subject.stacks:
        return {"no_stack": subject.unread} if subject.unread else {}
    lines = []
    for line in subject.told():
        room -= len(ascii(line))  # about as long as in JSON
        if room < 0:
            break
        lines.append(line)
    return {"stack": lines} if lines else {"no_stack": NO_ROOM}


def _waits_for(subject: Subject, others: list[Subject]) -> str:
    pid = subject.wait.pid
    if pid is None:
        return str(subject.wait)
    children = [each for each in others if each.parent == subject.pid and each.is_alive]
    named = [each for each in children if each.pid == pid] if pid else children
    return f"{subject.wait} for {', '.join(map(str, named[:3]))}" if named else str(subject.wait)


def _below(pid: int) -> list[int]:
    """Return the descendants of a process that /proc shows, the nearest first."""
    stats = proc.stats() or {}
    children: dict[int, list[int]] = {}
    for each, stat in stats.items():
        children.setdefault(stat.parent, []).append(each)
    found: list[int] = []
    level = [pid]
    while level and len(found) < causes.MOST_BELOW:
        level = sorted(each for parent in level for each in children.get(parent, ()))
        found += level
    return found[: causes.MOST_BELOW]
