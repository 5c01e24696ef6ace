"""How each process ended, from the exit statuses of the kernel and the events of pyinit."""

import os
import re
from typing import Any

from pyinit.before import names
from pyinit.rehearse import model
from pyinit.rehearse.census import Seen
from pyinit.rehearse.model import NONE, Mark, Process, Run

AT_ONCE = 0.1  # seconds between the end of PID 1 and of the processes that the kernel kills then
ENDS = {"child_exited", "orphan_reaped"}
KILLING = {"drain_survivor", "kill_after_expired"}
KILLS = {"kill_after_expired", "drain_finished"}
SENDING = {"signal_forwarded", "stop_escalated"}


def settle(run: Run, everybody: list[Seen], stopped: float, killed: float | None) -> None:
    """Put the processes into a run, with how each of them ended.

    Args:
        run: the times of its events count from the stop already.
        everybody: all processes that were seen; this makes their times count from the stop.
        stopped: when the stop signal was sent (monotonic).
        killed: when the rehearsal sent SIGKILL, counted from the stop; None if it did not.
    """
    for seen in everybody:
        seen.process.began -= stopped
        if seen.process.ended is not None:
            seen.process.ended -= stopped
        _note_status(seen)
    run.processes = [seen.process for seen in everybody]
    run.seconds = max((process.ended or 0.0 for process in run.processes), default=0.0)
    story = _Story(run, everybody, killed)
    for seen in everybody:
        seen.process.fate = story.fate(seen)
        if seen.process.fate == model.KILLED_WITH_PID1:
            seen.process.is_left = True
        story.mark(seen)


def _note_status(seen: Seen) -> None:
    if seen.status is None:
        return
    if os.WIFSIGNALED(seen.status):
        seen.process.signal = names.name(os.WTERMSIG(seen.status))
    else:
        seen.process.code = os.WEXITSTATUS(seen.status)


class _Story:
    """What the events of pyinit say about how processes ended."""

    def __init__(self, run: Run, everybody: list[Seen], killed: float | None) -> None:
        self._run = run
        self._init = everybody[0] if everybody else None
        self._child = next((seen for seen in everybody if seen.process.parent == 1), None)
        self._killed = killed
        self._drain: float | None = None
        self._named: set[int] = set()  # pids that pyinit says it kills
        self._reaped: set[int] = set()  # pids that pyinit reaped
        self._sent = [event for event in run.events if event["event"] in SENDING]
        self._kills = [event for event in run.events if event["event"] in KILLS]
        by_pid: dict[int, list[Process]] = {}
        for seen in everybody:
            by_pid.setdefault(seen.process.pid, []).append(seen.process)
        for event in run.events:
            if event["event"] == "drain_started":
                self._drain = event["at"]
            had = by_pid.get(event.get("pid", 0), ())
            process = next((each for each in reversed(had) if _was_there(each, event)), None)
            if process is not None:
                self._note(event, process)

    def _note(self, event: dict[str, Any], process: Process) -> None:
        what = event["event"]
        if what in ENDS:
            self._reaped.add(process.pid)
            if process.code is None and process.signal is None:
                process.code, process.signal = event.get("code"), event.get("signal")
        if what == "orphan_reaped" and self._drain is not None:
            process.is_left = True
        if what in KILLING:
            self._named.add(process.pid)
        if what in {*KILLING, "stop_is_slow"}:
            process.reason = event.get("reason", process.reason)

    def fate(self, seen: Seen) -> str | None:
        process = seen.process
        if process.ended is None:
            return None
        if process.signal == "SIGKILL":
            return self._killed_by(seen, process.ended)
        if process.code is None and process.signal is None:
            return self._by_time(seen, process.ended)
        was_asked = self._drain is not None and process.is_left
        return model.ASKED if was_asked else model.BY_ITSELF

    def _by_time(self, seen: Seen, ended: float) -> str | None:
        """Return what the time of the end alone shows, if the exit status is not known."""
        fate = self._killed_by(seen, ended)
        is_left = fate == model.KILLED_WITH_PID1 and seen is not self._child
        return fate if is_left or fate == model.KILLED_BY_ENGINE else None

    def _killed_by(self, seen: Seen, ended: float) -> str:
        if self._killed is not None and ended >= self._killed:
            return model.KILLED_BY_ENGINE
        if seen.process.pid in self._named or self._kills_more(ended):
            return model.KILLED_BY_INIT
        with_pid1 = self._went_with_pid1(seen, ended)
        return model.KILLED_WITH_PID1 if with_pid1 else model.KILLED_BY_ANOTHER

    def _went_with_pid1(self, seen: Seen, ended: float) -> bool:
        """Tell whether the kernel killed it because PID 1 had exited, and PID 1 did not reap it."""
        first = self._init.process.ended if self._init is not None else None
        if first is None or seen is self._init or self._drain is not None:
            return False
        child_ended = self._run.child_ended if self._run.init != NONE else None
        # While PID 1 exits, the kernel waits for the processes that it kills, so they end first, on
        # a busy machine long before it. An init exits as soon as its child has.
        since = first - AT_ONCE if child_ended is None else child_ended
        is_with = ended >= since or (child_ended is None and not seen.is_outlived)
        return is_with and seen.process.pid not in self._reaped

    def _kills_more(self, ended: float) -> bool:
        """Tell whether pyinit killed more than it named: a group, all, or more than it lists."""
        for event in self._kills:
            if event["event"] == "kill_after_expired" and ended >= event["at"]:
                return re.fullmatch(r"process \d+", event["target"]) is None
            if event["event"] == "drain_finished" and event["killed"]:
                return bool(ended >= event["at"] - AT_ONCE)
        return False

    def mark(self, seen: Seen) -> None:
        """Note the signals that the process got from the engine and from the init."""
        run, process = self._run, seen.process
        marks: list[Mark] = []
        if seen is self._init:
            times = [(0.0, run.signal), (run.again, run.signal), (self._killed, "SIGKILL")]
            marks += [Mark(at, what, "engine") for at, what in times if at is not None]
        else:
            marks += [
                Mark(event["at"], event.get("sent", event["signal"]), run.init)
                for event in self._sent
                if _is_target(event["target"], seen)
            ]
            if process.is_left and self._drain is not None:
                marks.append(Mark(self._drain, "SIGTERM", "drain"))
        if process.fate == model.KILLED_BY_INIT and process.ended is not None:
            marks.append(Mark(process.ended, "SIGKILL", run.init))
        end = process.ended if process.ended is not None else run.seconds
        process.marks = [mark for mark in marks if process.began <= mark.at <= end + AT_ONCE]


def _was_there(process: Process, event: dict[str, Any]) -> bool:
    """Tell whether an event can be about this process, not an earlier one with the same pid."""
    return bool(process.began <= event["at"] + AT_ONCE)


def _is_target(target: str, seen: Seen) -> bool:
    words = re.fullmatch(r"process (group )?(\d+)", target)
    if words is None:
        return target.startswith("every ")
    pid = int(words[2])
    return seen.group == pid if words[1] else seen.process.pid == pid
