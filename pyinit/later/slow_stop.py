"""A look at processes that do not stop, by a thread of its own: PID 1 has no time for it.

It begins a moment before the result is wanted, and must be over by then: who asks takes what there
is. The thread is of PID 1's own process, the ancestor of all, which may look into their memory.
"""

import os
import sys
from _thread import start_new_thread
from time import monotonic, sleep

from pyinit import processes
from pyinit.later import causes, proc, waits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyinit.later.stacks.frames import Frame
    from pyinit.later.verdicts import Process

    Keys = dict[str, object]

SPARE = 0.1  # of the time for a look, which what it does last may take longer
RESTING = 0.1  # seconds in which a process's threads may come to rest
PASSING, RUNNING = "Dt", "R"  # states: D for a disk, a page or vfork(2), t under strace as well
PASSING_SECONDS = 0.02  # in which it is in another one, or in that one anew
MOST_BELOW = 16
MOST_FRAMES = 12  # of a thread that are told
MOST_THREADS = 8
MOST_NAMES = 64
SWITCH_SECONDS = 0.0005  # as in writer.py
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Subject:
    """What is known of one process.

    Attributes:
        pid, parent, group: its pid, its parent's, and its process group.
        name: its name, made safe to show.
        state: a letter (proc(5)); empty where it is gone.
        is_alive: whether it has not ended; its first thread may have.
        began: when, on the monotonic clock, rounded down to a tick; None where that is not told.
        process: what it does with signals; None where that is not told.
        wait: what its first thread is at.
        stacks: the frames of each thread that runs Python, innermost first, by tid.
        unread: why there are no stacks; empty where there are.
    """

    def __init__(self, pid: int) -> None:
        """Look at what costs little."""
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
        """Return what it is called in a sentence."""
        return proc.called(self.name, self.pid)

    @property
    def main_stack(self) -> "list[Frame]":
        """The frames of its first thread."""
        return self.stacks.get(self.pid, [])

    def look_closer(self, deadline: float, *, stacks: bool) -> None:
        """Find out what it does with signals, and where it is."""
        try:
            from pyinit.later import signal_state

            self.process = signal_state.look(self.pid, min(deadline, monotonic() + RESTING))
        except Exception:  # noqa: BLE001 - gone, or not to be looked at
            self.process = None
        if stacks:
            self._read_stacks(deadline)
        else:
            self.unread = "PYINIT_STACKS is off"
        if self.state in PASSING:
            self._look_again()

    def _look_again(self) -> None:
        """Look whether it stays in a state that most processes are in for a moment only."""
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

            # The interpreter has its threads' numbers from the PID namespace that it is in.
            first = self.process.namespace_pid if self.process is not None else self.pid
            found = stacks.read(self.pid, deadline, first)
        except Exception as error:  # noqa: BLE001 - whatever its memory made of us
            self.unread = str(error)
            return
        self.stacks = {self.pid if tid == first else tid: each for tid, each in found.items()}

    def told(self) -> list[str]:
        """Return the stacks as they are told: the main thread's first."""
        lines: list[str] = []
        tids = sorted(self.stacks, key=lambda tid: tid != self.pid)
        for tid in tids[:MOST_THREADS]:
            thread = "" if tid == self.pid else f" [thread {_thread_name(self.pid, tid)}]"
            for frame in self.stacks[tid][:MOST_FRAMES]:
                mark = " (signal handler)" if frame.is_handler else ""
                mark = " (awaits)" if frame.is_awaiting else mark
                lines.append(f"{frame}{mark}{thread}")
        return lines


def _switches(pid: int) -> list[str]:
    """Return how often the first thread has given up the processor; nothing where it is gone."""
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


