"""A look at processes that do not stop, in a thread of its own: PID 1 has no time for it.

It begins a moment before the result is wanted, and must be over by then: who asks takes what there
is. That thread loads what it takes, too, so that no step of the loop waits for a disk. It is one of
PID 1's own process, the ancestor of all, which may look into their memory.
"""

import sys
from _thread import start_new_thread
from time import monotonic

from pyinit import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    Keys = dict[str, object]

SPARE = 0.1  # of the time for a look, which what it does last may take longer
SWITCH_SECONDS = 0.0005  # as in writer.py


class Look:
    """What was found out, as far as it got.

    Attributes:
        pids: at whom to look, with those below; None for all who are there, without.
        asked: when they were asked to stop, with what, and in place of what.
        deadline: when it should be over, in seconds on the monotonic clock.
        whom: who got that: one of the targets of ``lifecycle``.
        may_read_stacks: whether to read stacks as well.
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
            pids: as above.
            asked: as above.
            deadline: when it must be over.
            whom: as above.
            stacks: whether to read stacks.

        Raises:
            RuntimeError: the system has no thread to give.
        """
        self.pids = pids
        self.asked = asked
        self.deadline = deadline - SPARE * (deadline - monotonic())
        self.whom = whom
        self.may_read_stacks = stacks
        self.found: dict[int, Keys] = {}
        self.is_over = False
        self.before: Look | None = None
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
            from pyinit.later import slow_stop

            slow_stop.look(self)
        except BaseException:  # noqa: BLE001 - what was found is told, and that is all
            pass
        finally:
            self.is_over = True
            try:
                processes.wake()
            except BaseException:  # noqa: BLE001 - it is refused: the clock of the loop will do
                pass
