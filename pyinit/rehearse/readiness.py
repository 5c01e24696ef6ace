"""When a command is ready to be stopped."""

import contextlib
import socket
from typing import NamedTuple

from pyinit.rehearse.census import Census, child_of
from pyinit.rehearse.model import NONE, Plan
from pyinit.rehearse.streams import Output

QUIET_SECONDS = 0.5  # for which all processes must be asleep
QUIET_SHARE = 0.02  # of a processor, which they may use in that time
LOAD_SECONDS = 0.5  # from the start of the load to the stop


class Ready(NamedTuple):
    """What showed that the command is ready, and when it may be stopped (monotonic)."""

    how: str
    stop_from: float


class Readiness:
    """Finds out whether a command is ready, as the plan says."""

    def __init__(self, plan: Plan, init: str, census: Census, output: Output) -> None:
        """Keep the plan, the name of the init, the processes and the output."""
        self._plan = plan
        self._init = init
        self._census = census
        self._output = output
        self._used = float("-inf")  # CPU time of all together when they fell asleep; nanoseconds
        self._since = 0.0

    def look(self, began: float, now: float) -> Ready | None:
        """Return what shows that the command is ready; None while it is not.

        Args:
            began: when it was started (monotonic).
            now: the time (monotonic).
        """
        plan = self._plan
        child = child_of(self._init, self._census.seen)
        if child is None or not child.is_program:
            return None
        pause = plan.after or 0.0
        if plan.during_boot:
            return Ready("running", now + pause)
        if plan.load:
            pause = plan.after if plan.after is not None else LOAD_SECONDS
        if plan.ready_when:
            return self._if(self._output.has_said, repr(plan.ready_when), now + pause)
        if plan.ready_port:
            return self._if(listens(plan.ready_port), f"port {plan.ready_port}", now + pause)
        if plan.after is not None and not plan.load:
            return Ready("running", began + pause)
        return self._if(self._is_quiet(now), "all asleep", now + pause)

    def expected(self) -> str:
        """Return in words what the rehearsal waited for."""
        plan = self._plan
        if plan.ready_when:
            return f"{plan.ready_when!r} in its output"
        return f"port {plan.ready_port}" if plan.ready_port else "all of its processes asleep"

    @staticmethod
    def _if(is_ready: bool, how: str, stop_from: float) -> Ready | None:  # noqa: FBT001 - it reads well
        return Ready(how, stop_from) if is_ready else None

    def _is_quiet(self, now: float) -> bool:
        used = self._census.cpu(is_init_apart=self._init != NONE)
        if used is None or used - self._used > QUIET_SHARE * QUIET_SECONDS * 1e9:
            self._used, self._since = float("-inf") if used is None else used, now
            return False
        return now >= self._since + QUIET_SECONDS


def listens(port: int) -> bool:
    """Tell whether a port of this machine accepts connections."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as client:
            client.settimeout(1)
            client.connect((address, port))
            return True
    return False
