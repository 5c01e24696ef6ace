"""A look at processes that do not stop, in a thread of its own, so that the loop does not wait.

It begins shortly before the result is needed. The loop takes what is known by then. The thread also
loads the code for the look, so that the loop never waits for a disk. As a thread of PID 1, the
ancestor of all processes, it may read their memory.
"""

import sys
from _thread import start_new_thread
from time import monotonic

from pyinit import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    Keys = dict[str, object]

SPARE = 0.1  # part of the time for a look: its last action may take longer
SWITCH_SECONDS = 0.0005  # as in writer.py


class Look:
    """What was found out so far.

    Attributes:
        pids: the processes to look at, with their descendants; None for all processes.
        asked: when they were asked to stop, with which signal, and the signal that pyinit got.
        deadline: when it should be over, in seconds on the monotonic clock.
        target: where pyinit sent that signal: one of the targets of ``lifecycle``.
        may_read_stacks: whether to read stacks as well.
        found: the keys of an event for each pid that was looked at.
        is_over: whether the look is over.
        before: an earlier look, whose result is used for pids that this one has not reached.
    """

    def __init__(
        self,
        pids: "list[int] | None",
        asked: tuple[float, int, int],
        deadline: float,
        *,
        target: int,
        stacks: bool,
    ) -> None:
        """Begin the look.

        Args:
            pids: as above.
            asked: as above.
            deadline: when it must be over.
            target: as above.
            stacks: whether to read stacks.

        Raises:
            RuntimeError: the system cannot start another thread.
        """
        self.pids = pids
        self.asked = asked
        self.deadline = deadline - SPARE * (deadline - monotonic())
        self.target = target
        self.may_read_stacks = stacks
        self.found: dict[int, Keys] = {}
        self.is_over = False
        self.before: Look | None = None
        self._kept: dict[int, Keys] | None = None
        sys.setswitchinterval(SWITCH_SECONDS)
        start_new_thread(self._run, ())

    def keys(self, pid: int) -> "Keys":
        """Return the keys of a process for an event; none if it was not looked at."""
        found = (self.found if self._kept is None else self._kept).get(pid)
        if found is None and self.before is not None:
            return self.before.keys(pid)
        return found or {}

    def keep(self) -> None:
        """Keep what was found by now: the processes get SIGKILL, and the thread may still look."""
        self._kept = dict(self.found)
        if self.before is not None:
            self.before.keep()

    def _run(self) -> None:
        try:
            from pyinit.later import slow_stop

            slow_stop.look(self)
        except BaseException:  # noqa: BLE001 - what was found so far is enough
            pass
        finally:
            self.is_over = True
            try:
                processes.wake()
            except BaseException:  # noqa: BLE001 - refused: the deadline of the loop is enough
                pass
