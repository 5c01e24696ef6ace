"""Whether a stop was graceful; if not, the worst fault in one sentence, and advice.

The first of these that applies is the verdict; if none does, the stop was graceful:

1. killed: the grace period was over, and the engine sent SIGKILL.
2. lost work: the load failed; or SIGKILL killed a process: from pyinit at the end of the drain,
   from another process of the container, or from the kernel because PID 1 had exited; or a second
   stop signal killed the child while its handler for the first one was running.
3. untidy: a PID file, a socket or shared memory is left behind.
4. failed: a process crashed; or the exit code is neither 0 nor that of the stop signal, or not the
   expected one.
5. slow: the stop took more than half of the grace period.
"""

import math
import re
from collections.abc import Iterable

from pyinit.before import names
from pyinit.later.messages import FAULTS
from pyinit.later.proc import called
from pyinit.rehearse import model, servers
from pyinit.rehearse.census import Seen, child_of
from pyinit.rehearse.model import CODE_OF_SIGNAL, NONE, Plan, Process, Run
from pyinit.rehearse.reports.timeline import seconds

HALF = 0.5  # of the grace period
MARGIN = 1.5  # times what a stop took is a grace period that is enough
AT_ONCE = 0.2  # seconds between a second stop signal and the end of the process that it killed
MOST_NAMES = 3

# What pyinit says about why a process does not stop, and what to change then.
ADVICE = (
    (r"use -g\b|\(-g\)", 'set ENTRYPOINT ["pyinit", "-g", "--"] in the Dockerfile'),
    (r"with `exec`", "begin the last command of the script with `exec`"),
    (r"use -a\b", 'set ENTRYPOINT ["pyinit", "-a", "--"] in the Dockerfile'),
    (r"\(-r \w+:(\w+)\)", r"set STOPSIGNAL SIG\1 in the Dockerfile"),  # if the child needs it
    (r"give it a handler", "handle {signal} in the program, or set another STOPSIGNAL"),
)


def judge(run: Run, plan: Plan, everybody: list[Seen]) -> None:
    """Set a run's verdict, cause, advice, and the grace period that would be enough."""
    run.verdict, run.cause, run.advice = model.GRACEFUL, _graceful(run, plan, everybody), []
    for verdict, find in FINDERS:
        cause = find(run, plan, everybody)
        if cause:
            run.verdict, run.cause = verdict, cause
            break
    if run.verdict not in {model.KILLED, model.LOST} and not run.unwatched:
        run.enough = max(1, math.ceil(run.seconds * MARGIN))
    for pattern, change in ADVICE:
        found = re.search(pattern, run.cause)
        if found and not run.is_graceful:
            run.advice.append(found.expand(change).replace("{signal}", run.signal))
    child = child_of(run.init, everybody)
    if run.verdict in {model.KILLED, model.LOST} and child is not None:
        run.advice += filter(None, [servers.advice(child.process.name, run.signal)])
    run.advice += _more_advice(run)


def _graceful(run: Run, plan: Plan, everybody: list[Seen]) -> str:
    asked = [process for process in run.processes if process.fate == model.ASKED]
    rest = ""
    if asked:
        rest = f"; {_names(asked)}, left behind by the child, exited after SIGTERM from pyinit"
    if run.load is not None and run.load.ended is not None and run.load.ended < 0:
        rest += "; the load had finished before the stop, so no request was in progress"
    if plan.twice and run.again is None:
        rest += f"; it had exited before the second {run.signal}"
    rest = _unhandled(run, plan, everybody) + rest
    took = seconds(run.seconds)
    if run.unwatched:
        rest += (
            f"; pyinit-rehearse itself did not run for the last {seconds(run.unwatched)} of that "
            "(^Z, or a busy machine), so the stop may have been faster"
        )
    return f"the last process exited {took} after {run.signal}, code {run.code}{rest}"


