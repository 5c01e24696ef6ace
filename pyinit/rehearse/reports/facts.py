"""What reports say about a run in addition to the drawing: short texts, safe to show."""

import shlex
from collections import Counter
from collections.abc import Sequence

from pyinit.later.proc import called, quoted
from pyinit.rehearse import model
from pyinit.rehearse.model import Process, Run
from pyinit.rehearse.reports.columns import safe
from pyinit.rehearse.reports.timeline import is_killed, seconds

MOST_NAMED = 6


def headline(run: Run) -> str:
    """Return the verdict and its cause."""
    return safe(f"{run.verdict}: {run.cause}" if run.cause else run.verdict)


def init(run: Run) -> str:
    """Return what PID 1 was."""
    return "no init" if run.init == model.NONE else safe(run.init)


def command(run: Run, *, with_init: bool = True) -> str:
    """Return the command line, quoted for a shell."""
    return safe(shlex.join([*(run.words if with_init else ()), *run.command]))


def request(run: Run) -> str:
    """Return the stop signal and the grace period."""
    return safe(f"{run.signal} with a grace period of {run.grace:g} s")


def circumstances(run: Run) -> str:
    """Return the stop signal, the grace period, and when the signal was sent."""
    ready = f" (ready: {safe(run.ready)})" if run.ready else ""
    return f"{request(run)}, sent {seconds(run.booted)} after the start{ready}"


def outcome(run: Run) -> str:
    """Return how the stop went, in numbers."""
    killed = sum(map(is_killed, run.processes))
    leaks = sum(leak.counts for leak in run.leaks)
    parts = [f"stopped after {seconds(run.seconds)}"]
    parts += [] if run.code is None else [f"code {run.code}"]
    parts += [f"{killed} killed"] if killed else []
    parts += [f"{leaks} leaked"] if leaks else []
    return ", ".join(parts)


def sections(run: Run) -> list[tuple[str, list[str]]]:
    """Return all other texts by short headings, without headings that have no text."""
    found = [
        ("why", _reasons(run)),
        ("advice", run.advice),
        ("left", _left(run)),
        ("leaks", [_leak(leak) for leak in run.leaks]),
        ("load", _load(run)),
        ("grace", _grace(run)),
        ("output", [] if run.is_graceful else run.output),
    ]
    return [(heading, list(map(safe, texts))) for heading, texts in found if texts]


def _reasons(run: Run) -> list[str]:
    """Return why processes did not exit, unless the cause says so already."""
    return [
        each.reason if each.reason.startswith(_called(each)) else f"{_called(each)}: {each.reason}"
        for each in run.processes
        if each.reason and each.reason not in run.cause
    ]


def _called(process: Process) -> str:
    return called(process.name, process.pid)


def _listed(processes: Sequence[Process]) -> str:
    if len(processes) <= MOST_NAMED:
        return ", ".join(map(_called, processes))
    counts = Counter(each.name for each in processes).most_common()
    named = [f"{quoted(name)} ×{count}" for name, count in counts[:MOST_NAMED]]
    rest = len(processes) - sum(count for _, count in counts[:MOST_NAMED])
    return ", ".join(named + ([f"{rest} others"] if rest else []))


def _left(run: Run) -> list[str]:
    """Return which processes an init that exits with its child killed, or would have killed."""
    left = [each for each in run.processes if each.is_left and each.pid != 1]
    killed = [each for each in left if each.fate == model.KILLED_WITH_PID1]
    spared = [each for each in left if each.fate != model.KILLED_WITH_PID1]
    texts = []
    if killed:
        texts.append(f"{_listed(killed)}: got SIGKILL because PID 1 exited with its child")
    if spared:
        texts.append(
            f"{_listed(spared)}: would get SIGKILL under an init that exits with its child, "
            "such as tini"
        )
    return texts


def _leak(leak: model.Leak) -> str:
    detail = f" ({leak.detail})" if leak.detail else ""
    return f"{leak.kind} {leak.name}{detail}{'' if leak.counts else ', not counted as a fault'}"


def _load(run: Run) -> list[str]:
    if run.load is None:
        return []
    load = run.load
    if load.code is None or load.ended is None:
        return [f"{load.command}: did not finish, and was killed"]
    how = "succeeded" if load.code == 0 else "failed"
    return [f"{load.command}: {how}, code {load.code} after {seconds(load.ended - load.began)}"]


def _grace(run: Run) -> list[str]:
    if run.enough is None:
        return []
    return [f"a grace period of {run.enough} s would be enough; it was {run.grace:g} s"]