class Look:
    """What was found out, as far as it got.

    Attributes:
        found: the keys of an event for each pid that was looked at.
        is_over: whether there is no more to come.
        before: an earlier look, which has something to tell where this one is not that far yet.
    """

    def __init__(
        self,
        pids: "list[int] | None",
        asked: tuple[float, int, int],
        deadline: float,
        *,
        whom: int,
        stacks: bool,
    ) -> None:
        """Begin to look.

        Args:
            pids: at whom, with those below; None for all who are there, without.
            asked: when they were asked to stop, with what, and in place of what.
            deadline: when it must be over, in seconds on the monotonic clock.
            whom: who got that: one of the targets of ``lifecycle``.
            stacks: whether to read stacks as well.

        Raises:
            RuntimeError: the system has no thread to give.
        """
        self.found: dict[int, Keys] = {}
        self.before: Look | None = None
        self._pids = pids
        self._asked_at, self._signum, self._came = asked
        self._whom = whom
        self._may_read = stacks
        self.is_over = False
        self._deadline = deadline - SPARE * (deadline - monotonic())
        sys.setswitchinterval(SWITCH_SECONDS)
        start_new_thread(self._run, ())

    def keys(self, pid: int) -> "Keys":
        """Return what an event is to tell of a process; nothing where it was not looked at."""
        found = self.found.get(pid)
        if found is None and self.before is not None:
            return self.before.keys(pid)
        return found or {}

    def _run(self) -> None:
        try:
            if not proc.is_ours():  # what that has of this number is another process
                return
            if self._pids is None:
                self._look_at_all()
            else:
                for pid in self._pids:
                    self._look_at(pid)
        except BaseException:  # noqa: BLE001 - what was found is told, and that is all
            pass
        finally:
            self.is_over = True
            try:
                processes.wake()
            except BaseException:  # noqa: BLE001 - it is refused: the clock of the loop will do
                pass

    def _look_at_all(self) -> None:
        from pyinit.later.survivors import alive

        for pid, _stat in alive(self._deadline - monotonic()):
            if monotonic() > self._deadline:
                return
            subject = Subject(pid)
            subject.look_closer(self._deadline, stacks=self._may_read)
            self.found[pid] = self._keys_of(subject, [])

    def _look_at(self, pid: int) -> None:
        subject = Subject(pid)
        self.found[pid] = {"waits_for": str(subject.wait)}  # if there is no time for more
        subject.look_closer(self._deadline, stacks=self._may_read)
        below = [Subject(each) for each in _below(pid)]
        for each in below:
            if monotonic() > self._deadline:
                break
            each.look_closer(self._deadline, stacks=self._may_read)
        self.found[pid] = self._keys_of(subject, below)

    def _keys_of(self, subject: Subject, below: list[Subject]) -> "Keys":
        keys: Keys = {
            "reason": causes.explain(
                subject,
                below,
                self._signum,
                asked_at=self._asked_at,
                came=self._came,
                whom=self._whom,
                is_left=self._pids is None,
            ),
            "waits_for": _waits_for(subject, below),
            **_stack_of(subject),
        }
        if below:
            keys["below"] = [
                {
                    "pid": each.pid,
                    "name": each.name,
                    "state": proc.STATES.get(each.state, each.state),
                    "seconds": None if each.began is None else round(monotonic() - each.began, 1),
                    "waits_for": _waits_for(each, below),
                    **_stack_of(each),
                }
                for each in below
            ]
        return keys


def _stack_of(subject: Subject) -> "Keys":
    if subject.stacks:
        return {"stack": subject.told()}
    return {"no_stack": subject.unread} if subject.unread else {}


def _waits_for(subject: Subject, others: list[Subject]) -> str:
    pid = subject.wait.pid
    if pid is None:
        return str(subject.wait)
    children = [each for each in others if each.parent == subject.pid and each.is_alive]
    named = [each for each in children if each.pid == pid] if pid else children
    return f"{subject.wait} for {', '.join(map(str, named[:3]))}" if named else str(subject.wait)


def _below(pid: int) -> list[int]:
    """Return the descendants of a process, the nearest first, as far as /proc tells."""
    stats = proc.stats() or {}
    children: dict[int, list[int]] = {}
    for each, stat in stats.items():
        children.setdefault(stat.parent, []).append(each)
    found: list[int] = []
    level = [pid]
    while level and len(found) < MOST_BELOW:
        level = sorted(each for parent in level for each in children.get(parent, ()))
        found += level
    return found[:MOST_BELOW]