def _unhandled(run: Run, plan: Plan, everybody: list[Seen]) -> str:
    """Say that the signal killed the child, which has no handler for it and may not need one."""
    child = child_of(run.init, everybody)
    if child is None or child.process.signal != run.signal or child.signals.of(plan.signal):
        return ""
    name = called(child.process.name, child.process.pid)
    return f": {name} has no handler for {run.signal}, so it exits without cleaning up"


def _killed(run: Run, plan: Plan, everybody: list[Seen]) -> str:
    by_engine = [each for each in everybody if each.process.fate == model.KILLED_BY_ENGINE]
    if not by_engine:
        return ""
    child = child_of(run.init, everybody)
    if child is not None and child in by_engine:
        why = _why(run, plan, child)
        return why or (
            f"{called(child.process.name, child.process.pid)} was still running {run.grace:g} s "
            f"after {run.signal}"
        )
    left = [each.process for each in by_engine if each is not everybody[0]]
    if not left:
        return f"{run.init} itself was still running {run.grace:g} s after {run.signal}"
    reasons = [process.reason for process in left if process.reason]
    return (
        f"{_names(left)}, left behind by the child, did not exit within the grace period of "
        f"{run.grace:g} s" + (f": {reasons[0]}" if reasons else "")
    )


def _why(run: Run, plan: Plan, child: Seen) -> str:
    """Return why the child did not stop."""
    name = called(child.process.name, child.process.pid)
    signum, signal = plan.signal, run.signal
    then, now = child.before.of(signum), child.signals.of(signum)
    if then in {"ignores", ""} and now == "handles" and (then or run.init == NONE):
        lost = "ignored it" if then else "had no handler for it as PID 1"
        return (
            f"{signal} was lost: {name} still {lost} when it arrived, and set its handler later; "
            "set the handler before anything else"
        )
    if child.process.reason:
        return child.process.reason
    if run.init == NONE and now == "":
        return (
            f"{name} is PID 1 and has no handler for {signal}, so the kernel drops it; run "
            "the command under an init, or handle the signal in the program"
        )
    if now in {"ignores", "blocks"}:
        return f"{name} {now} {signal}; handle it in the program"
    if now == "handles":
        return (
            f"{name} has a handler for {signal}, and was still running {run.grace:g} s later; exit "
            "in the handler, or use a longer grace period if the program needs one"
        )
    return ""


def _lost(run: Run, plan: Plan, everybody: list[Seen]) -> str:
    if run.load is not None and run.load.code != 0:
        if run.load.code is None:
            return "the load was still waiting for an answer after the program had exited"
        return f"the load failed with code {run.load.code}: the program exited without serving it"
    child = child_of(run.init, everybody)
    if child is not None and _is_cut_short(run, plan, child):
        return (
            f"the second {run.signal} killed {called(child.process.name, child.process.pid)} while "
            "its handler for the first one was running; let the handler ignore further signals"
        )
    for fate, find in (
        (model.KILLED_BY_INIT, _killed_by_init),
        (model.KILLED_BY_ANOTHER, _killed_by_another),
        (model.KILLED_WITH_PID1, _killed_with_pid1),
    ):
        victims = [
            process
            for process in run.processes
            if process.fate == fate and (process.ended or 0.0) >= 0
        ]
        if victims:
            return find(run, victims)
    return ""


def _is_cut_short(run: Run, plan: Plan, child: Seen) -> bool:
    ended = child.process.ended
    return (
        run.again is not None
        and ended is not None
        and run.again - AT_ONCE <= ended <= run.again + AT_ONCE
        and child.process.signal == run.signal
        and child.signals.of(plan.signal) == "handles"
    )


def _killed_by_init(run: Run, victims: list[Process]) -> str:
    reasons = [process.reason for process in victims if process.reason]
    why = f": {reasons[0]}" if reasons else ""
    left = ", left behind by the child," if victims[0].is_left else ""
    them = "it" if len(victims) == 1 else "them"
    return f"{_names(victims)}{left} did not exit in time, so {run.init} killed {them}{why}"


def _killed_by_another(run: Run, victims: list[Process]) -> str:
    ended = seconds(victims[0].ended or 0.0)
    return (
        f"{_names(victims)} got SIGKILL {ended} after {run.signal}, but not from {run.init} "
        "or the engine: another process in the container sent it, or memory ran out"
    )


