"""Say a warning or an error in one sentence: what happened, why, and what to do.

One function an event, under the event's own name, as in ``events.py``, out of whose keys each is
made. The thread that writes calls them, so they cost PID 1 nothing.
"""

from pyinit.later.proc import called, quoted
from pyinit.later.waits import RUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Keys = dict[str, Any]

MOST_NAMED = 4
LONGEST_WORD = 80  # of a command or an error; its key has more of it
FAULTS = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}


def of(event: str, keys: "Keys") -> str:
    """Return the sentence for an event.

    Raises:
        KeyError: there is none for it.
    """
    sentence: str = globals()[event](keys)
    return sentence


def exec_failed(keys: "Keys") -> str:
    """The command could not be run; most reasons begin with the path that was tried."""
    command, reason = _short(quoted(keys["command"])), str(keys["reason"])
    return reason if reason.startswith(command) else f"{command} cannot be run: {reason}"


def stop_is_slow(keys: "Keys") -> str:
    """The child was asked to stop, and lives."""
    what = f"{_who(keys)} still runs {_time(keys['seconds'])} after {keys['signal']}"
    inspect = f"pyinit --inspect={keys['pid']} shows what it does with that"
    return _because(what, keys, str(keys.get("no_stack", inspect)))


def timed_out(keys: "Keys") -> str:
    """The child has run for as long as it may."""
    what = f"{_who(keys)} has run for {_time(keys['seconds'])} (-t), so pyinit asks it to stop"
    if keys.get("stack"):
        return f"{what}; it was at {_short(str(keys['stack'][0]))}"
    waits_for = str(keys.get("waits_for", ""))
    if waits_for == RUNS:
        return f"{what}; it was running"
    was = f"it was in {_short(waits_for)}" if waits_for else "raise -t if it needs more time"
    return f"{what}; {was}"


def leftovers(keys: "Keys") -> str:
    """The child left processes behind."""
    count, code = keys["count"], f"so pyinit exits with {keys['code']} (--leftovers)"
    if count is None:
        return f"the child left processes behind that /proc does not show, {code}"
    named = ", ".join(_who(each) for each in keys["processes"][:MOST_NAMED])
    more = ", ..." if count > MOST_NAMED else ""
    processes, them = ("process", "it") if count == 1 else ("processes", "them")
    advice = f"let the command stop {them} and wait for {them}"
    return f"the child left {count} {processes} behind, {named}{more}, {code}: {advice}"


def kill_after_expired(keys: "Keys") -> str:
    """The child did not stop in time."""
    kind = str(keys["target"]).rpartition(" ")[0]
    whom = {"process": "it", "process group": "its process group"}.get(kind, keys["target"])
    what = f"{_who(keys)} did not end within {_time(keys['seconds'])} (-k), so pyinit kills {whom}"
    return _because(what, keys, "raise -k if it needs more time")


def drain_survivor(keys: "Keys") -> str:
    """A process that the child left behind did not stop in time."""
    what = f"{_who(keys)}, left behind, did not end within {_time(keys['seconds'])} of SIGTERM"
    return _because(f"{what}, so pyinit kills it", keys, "raise -d if it needs more time")


def drain_finished(keys: "Keys") -> str:
    """Some lived on after SIGKILL."""
    left = keys["left"]
    if left is None:
        return (
            "processes that /proc does not show live on after SIGKILL; pyinit leaves without them"
        )
    live, it = ("1 process lives", "it") if left == 1 else (f"{left} processes live", "each")
    return (
        f"{live} on after SIGKILL, in an uninterruptible wait most likely: "
        f"look at the disk or the file server that {it} waits for"
    )


def child_exited(keys: "Keys") -> str:
    """The child was killed by a signal that is no plain stop, or memory ran out."""
    who, time = f"the child (pid {keys['pid']})", _time(keys["seconds"])
    if "signal" not in keys:
        return _because(f"{who} exited with {keys['code']} after {time}", keys)
    signal = keys["signal"]
    core = " and left a core dump" if keys["core_dumped"] else ""
    what = f"{who} was killed by {signal}{core} after {time}"
    if signal in FAULTS:
        return _because(what, keys, "that is a crash, of which its own output may tell more")
    return _because(what, keys, "" if signal == "SIGKILL" else "it has no handler for that")


def orphan_reaped(keys: "Keys") -> str:
    """A process that pyinit had adopted ended."""
    killed = "signal" in keys
    how = f"was killed by {keys['signal']}" if killed else f"exited with {keys['code']}"
    return f"{_who(keys)} {how}, an orphan: its parent had gone without waiting for it"


def _refused(what: str, keys: "Keys") -> str:
    """Say that a signal was refused, and why."""
    return _because(f"{what} could not be sent to {keys['target']}", keys)


def forward_refused(keys: "Keys") -> str:
    """A signal could not be passed on."""
    came, sent = keys["signal"], keys.get("sent")
    return _refused(f"{sent}, in place of {came}," if sent else came, keys)


def kill_refused(keys: "Keys") -> str:
    """A signal that pyinit itself wanted to send was refused."""
    return _refused(f"{keys['signal']} of pyinit's own", keys)


def shell_is_pid1(keys: "Keys") -> str:
    """A shell is, and keeps SIGTERM from pyinit."""
    return (
        f"{called(keys['name'], 1)} keeps SIGTERM from pyinit, so a stop ends in SIGKILL: write "
        'ENTRYPOINT ["pyinit", "--"] and CMD with brackets, or put exec in front of pyinit'
    )


def subreaper_refused(keys: "Keys") -> str:
    """Orphans will not be pyinit's."""
    return _because("pyinit could not become a subreaper", keys)


def variable_unknown(keys: "Keys") -> str:
    """A variable is called much like one of pyinit's."""
    return f"{keys['name']} changes nothing: {keys['reason']}"


def termination_log_refused(keys: "Keys") -> str:
    """The last words could not be written."""
    return (
        f"nothing could be written to the termination log {_short(str(keys['path']))}: "
        f"{keys['reason']}; name a plain file that pyinit may write"
    )


def events_dropped(keys: "Keys") -> str:
    """Some events were never written."""
    lost = "1 event is" if keys["count"] == 1 else f"{keys['count']} events are"
    return (
        f"{lost} missing: what reads stderr is too slow, or writing failed; "
        "with less -v there are fewer"
    )


def memory_short(_keys: "Keys") -> str:
    """Memory ran out for a moment."""
    return (
        "memory ran out, so from now on pyinit tells of warnings and errors only; "
        "raise the container's limit"
    )


def structlog_unavailable(keys: "Keys") -> str:
    """The log does without it."""
    what = f"structlog cannot be loaded, {_short(keys['error'])}"
    return f"{what}: install it again, or go on with plainer lines"


def internal_error(keys: "Keys") -> str:
    """An error of pyinit's own."""
    return (
        f"pyinit went on after an error, {_short(keys['error'])}: "
        "please report it, unless a filter of your own (seccomp) refuses that call"
    )


def _who(keys: "Keys") -> str:
    return called(keys["name"], keys["pid"])


def _because(what: str, keys: "Keys", otherwise: str = "") -> str:
    """Add the reason that an event has, or else some advice."""
    reason = str(keys.get("reason", ""))
    if not reason:
        return f"{what}; {otherwise}" if otherwise else what
    rest = reason.removeprefix(f"{_who(keys)} ") if "name" in keys else reason
    return f"{what}: {reason}" if rest == reason else f"{what}: it {rest}"


def _time(seconds: float) -> str:
    return f"{round(seconds, 1) or seconds:g} s"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}..."
