"""The sentence for each warning and error: what happened, why, and what to do.

Each event has one function, with the event's own name, as in ``events.py``. It makes the sentence
from the keys of the event. The thread that writes the log calls it, so the loop does not wait.
"""

from pyinit.later.proc import called, quoted
from pyinit.later.waits import RUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Keys = dict[str, Any]

MOST_NAMED = 4
LONGEST_WORD = 80  # characters of a command or an error; the key has the rest
FAULTS = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}


def of(event: str, keys: "Keys") -> str:
    """Return the sentence for an event.

    Raises:
        KeyError: the event has no sentence.
    """
    sentence: str = globals()[event](keys)
    return sentence


def exec_failed(keys: "Keys") -> str:
    """The command could not be run; most reasons begin with the path that was tried."""
    command, reason = _short(quoted(keys["command"])), str(keys["reason"])
    return reason if reason.startswith(command) else f"{command} cannot be run: {reason}"


def stop_is_slow(keys: "Keys") -> str:
    """The child was asked to stop, and still runs."""
    what = f"{_process(keys)} still runs {_time(keys['seconds'])} after {keys['signal']}"
    inspect = f"run pyinit --inspect={keys['pid']} to see what it does with {keys['signal']}"
    return _because(what, keys, str(keys.get("no_stack", inspect)))


def timed_out(keys: "Keys") -> str:
    """The child still runs after the time of ``-t``."""
    what = f"{_process(keys)} has run for {_time(keys['seconds'])} (-t), so pyinit asks it to stop"
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
    named = ", ".join(_process(each) for each in keys["processes"][:MOST_NAMED])
    more = ", ..." if count > MOST_NAMED else ""
    processes, them = ("process", "it") if count == 1 else ("processes", "them")
    advice = f"the command must stop {them} and wait for {them} before it exits"
    return f"the child left {count} {processes} behind, {named}{more}, {code}: {advice}"


def kill_after_expired(keys: "Keys") -> str:
    """The child did not stop in time."""
    kind = str(keys["target"]).rpartition(" ")[0]
    them = {"process": "it", "process group": "its process group"}.get(kind, keys["target"])
    late = f"did not exit within {_time(keys['seconds'])} (-k), so pyinit kills {them}"
    return _because(f"{_process(keys)} {late}", keys, "raise -k if it needs more time")


def drain_survivor(keys: "Keys") -> str:
    """A process that the child left behind did not stop in time."""
    late = f"did not exit within {_time(keys['seconds'])} of SIGTERM, so pyinit kills it"
    what = f"{_process(keys)}, left behind by the child, {late}"
    return _because(what, keys, "raise -d if it needs more time")


def drain_finished(keys: "Keys") -> str:
    """Some processes are left even after SIGKILL."""
    left = keys["left"]
    if left is None:
        return (
            "processes that /proc does not show are still there after SIGKILL; "
            "pyinit exits without waiting for them"
        )
    are, it_waits = ("process is", "it waits") if left == 1 else ("processes are", "they wait")
    return (
        f"{left} {are} still there after SIGKILL, most likely in an uninterruptible wait: "
        f"check the disk or the file server that {it_waits} for"
    )


def child_exited(keys: "Keys") -> str:
    """A signal that is not a plain stop killed the child, or memory ran out."""
    child, time = f"the child (pid {keys['pid']})", _time(keys["seconds"])
    if "signal" not in keys:
        return _because(f"{child} exited with {keys['code']} after {time}", keys)
    signal = keys["signal"]
    core = " (core dumped)" if keys["core_dumped"] else ""
    what = f"{child} was killed by {signal} after {time}{core}"
    if signal in FAULTS:
        return _because(what, keys, "this is a crash: look for the cause in its own output")
    advice = f"it has no handler for {signal}: add one if it should not exit then"
    return _because(what, keys, "" if signal == "SIGKILL" else advice)


def orphan_reaped(keys: "Keys") -> str:
    """A process that pyinit had adopted exited."""
    killed = "signal" in keys
    how = f"was killed by {keys['signal']}" if killed else f"exited with {keys['code']}"
    why = "its parent had exited without waiting for it"
    return f"pyinit reaped the orphan {_process(keys)}, which {how}: {why}"


def forward_refused(keys: "Keys") -> str:
    """A signal could not be forwarded."""
    came, sent = keys["signal"], keys.get("sent")
    forward = f"send {sent}, in place of {came}," if sent else f"forward {came}"
    return _because(f"pyinit could not {forward} to {keys['target']}", keys)


def kill_refused(keys: "Keys") -> str:
    """The kernel refused a signal that pyinit itself wanted to send."""
    return _because(f"pyinit could not send {keys['signal']} to {keys['target']}", keys)


def shell_is_pid1(keys: "Keys") -> str:
    """PID 1 is a shell that does not forward SIGTERM to pyinit."""
    return (
        f"{called(keys['name'], 1)} does not forward SIGTERM to pyinit, so a stop ends in SIGKILL: "
        'write ENTRYPOINT ["pyinit", "--"] and CMD with brackets, or put exec in front of pyinit'
    )


def subreaper_refused(keys: "Keys") -> str:
    """Orphans will not become children of pyinit."""
    return _because("pyinit could not become a subreaper", keys)


def variable_unknown(keys: "Keys") -> str:
    """A variable has nearly the name of one of pyinit's."""
    return f"{keys['name']} has no effect: {keys['reason']}"


def termination_log_refused(keys: "Keys") -> str:
    """The termination log could not be written."""
    return (
        f"pyinit could not write to the termination log {_short(str(keys['path']))}: "
        f"{keys['reason']}; name a regular file that pyinit may write"
    )


def events_dropped(keys: "Keys") -> str:
    """Some events were never written."""
    lost = "1 event is" if keys["count"] == 1 else f"{keys['count']} events are"
    return (
        f"{lost} missing here: the reader of stderr is too slow, or a write failed; "
        "with fewer -v, pyinit logs less"
    )


def memory_short(_keys: "Keys") -> str:
    """Memory ran out for a moment."""
    return (
        "memory ran out, so pyinit logs only warnings and errors from now on; "
        "raise the memory limit of the container"
    )


def structlog_unavailable(keys: "Keys") -> str:
    """The log is written without structlog."""
    what = f"structlog cannot be loaded, {_short(keys['error'])}, so log lines are plain"
    return f"{what}; install structlog again for the usual format"


def internal_error(keys: "Keys") -> str:
    """An error in pyinit itself."""
    return (
        f"pyinit continued after an internal error, {_short(keys['error'])}: "
        "please report it, unless your own seccomp filter refuses that call"
    )


def _process(keys: "Keys") -> str:
    return called(keys["name"], keys["pid"])


def _because(what: str, keys: "Keys", otherwise: str = "") -> str:
    """Add the reason of an event, or advice if it has none."""
    reason = str(keys.get("reason", ""))
    if not reason:
        return f"{what}; {otherwise}" if otherwise else what
    rest = reason.removeprefix(f"{_process(keys)} ") if "name" in keys else reason
    return f"{what}: {reason}" if rest == reason else f"{what}: it {rest}"


def _time(seconds: float) -> str:
    return f"{round(seconds, 1) or seconds:g} s"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}..."
