"""Judge what pyinit logs about the processes that the child left behind."""

import signal
from collections.abc import Iterator

from trials.chaos.events import Event, fate_code, named
from trials.chaos.expected import KILLED, stayed, swept
from trials.chaos.plan import AT_ONCE, CALM, CLINGING, DEBUG, HASTY, INFO, WARNING
from trials.chaos.seen import RUNNER, Seen
from trials.chaos.tree import DIES


def drain(seen: Seen, events: list[Event]) -> Iterator[str]:
    """The numbers of the drain are those of the tree."""
    if seen.plan.wishes.verbosity < INFO:
        return
    started, finished = named(events, "drain_started"), named(events, "drain_finished")
    there = stayed(seen)
    if seen.plan.kind == AT_ONCE:
        if started or finished or named(events, "drain_survivor"):
            yield f"a drain although -d is 0: {started}"
        return
    if len(started) != len(finished) or len(started) > 1 or (there and not started):
        yield f"expected {len(there)} to be drained, seen {started} and {finished}"
    if not started or not finished:
        return
    begin, end = started[0], finished[0]
    counts = [int(str(count)) for count in (begin["remaining"], end["finished"], end["killed"])]
    if not len(there) <= counts[0] <= seen.processes:
        yield f"expected {len(there)} to {seen.processes} to remain, seen {begin}"
    if end["left"] or counts[1] + counts[2] < counts[0]:
        yield f"the numbers do not add up: {begin}, {end}"
    pids = {event["pid"] for event in named(events, "drain_survivor")}
    if counts[2] != len(pids):
        yield f"{len(pids)} survivors were named: {end}"
    if counts[2] and float(str(end["seconds"])) < seen.plan.wishes.drain:
        yield f"killed too early: {end}"


def survivors(seen: Seen, events: list[Event]) -> Iterator[str]:
    """All processes that do not exit in time are killed, and no others."""
    told = named(events, "drain_survivor")
    pids = [event["pid"] for event in told]
    gone = {line.pid: line for line in seen.told("G")}
    if len(pids) != len(set(pids)):
        yield f"logged twice: {told}"
    if seen.plan.kind == AT_ONCE:
        return
    for event in told:
        end = gone.get(int(str(event["pid"])))
        # A process that killed itself, and is reaped only now, looks the same.
        if end and end.b != signal.SIGKILL and seen.plan.kind == CLINGING:
            yield f"killed, but had exited by itself: {event}"
        if float(str(event["seconds"])) < seen.plan.wishes.drain:
            yield f"killed too early: {event}"
    if seen.plan.wishes.verbosity >= WARNING:
        clinging = {node for node in stayed(seen) if seen.plan.everybody[node].clings}
        if any(event["state"] == "dead" for event in told):
            # There was no time to name all; guests, which pyinit cannot reap, are missing then.
            clinging -= {node.id for node in seen.plan.guests}
        missing = [node for node in clinging if seen.pids[node] not in pids]
        if missing:
            yield f"killed but not logged: nodes {missing}"
    asked = [event for event in told if event["pid"] not in _late(seen)]
    if asked and seen.plan.kind == CALM:
        yield f"every process exits by itself, but: {asked}"


def _late(seen: Seen) -> set[int]:
    """Return the guests that came after the child had ended: maybe too late for SIGTERM."""
    guests = {node.id for node in seen.plan.guests}
    gone = [line.when for line in seen.told("G") if not line.node]
    return {
        line.pid for line in seen.told("A") if line.node in guests and gone and line.when >= gone[0]
    }


def orphans(seen: Seen, events: list[Event]) -> Iterator[str]:
    """Each orphan is logged once, with how it ended."""
    told = named(events, "orphan_reaped")
    pids = [event["pid"] for event in told]
    if len(pids) != len(set(pids)) or seen.pids.get(0) in pids:
        yield f"logged twice: {sorted(map(str, pids))}"
    gone = {line.pid: line for line in seen.told("G")}
    nodes = {pid: node for node, pid in seen.pids.items()}
    for event in told:
        pid = int(str(event["pid"]))
        line, node = gone.get(pid), seen.plan.everybody.get(nodes.get(pid, RUNNER))
        hurried = {KILLED} if seen.plan.kind == HASTY or swept(seen) else set()
        if line and fate_code(event) not in {128 + line.b if line.b else line.c, *hurried}:
            yield f"expected its end to be {line}: {event}"
        if not line and node and not node.hop and fate_code(event) not in silent_ends(node.asked):
            yield f"node {node.id} wrote no last line and cannot have ended this way: {event}"


def silent_ends(asked: int) -> set[int]:
    """Return the possible codes of a node that could not write its last line."""
    return {KILLED} | ({128 + signal.SIGTERM} if asked == DIES else set())


def nobody_lost(seen: Seen, events: list[Event]) -> Iterator[str]:
    """Each orphan is logged, if all are."""
    wishes = seen.plan.wishes
    tells = wishes.verbosity >= DEBUG or (wishes.warns and wishes.verbosity >= WARNING)
    if not tells or seen.plan.kind == AT_ONCE:
        return
    pids = {event["pid"] for event in named(events, "orphan_reaped")}
    for node in seen.plan.nodes:
        pid = seen.pids.get(node.id)
        if node.daemon and pid is not None and pid not in pids:
            yield f"nothing is logged about the orphan {pid}, node {node.id}"


CHECKS = (drain, survivors, orphans, nobody_lost)