def _killed_with_pid1(run: Run, victims: list[Process]) -> str:
    init = "PID 1, the command itself," if run.init == NONE else run.init
    why = "exited" if run.init == NONE else "exits as soon as its child does"
    return f"{_names(victims)} got SIGKILL from the kernel, because {init} {why}"


def _untidy(run: Run, _plan: Plan, _everybody: list[Seen]) -> str:
    leaks = [leak for leak in run.leaks if leak.counts]
    if not leaks:
        return ""
    first = leaks[0]
    article = "" if first.kind.endswith("memory") else "a "
    more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
    detail = f" ({first.detail})" if first.detail else ""
    return f"the program left {article}{first.kind} behind: {first.name}{detail}{more}"


def _failed(run: Run, plan: Plan, everybody: list[Seen]) -> str:
    code = run.code
    crashed = [each for each in run.processes if each.signal in FAULTS - {run.signal}]
    crashed = [each for each in crashed if each.ended is not None and each.ended >= 0]
    if crashed:
        return f"{_names(crashed)} crashed with {crashed[0].signal} after {run.signal}"
    if plan.expected_code is not None:
        if code == plan.expected_code:
            return ""
        return (
            f"the exit code was {code}, not {plan.expected_code} as expected (--expect)"
            + _unhandled(run, plan, everybody)
        )
    sent = {event.get("sent", "") for event in run.events if event["event"] == "signal_forwarded"}
    signums = {plan.signal} | {names.number(name) for name in sent if name}
    if code in {0, *(CODE_OF_SIGNAL + signum for signum in signums)}:
        return ""
    return (
        f"the exit code after {run.signal} was {code}, which means failure; exit with 0, or use "
        f"--expect {code} if that code is right"
    )


def _slow(run: Run, _plan: Plan, everybody: list[Seen]) -> str:
    if run.seconds - run.unwatched <= run.grace * HALF:  # it may have been in time
        return ""
    reasons = [seen.process.reason for seen in everybody if seen.process.reason]
    why = f": {reasons[0]}" if reasons else ""
    return f"the stop took {seconds(run.seconds)} of the grace period of {run.grace:g} s{why}"


# From bad to good, each with the function that finds its cause.
FINDERS = (
    (model.KILLED, _killed),
    (model.LOST, _lost),
    (model.UNTIDY, _untidy),
    (model.FAILED, _failed),
    (model.SLOW, _slow),
)


def _names(processes: Iterable[Process]) -> str:
    told = [called(process.name, process.pid) for process in processes]
    if len(told) > MOST_NAMES:
        return f"{', '.join(told[:MOST_NAMES])} and {len(told) - MOST_NAMES} more"
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _more_advice(run: Run) -> list[str]:
    advice = []
    if run.verdict == model.SLOW and run.enough is not None:
        advice.append(
            f"use docker stop --timeout {run.enough}, or terminationGracePeriodSeconds: "
            f"{run.enough} in Kubernetes"
        )
    if any(
        process.fate == model.KILLED_BY_INIT
        and process.is_left
        and not re.search("ignores|blocks", process.reason)
        for process in run.processes
    ):
        advice.append("use a longer drain (pyinit -d SECONDS) and a grace period longer than that")
    if run.verdict == model.LOST and run.load is not None and run.load.code != 0 and not run.advice:
        advice.append("let the program finish its requests before it exits")
    if any(process.fate == model.KILLED_WITH_PID1 for process in run.processes):
        advice.append('set ENTRYPOINT ["pyinit", "--"] in the Dockerfile')
    if run.verdict == model.UNTIDY:
        kinds = {leak.kind for leak in run.leaks if leak.counts}
        if "PID file" in kinds or "socket" in kinds:
            advice.append("remove the file before the program exits, or keep it in a tmpfs")
        if "POSIX shared memory" in kinds or "System V shared memory" in kinds:
            advice.append("unlink the shared memory before the program exits")
    return advice
