"""Judge a run: each check yields a sentence for everything that is wrong."""

from collections.abc import Iterator

from trials.chaos import log
from trials.chaos.expected import final_codes, remaining, swept
from trials.chaos.plan import AT_ONCE, HASTY, TERM
from trials.chaos.seen import RUNNER, Seen

SLACK = 15.0  # seconds, for a machine that is busy
ENTERING = 6  # from here on, places in actor.c concern guests, which may come too late
WORDS = {1: "fork", 2: "pipe", 3: "exec itself", 4: "exec sleep", 5: "become another user"}


def failures(seen: Seen) -> list[str]:
    """Return everything that is wrong with a run."""
    if seen.hung:
        return [f"this did not come in time: {seen.hung}; left: {seen.left}"]
    checks = (actors, code, left_behind, zombies, asked, duration, log.failures)
    return [failure for check in checks for failure in check(seen)]


def actors(seen: Seen) -> Iterator[str]:
    """The actors themselves did not fail; otherwise the run says nothing about pyinit."""
    for line in seen.told("F"):
        if line.a < ENTERING:
            yield f"node {line.node} could not {WORDS.get(line.a)}: errno {line.b}"


def code(seen: Seen) -> Iterator[str]:
    """The exit code is the child's: its own, or that of the signal that killed it.

    Or it is the code of -t, or that of --leftovers.
    """
    expected = final_codes(seen)
    if seen.code not in expected:
        yield f"expected code {sorted(expected)}, seen {seen.code}"


def left_behind(seen: Seen) -> Iterator[str]:
    """No process and no zombie outlives pyinit; with -d 0, only if pyinit is PID 1."""
    if seen.plan.kind == AT_ONCE and not seen.plan.namespace:
        return
    if seen.left:
        yield f"left behind: {', '.join(seen.left)}"
    if seen.holders and not seen.left:
        yield "a process still holds the pipe but cannot be found"


def zombies(seen: Seen) -> Iterator[str]:
    """Orphans are reaped while the child runs."""
    if seen.zombies:
        yield f"zombies that were not reaped: {seen.zombies}"


def asked(seen: Seen) -> Iterator[str]:
    """A process that was left behind, and could see SIGTERM, saw it before its end."""
    if seen.plan.kind in {HASTY, AT_ONCE} or swept(seen):  # they may have had too little time
        return
    saw = {(line.node, line.pid) for line in seen.told("S") if line.a == TERM}
    gone = {line.node: line for line in seen.told("G")}
    for node, line in remaining(seen).items():
        end = gone.get(node)
        if not seen.plan.everybody[node].tells_of_asking or (end and end.a == 0):
            continue
        if (node, line.pid) not in saw:
            yield f"node {node} (pid {line.pid}) was killed and saw no SIGTERM"
        elif not end and not seen.plan.everybody[node].clings:
            yield f"node {node} (pid {line.pid}) saw SIGTERM and could not finish its work"


def duration(seen: Seen) -> Iterator[str]:
    """The run is over in time, once the child has ended or was asked to."""
    if seen.end is not None:
        begin, limit = seen.end.when, seen.plan.drain_limit
    else:
        sent = [line.when for line in seen.told("K") if line.node == RUNNER]
        begin, limit = max(sent, default=seen.ended), seen.plan.limit
    took = (seen.ended - begin) / 1000
    if took > limit + SLACK:
        yield f"it took {took:.1f} s, expected {limit:.1f} s"
